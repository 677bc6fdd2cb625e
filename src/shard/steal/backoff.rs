//! How long a shard that has looked with others in vain leaves them alone, while it is awake.
//!
//! A look reads words that the others write, so it takes these lines out of their caches; what
//! costs the looking shard nothing costs them. So looks in vain come ever more rarely, by the
//! clock. Work that was left for the shard itself ends its spin at once, and a bell, a claim or the
//! end of the spin end the back-off: the look before a sleep and the one after a wake-up are never
//! skipped.

use std::time::{Duration, Instant};

use crate::options::StealOptions;

/// The looks of one shard at others.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    /// What each look in vain multiplies the pause by.
    factor: u32,
    /// How long to wait after the next look in vain.
    pause: Duration,
    /// When to look again; `None` for at once.
    until: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(options: &StealOptions) -> Self {
        let (min, max) = (options.backoff_min, options.backoff_max);
        Self { min, max, factor: options.fail_cost.saturating_add(1), pause: min, until: None }
    }

    /// Whether it is time to look.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// A look gave nothing.
    pub(super) fn in_vain(&mut self, now: Instant) {
        self.until = now.checked_add(self.pause);
        self.pause = self.pause.saturating_mul(self.factor).min(self.max);
    }

    /// A look gave something, or somebody called: the next is at once.
    pub(super) fn end(&mut self) {
        self.pause = self.min;
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Backoff;
    use crate::options::StealOptions;

    const STEP: Duration = Duration::from_nanos(100);

    fn backoff(fail_cost: u32, min: u64, max: u64) -> Backoff {
        let (backoff_min, backoff_max) = (Duration::from_micros(min), Duration::from_micros(max));
        Backoff::new(&StealOptions { fail_cost, backoff_min, backoff_max, ..Default::default() })
    }

    /// The microseconds from each of so many looks in vain to the next.
    fn pauses(backoff: &mut Backoff, looks: usize) -> Vec<u128> {
        let mut now = Instant::now();
        let one = |_| {
            assert!(backoff.is_over(now));
            backoff.in_vain(now);
            let looked = now;
            while !backoff.is_over(now) {
                now += STEP;
            }
            (now - looked).as_micros()
        };
        (0..looks).map(one).collect()
    }

    #[test]
    fn looks_in_vain_come_later_and_later_up_to_the_limit() {
        assert_eq!(pauses(&mut backoff(1, 2, 20), 6), [2, 4, 8, 16, 20, 20]);
    }

    #[test]
    fn a_failure_that_costs_more_makes_the_next_look_later() {
        assert_eq!(pauses(&mut backoff(3, 1, 100), 5), [1, 4, 16, 64, 100]);
        assert_eq!(pauses(&mut backoff(u32::MAX, 1, 100), 3), [1, 100, 100]);
    }

    #[test]
    fn failures_that_cost_nothing_leave_the_pause_as_it_is() {
        assert_eq!(pauses(&mut backoff(0, 3, 100), 4), [3, 3, 3, 3]);
    }

    #[test]
    fn a_find_or_a_call_starts_over() {
        let mut backoff = backoff(1, 2, 20);
        pauses(&mut backoff, 5);
        let now = Instant::now();
        backoff.in_vain(now);
        assert!(!backoff.is_over(now));
        backoff.end();
        assert!(backoff.is_over(now));
        assert_eq!(pauses(&mut backoff, 2), [2, 4]);
    }

    #[test]
    fn without_a_pause_every_look_is_due() {
        assert_eq!(pauses(&mut backoff(1, 0, 0), 3), [0, 0, 0]);
        assert_eq!(pauses(&mut backoff(1, 0, 20), 3), [0, 0, 0]);
    }
}
