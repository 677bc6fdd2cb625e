//! How much earlier than a timer's deadline to end a sleep: what waking up takes on this machine.
//!
//! A sleep with a deadline ends late, by 15 to 25 us on the virtual machine this was measured on:
//! the processor has to be woken first. So a shard that sleeps towards a timer asks for that much
//! less, and waits out the rest awake. It costs that much CPU time per timer that fires on an
//! otherwise idle shard, and nothing for a timer that is removed before.

use std::time::Duration;

/// No machine is believed to need longer; beyond this it was busy, not slow.
const MOST: Duration = Duration::from_micros(50);
/// What is believed before anything was measured.
const FIRST: Duration = Duration::from_micros(20);
/// The last sleep weighs one part in so many.
const WEIGHT: u32 = 8;

/// The lateness of sleeps, learned.
#[derive(Debug)]
pub(super) struct Lead {
    lateness: Duration,
    enabled: bool,
}

impl Lead {
    /// A shard that may not spin does not wait awake either.
    pub(super) fn new(enabled: bool) -> Self {
        Self { lateness: FIRST, enabled }
    }

    /// How much earlier to end a sleep towards a timer.
    pub(super) fn get(&self) -> Duration {
        if self.enabled { self.lateness } else { Duration::ZERO }
    }

    /// A sleep ended at its deadline, and so much after it.
    pub(super) fn learn(&mut self, late: Duration) {
        self.lateness = (self.lateness * (WEIGHT - 1) + late.min(MOST)) / WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Lead, MOST};

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
