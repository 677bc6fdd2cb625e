//! How long the sentinel sleeps between two looks at the backlogs.
//!
//! A look in vain costs a wake-up, so the next one comes twice as late, up to a limit; one that led
//! to something starts over. What waits in a LIFO slot can be taken only when two looks saw its
//! owner in the same poll: so a late look that found such a task is followed by a soon one.

use std::time::Duration;

/// After the first sleep: two looks that far apart tell a long poll.
const FIRST: Duration = Duration::from_micros(400);
/// Sleeps double so many times: to 12.8 ms.
const MOST: u32 = 5;

/// The sleeps of a sentinel.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    doublings: u32,
    /// The next look is the second of two.
    second: bool,
}

impl Watch {
    /// How long to sleep.
    pub(crate) fn interval(&self) -> Duration {
        if self.second { FIRST } else { FIRST * (1 << self.doublings) }
    }

    /// Whether that is so short that others may rely on it.
    pub(crate) fn is_soon(&self) -> bool {
        self.interval() == FIRST
    }

    /// There was something to do, or somebody wished for the look.
    pub(crate) fn start_over(&mut self) {
        *self = Self::default();
    }

    /// The look was in vain. `held`: a shard holds a task back.
    pub(crate) fn in_vain(&mut self, held: bool) {
        if held && !self.is_soon() {
            self.second = true;
            return;
        }
        self.second = false;
        self.doublings = MOST.min(self.doublings + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FIRST, Watch};

    /// The sum of so many sleeps in vain.
    fn sleeps(watch: &mut Watch, held: bool, count: u32) -> Duration {
        (0..count)
            .map(|_| {
                let interval = watch.interval();
                watch.in_vain(held);
                interval
            })
            .sum()
    }

    #[test]
    fn looks_in_vain_come_later_and_later_up_to_a_limit() {
        let mut watch = Watch::default();
        assert_eq!((watch.interval(), watch.is_soon()), (FIRST, true));
        watch.in_vain(false);
        assert_eq!((watch.interval(), watch.is_soon()), (2 * FIRST, false));
        sleeps(&mut watch, false, 100);
        assert_eq!(watch.interval(), Duration::from_micros(12_800));
    }

    #[test]
    fn while_a_task_is_held_back_no_two_looks_are_far_from_a_pair() {
        let mut watch = Watch::default();
        sleeps(&mut watch, true, 100);
        // One late look and its second.
        let pair = sleeps(&mut watch, true, 2);
        assert_eq!(pair, Duration::from_micros(12_800 + 400));
        let second = sleeps(&mut watch, true, 10_000);
        let each = second / 10_000;
        assert!(each > Duration::from_millis(6), "{each:?}");
    }

    #[test]
    fn a_task_held_back_after_a_quiet_time_is_looked_for_within_the_lower_limit() {
        let mut watch = Watch::default();
        sleeps(&mut watch, false, 100);
        watch.in_vain(true);
        assert!(watch.is_soon());
        watch.in_vain(true);
        assert_eq!(watch.interval(), Duration::from_micros(12_800));
    }

    #[test]
    fn a_look_that_led_to_something_starts_over() {
        let mut watch = Watch::default();
        sleeps(&mut watch, true, 7);
        watch.start_over();
        assert_eq!(watch.interval(), FIRST);
    }
}
