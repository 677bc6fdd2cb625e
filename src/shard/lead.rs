//! How much earlier than a timer's deadline to end a sleep: what waking up takes on this machine.
//!
//! A sleep with a deadline ends late, by 15 to 25 us on the virtual machine this was measured on:
//! the processor has to be woken first. So a shard that sleeps towards a timer asks for that much
//! less, and waits out the rest awake. It costs that much CPU time per timer that fires on an
//! otherwise idle shard, and nothing for a timer that is removed before.
//!
//! Where many timers fire, one soon after the other, there would be no sleep left, or one for each.
//! There a shard sleeps on past the next deadline, and fires several at once: each is later by some
//! hundred microseconds, and costs a part of a sleep. On that machine a sleep took 25 us of CPU
//! time with all that the kernel does for it, and a timer without it about 1 us; so the denser
//! timers are, the more of them share one.

use std::time::{Duration, Instant};

/// No machine is believed to need longer; beyond this it was busy, not slow.
const MOST: Duration = Duration::from_micros(50);
/// What is believed before anything was measured.
const FIRST: Duration = Duration::from_micros(20);
/// The last sleep weighs one part in so many, and so does the last gap.
const WEIGHT: u32 = 8;
/// Timers are gathered if so much lies between two, or less.
const DENSE: Duration = Duration::from_micros(100);
/// And if at least so many are set: who sets one at a time wants each of them in time.
const CROWD: usize = 64;
/// What is just dense enough is gathered for so long, and what is denser for longer.
const SHORTEST: Duration = Duration::from_micros(200);
/// Nothing is gathered for longer than this: half of it is how late a timer is on average.
const LONGEST: Duration = Duration::from_millis(1);
/// A longer gap counts as one of this length.
const SPARSE: Duration = Duration::from_millis(1);

/// The lateness of sleeps and the gap between two timers, learned.
#[derive(Debug)]
pub(super) struct Lead {
    lateness: Duration,
    enabled: bool,
    gap: Duration,
    /// When timers fired last.
    fired: Option<Instant>,
}

impl Lead {
    /// A shard that may not spin does not wait awake either.
    pub(super) fn new(enabled: bool) -> Self {
        Self { lateness: FIRST, enabled, gap: SPARSE, fired: None }
    }

    /// How much earlier to end a sleep towards a timer.
    pub(super) fn get(&self) -> Duration {
        if self.enabled { self.lateness } else { Duration::ZERO }
    }

    /// How long to sleep at least, if so many timers are set; `None`: until the next one is due.
    pub(super) fn gather(&self, timers: usize) -> Option<Duration> {
        let is_dense = timers >= CROWD && self.gap <= DENSE;
        is_dense.then(|| {
            let span = SHORTEST.as_nanos() * DENSE.as_nanos() / self.gap.as_nanos().max(1);
            LONGEST.min(Duration::from_nanos(span as u64))
        })
    }

    /// So many timers fired at once, at least one.
    pub(super) fn fired(&mut self, now: Instant, timers: usize) {
        let before = self.fired.replace(now);
        let since = before.map_or(SPARSE, |before| now.saturating_duration_since(before));
        let each = since.min(SPARSE) / u32::try_from(timers).unwrap_or(u32::MAX);
        self.gap = (self.gap * (WEIGHT - 1) + each) / WEIGHT;
    }

    /// A sleep ended at its deadline, and so much after it.
    pub(super) fn learn(&mut self, late: Duration) {
        self.lateness = (self.lateness * (WEIGHT - 1) + late.min(MOST)) / WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{CROWD, LONGEST, Lead, MOST, SHORTEST};

    /// Fires so many at once, again and again with this span between.
    fn fire(lead: &mut Lead, now: &mut Instant, times: usize, span: Duration, timers: usize) {
        for _ in 0..times {
            *now += span;
            lead.fired(*now, timers);
        }
    }

    #[test]
    fn the_denser_timers_fire_the_longer_they_are_gathered() {
        let (mut lead, mut now) = (Lead::new(true), Instant::now());
        assert_eq!(lead.gather(CROWD), None, "nothing has fired");
        let is_about = |lead: &Lead, micros: u128| {
            let span = lead.gather(CROWD).unwrap();
            assert!(span.as_micros().abs_diff(micros) < 5, "{span:?}, not {micros} us");
        };
        fire(&mut lead, &mut now, 100, Duration::from_micros(99), 1);
        is_about(&lead, SHORTEST.as_micros() * 100 / 99);
        assert_eq!(lead.gather(CROWD - 1), None, "too few are set");
        // What is gathered fires together, which changes nothing.
        fire(&mut lead, &mut now, 100, Duration::from_micros(99 * 2), 2);
        is_about(&lead, SHORTEST.as_micros() * 100 / 99);
        fire(&mut lead, &mut now, 100, Duration::from_micros(50), 1);
        is_about(&lead, SHORTEST.as_micros() * 2);
        fire(&mut lead, &mut now, 100, Duration::from_micros(10), 1);
        assert_eq!(lead.gather(CROWD), Some(LONGEST));
        fire(&mut lead, &mut now, 100, Duration::ZERO, 1_000);
        assert_eq!(lead.gather(CROWD), Some(LONGEST), "also without any gap");
        fire(&mut lead, &mut now, 100, Duration::from_micros(110), 1);
        assert_eq!(lead.gather(CROWD), None, "there is time to sleep for each");
    }

    #[test]
    fn one_pause_and_timers_are_in_time_again() {
        let (mut lead, mut now) = (Lead::new(true), Instant::now());
        fire(&mut lead, &mut now, 100, Duration::from_micros(10), 1);
        fire(&mut lead, &mut now, 1, Duration::from_secs(1), 1);
        assert_eq!(lead.gather(CROWD), None);
    }

    #[test]
    fn it_follows_the_lateness_and_stays_below_its_limit() {
        let mut lead = Lead::new(true);
        for _ in 0..100 {
            lead.learn(Duration::from_secs(1));
        }
        assert!(lead.get() <= MOST);
        assert!(lead.get() > MOST * 9 / 10, "{:?}", lead.get());
        for _ in 0..100 {
            lead.learn(Duration::ZERO);
        }
        assert!(lead.get() < Duration::from_micros(1), "{:?}", lead.get());
    }

    #[test]
    fn without_spinning_there_is_none() {
        let mut lead = Lead::new(false);
        lead.learn(MOST);
        assert_eq!(lead.get(), Duration::ZERO);
    }
}
