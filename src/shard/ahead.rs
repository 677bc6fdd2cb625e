//! Who goes ahead: a task that the ring, a timer or a message woke waits for one poll where others
//! yield to each other, and not for all of them.

use std::cell::Cell;

/// Looks in a row at which a task went ahead, before those that wait get their turn.
const IN_A_ROW: u32 = 3;

/// Whether a task that is woken between two polls goes before those that wait in its queue: the
/// first one of each look, unless another that was woken so waits there. So these keep the order in
/// which they were woken, and timers that of their deadlines.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    open: Cell<bool>,
    used: Cell<bool>,
    in_a_row: Cell<u32>,
    /// Tasks to be taken out of the queue until none is left that was woken between two polls.
    behind: Cell<usize>,
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

    /// A task was woken, and so many wait. Whether it goes ahead of them, if there is `room` for
    /// that; else it is to be queued behind them.
    #[inline]
    pub(crate) fn may(&self, waiting: usize, room: bool) -> bool {
        if self.open.replace(false) && room && waiting > 0 && self.behind.get() == 0 {
            self.used.set(true);
            self.in_a_row.set(self.in_a_row.get() + 1);
            return true;
        }
        self.behind.set(waiting + 1);
        false
    }

    /// A task was taken from the front of the queue.
    #[inline]
    pub(crate) fn popped(&self) {
        self.behind.set(self.behind.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::{Ahead, IN_A_ROW};

    #[test]
    fn the_first_of_a_look_goes_ahead_of_those_that_wait() {
        let ahead = Ahead::default();
        assert!(!ahead.may(0, true), "there is nobody to go ahead of");
        ahead.popped();
        assert!(!ahead.may(2, true), "nothing was looked at since");
        (0..3).for_each(|_| ahead.popped());
        ahead.look();
        assert!(ahead.may(2, true));
        assert!(!ahead.may(2, true), "the second one waits");
    }

    #[test]
    fn without_room_it_waits() {
        let ahead = Ahead::default();
        ahead.look();
        assert!(!ahead.may(2, false));
    }

    #[test]
    fn nobody_goes_ahead_of_one_that_was_woken_before() {
        let ahead = Ahead::default();
        ahead.look();
        assert!(!ahead.may(0, true), "it is the first in the queue");
        for _ in 0..3 {
            ahead.look();
            assert!(!ahead.may(3, true), "one that was woken before waits");
        }
        for _ in 0..4 {
            ahead.popped();
        }
        ahead.look();
        assert!(ahead.may(3, true), "all of them are gone");
    }

    #[test]
    fn those_that_wait_get_their_turn() {
        let ahead = Ahead::default();
        let mut went = Vec::new();
        for _ in 0..2 * (IN_A_ROW + 1) {
            ahead.look();
            went.push(ahead.may(1, true));
            // With those that waited goes the one that was not let ahead.
            ahead.popped();
            ahead.popped();
        }
        assert_eq!(went, [true, true, true, false, true, true, true, false]);
    }
}
