//! How long the sentinel sleeps between two looks at the backlogs.
//!
//! A look in vain costs a wake-up, so the next one comes twice as late, up to a limit; one that led
//! to something starts over. What waits in a LIFO slot can be taken only when two looks saw its
//! owner in the same poll: so a look that found such a task is followed by one right after, and as
//! long as slots are used the looks stay so close that both fit into a millisecond.

use std::time::Duration;

/// After the first sleep.
const FIRST: Duration = Duration::from_micros(350);
/// To the second of two looks, which tell a long poll.
const SECOND: Duration = Duration::from_micros(120);
/// Sleeps double so many times: to 11.2 ms.
const MOST: u32 = 5;
/// After so many the sleep is still short enough for others to rely on.
const NEAR: u32 = 1;

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
        if self.second { SECOND } else { FIRST * (1 << self.doublings) }
    }

    /// Whether that is so short that others may rely on it.
    pub(crate) fn is_soon(&self) -> bool {
        self.second || self.doublings <= NEAR
    }

    /// There was something to do, or somebody wished for the look.
    pub(crate) fn start_over(&mut self) {
        *self = Self::default();
    }

    /// Slots are used: the next sleep is one that others may rely on.
    pub(crate) fn stay_near(&mut self) {
        self.doublings = 0;
    }

    /// The look was in vain. `held`: a shard holds a task back, in a poll that is not a short one.
    pub(crate) fn in_vain(&mut self, held: bool) {
        if held && !self.second {
            self.second = true;
            return;
        }
        self.second = false;
        self.doublings = if held { NEAR } else { MOST.min(self.doublings + 1) };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FIRST, SECOND, Watch};

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
        assert_eq!((watch.interval(), watch.is_soon()), (2 * FIRST, true));
        watch.in_vain(false);
        assert_eq!((watch.interval(), watch.is_soon()), (4 * FIRST, false));
        sleeps(&mut watch, false, 100);
        assert_eq!(watch.interval(), Duration::from_micros(11_200));
    }

    #[test]
    fn while_tasks_are_held_back_two_looks_fit_into_a_millisecond() {
        let mut watch = Watch::default();
        sleeps(&mut watch, false, 100);
        sleeps(&mut watch, true, 2);
        for _ in 0..100 {
            assert!(watch.is_soon());
            assert!(sleeps(&mut watch, true, 2) < Duration::from_micros(900));
        }
    }

    #[test]
    fn a_late_look_that_finds_a_task_held_back_is_followed_by_one_right_after() {
        let mut watch = Watch::default();
        sleeps(&mut watch, false, 100);
        watch.in_vain(true);
        assert_eq!((watch.interval(), watch.is_soon()), (SECOND, true));
        watch.in_vain(false);
        assert!(!watch.is_soon(), "it was a passing one");
    }

    #[test]
    fn while_slots_are_used_the_looks_stay_near() {
        let mut watch = Watch::default();
        for _ in 0..100 {
            watch.stay_near();
            watch.in_vain(false);
            assert_eq!((watch.interval(), watch.is_soon()), (2 * FIRST, true));
        }
    }

    #[test]
    fn a_look_that_led_to_something_starts_over() {
        let mut watch = Watch::default();
        sleeps(&mut watch, false, 7);
        watch.start_over();
        assert_eq!(watch.interval(), FIRST);
    }
}
