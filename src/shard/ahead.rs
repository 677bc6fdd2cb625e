//! Who goes ahead: a task that the ring, a timer or a message woke waits for one poll where others
//! yield to each other, and not for all of them.

use std::cell::Cell;

/// Looks in a row at which a task went ahead, before those that wait get their turn.
const IN_A_ROW: u32 = 3;

/// Whether the next task that is woken between two polls goes before those that wait: the first one
/// of each look, so that the order of the others stays that of their completions.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    open: Cell<bool>,
    used: Cell<bool>,
    in_a_row: Cell<u32>,
}

impl Ahead {
    /// A look at the ring, the timers and the messages begins.
    #[inline]
    pub(crate) fn look(&self) {
        if !self.used.replace(false) {
            self.in_a_row.set(0);
        }
        self.open.set(self.in_a_row.get() < IN_A_ROW);
    }

    /// A task was woken. Whether it is the one that may go ahead, of those that wait if any
    /// `others` do.
    #[inline]
    pub(crate) fn may(&self, others: bool) -> bool {
        if !self.open.replace(false) || !others {
            return false;
        }
        self.used.set(true);
        self.in_a_row.set(self.in_a_row.get() + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Ahead, IN_A_ROW};

    #[test]
    fn the_first_of_a_look_goes_ahead_of_those_that_wait() {
        let ahead = Ahead::default();
        assert!(!ahead.may(true), "nothing was looked at yet");
        ahead.look();
        assert!(ahead.may(true));
        assert!(!ahead.may(true), "the second one waits");
        ahead.look();
        assert!(!ahead.may(false), "there is nobody to go ahead of");
        assert!(!ahead.may(true), "the second one waits, behind the first");
    }

    #[test]
    fn those_that_wait_get_their_turn() {
        let ahead = Ahead::default();
        let mut went = Vec::new();
        for _ in 0..2 * (IN_A_ROW + 1) {
            ahead.look();
            went.push(ahead.may(true));
        }
        assert_eq!(went, [true, true, true, false, true, true, true, false]);
    }
}
