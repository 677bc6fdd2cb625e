//! Whether a shard is in a long poll, as those see it who ask for its load now and then.
//!
//! A shard says of its polls only when one begins and when it ends, because reading the clock may
//! cost as much as a poll. So it takes several looks to tell that a poll is long: the first notes
//! which poll it is, the second when that was, and one that comes long enough after it knows. While
//! polls are short each look sees another one, and nobody reads the clock.

use crate::primitive::{AtomicU64, Ordering};

/// A poll that lasts longer than this is long, in nanoseconds.
const LONG: u64 = 100_000;
/// The time is kept in steps of so many bits of nanoseconds, about a microsecond: it comes around
/// after 12 days.
const STEP_BITS: u32 = 10;
const TIME_BITS: u32 = 40;
const TIME: u64 = (1 << TIME_BITS) - 1;
/// In the place of the time: nobody has looked at the clock.
const UNTIMED: u64 = 0;
/// In the place of the time: the poll is long.
const KNOWN: u64 = 1;

/// What was seen of a shard's polls: the poll, and when it was seen the second time. One word, so
/// that the two belong together. All accesses are relaxed; who overwrites another's note delays the
/// answer by a look.
#[derive(Debug, Default)]
pub(super) struct Sighting(AtomicU64);

impl Sighting {
    /// Whether the shard has been in the poll of this number for long. `poll` counts each poll
    /// twice, so that it is odd during one; `now` gives nanoseconds.
    pub(super) fn is_long(&self, poll: u64, now: impl FnOnce() -> u64) -> bool {
        if poll.is_multiple_of(2) {
            return false;
        }
        let poll = poll << TIME_BITS;
        let seen = self.0.load(Ordering::Relaxed);
        if seen & !TIME != poll {
            self.0.store(poll | UNTIMED, Ordering::Relaxed);
            return false;
        }
        let since = seen & TIME;
        if since == KNOWN {
            return true;
        }
        // The two lowest times have a meaning of their own.
        let now = ((now() >> STEP_BITS) & TIME).max(KNOWN + 1);
        if since == UNTIMED {
            self.0.store(poll | now, Ordering::Relaxed);
            return false;
        }
        let is_long = (now.wrapping_sub(since) & TIME) << STEP_BITS >= LONG;
        if is_long {
            self.0.store(poll | KNOWN, Ordering::Relaxed);
        }
        is_long
    }
}

#[cfg(test)]
mod tests {
    use super::{LONG, Sighting, TIME};

    #[test]
    fn polls_that_change_are_never_long_and_cost_no_look_at_the_clock() {
        let sighting = Sighting::default();
        for poll in 0..1_000 {
            assert!(!sighting.is_long(poll, || unreachable!("the poll was not seen before")));
        }
    }

    #[test]
    fn the_same_poll_is_long_when_it_was_seen_long_ago() {
        let sighting = Sighting::default();
        let start = 5_000_000;
        assert!(!sighting.is_long(7, || unreachable!("a first look")));
        assert!(!sighting.is_long(7, || start));
        assert!(!sighting.is_long(7, || start + LONG / 2));
        assert!(sighting.is_long(7, || start + 2 * LONG));
        assert!(sighting.is_long(7, || unreachable!("it is known")));
        assert!(!sighting.is_long(8, || unreachable!("it is over")));
        assert!(!sighting.is_long(9, || unreachable!("another poll")));
    }

    #[test]
    fn a_clock_that_comes_around_changes_nothing() {
        let sighting = Sighting::default();
        let start = (TIME << 10) - 20_000;
        for (poll, start) in [(1, start), (3, 0)] {
            assert!(!sighting.is_long(poll, || start));
            assert!(!sighting.is_long(poll, || start));
            assert!(!sighting.is_long(poll, || start + LONG / 2));
            assert!(sighting.is_long(poll, || start + 2 * LONG));
        }
    }
}
