//! Who goes ahead: a task that the ring, a timer or a message woke waits for one poll where others
//! yield to each other, and not for all of them.

use std::cell::Cell;

/// Looks in a row at which a task went ahead, before those that wait get their turn.
const IN_A_ROW: u32 = 3;

/// Whether a task that is woken between two polls goes before those that wait in its queue: the
/// first one of each look, unless another that was woken so waits there. So these keep the order in
/// which they were woken, and timers that of their deadlines.
///
/// The shard counts its looks at the ring, the timers and the messages, from 1 on.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// The last look that woke one for this queue.
    woke: Cell<u32>,
    /// The last look of which one went ahead.
    went: Cell<u32>,
    in_a_row: Cell<u32>,
    /// Tasks to be taken out of the queue until none is left that was woken between two polls.
    behind: Cell<usize>,
}

impl Ahead {
    /// A task was woken by this look, and so many wait. Whether it goes ahead of them, if there is
    /// `room` for that; else it is to be queued behind them.
    #[inline]
    pub(crate) fn may(&self, look: u32, waiting: usize, room: bool) -> bool {
        let is_first = self.woke.replace(look) != look;
        if is_first && room && waiting > 0 && self.behind.get() == 0 {
            let goes_on = self.went.get().wrapping_add(1) == look;
            let in_a_row = if goes_on { self.in_a_row.get() } else { 0 };
            if in_a_row < IN_A_ROW {
                self.went.set(look);
                self.in_a_row.set(in_a_row + 1);
                return true;
            }
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
        assert!(!ahead.may(1, 0, true), "there is nobody to go ahead of");
        ahead.popped();
        assert!(!ahead.may(1, 2, true), "nothing was looked at since");
        (0..3).for_each(|_| ahead.popped());
        assert!(ahead.may(2, 2, true));
        assert!(!ahead.may(2, 2, true), "the second one waits");
    }

    #[test]
    fn without_room_it_waits() {
        assert!(!Ahead::default().may(1, 2, false));
    }

    #[test]
    fn nobody_goes_ahead_of_one_that_was_woken_before() {
        let ahead = Ahead::default();
        assert!(!ahead.may(1, 0, true), "it is the first in the queue");
        for look in 2..5 {
            assert!(!ahead.may(look, 3, true), "one that was woken before waits");
        }
        for _ in 0..4 {
            ahead.popped();
        }
        assert!(ahead.may(5, 3, true), "all of them are gone");
    }

    #[test]
    fn those_that_wait_get_their_turn() {
        let ahead = Ahead::default();
        let mut went = Vec::new();
        for look in 1..=2 * (IN_A_ROW + 1) {
            went.push(ahead.may(look, 1, true));
            // With those that waited goes the one that was not let ahead.
            ahead.popped();
            ahead.popped();
        }
        assert_eq!(went, [true, true, true, false, true, true, true, false]);
    }

    #[test]
    fn a_look_of_which_none_went_ahead_ends_the_row() {
        let ahead = Ahead::default();
        for look in [1, 2, 4, 5, 6, 8] {
            assert!(ahead.may(look, 1, true), "look {look}");
        }
    }
}
