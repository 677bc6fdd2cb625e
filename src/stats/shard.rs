//! What one shard counted, as users read it.

use std::time::Duration;

use crate::stats::Histogram;
use crate::stats::numbers::{NUMBERS, each_number};

macro_rules! shard_stats {
    (own { $($own:tt)* } elsewhere { $($elsewhere:tt)* }) => {
        shard_stats! { @ $($elsewhere)* $($own)* }
    };
    (@ $($name:ident: $group:ident, $kind:ident, $help:literal;)*) => {
        /// What one shard, or with [`RuntimeStats::total`] all of them together, counted since the
        /// runtime started.
        ///
        /// Every number only grows, but for those that are said to be gauges. The numbers are read
        /// one after the other, so two that belong together may be apart by what happened
        /// meanwhile.
        ///
        /// [`RuntimeStats::total`]: crate::RuntimeStats::total
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        #[non_exhaustive]
        pub struct ShardStats {
            $(#[doc = $help] pub $name: u64,)*
            /// How long polls of tasks took.
            ///
            /// A sample: those whose time the shard took anyway in order to learn how long polls
            /// are, which is every poll where they last over 32 us, and one turn in seven where
            /// they are short. Of up to 16 short polls in a row only the time of all is known, and
            /// each counts with their mean; so a long poll among short ones is hidden here, and
            /// shows in [`longest_poll_nanos`](Self::longest_poll_nanos). With
            /// [`poll_histograms`](crate::Builder::poll_histograms) every poll is timed by itself.
            pub poll_times: Histogram,
            /// How long tasks waited from the moment they were queued, because they were woken or
            /// spawned, to the begin of their poll. Counted with
            /// [`poll_histograms`](crate::Builder::poll_histograms) only, in steps of 128 ns.
            ///
            /// A task that was woken while it was polled counts from the end of that poll, one that
            /// was stolen from when it was queued at its former shard.
            pub wake_to_poll: Histogram,
        }
    };
}

each_number!(shard_stats);

impl ShardStats {
    /// Polls of tasks that any shard may run.
    pub fn stealable_executed(&self) -> u64 {
        self.polls.saturating_sub(self.pinned_polls)
    }

    /// Of the polls of [`stealable_executed`](Self::stealable_executed), those of tasks that lay in
    /// the shard's own queue.
    pub fn stealable_local_hits(&self) -> u64 {
        self.stealable_executed().saturating_sub(self.stolen_polls)
    }

    /// Tasks spawned through this shard that any shard may run.
    pub fn spawned_stealable(&self) -> u64 {
        self.spawned.saturating_sub(self.spawned_pinned)
    }

    /// The share of [`stealable_executed`](Self::stealable_executed) that was local: 0 to 1, and 0
    /// if there was none.
    pub fn local_hit_ratio(&self) -> f64 {
        rate(self.stealable_local_hits(), self.stealable_executed())
    }

    /// The share of steal attempts that gave something: 0 to 1.
    pub fn steal_success_rate(&self) -> f64 {
        rate(self.steal_success, self.steal_attempts)
    }

    /// Tasks taken per search that found a shard to try; 0 if there was none. No rate: a search may
    /// take many.
    pub fn stolen_per_scan(&self) -> f64 {
        ratio(self.stolen, self.steal_scans)
    }

    /// The share of spins that ended with something to do: 0 to 1.
    pub fn spin_hit_rate(&self) -> f64 {
        rate(self.spin_hits, self.spin_hits.saturating_add(self.spin_misses))
    }

    /// The share of doorbells that came too late to be of use: 0 to 1.
    pub fn doorbell_spurious_rate(&self) -> f64 {
        rate(self.doorbells_spurious, self.doorbells_heard)
    }

    /// Entries pushed per call of `io_uring_enter`; 0 if there was none.
    pub fn sqes_per_enter(&self) -> f64 {
        ratio(self.sqes, self.enters)
    }

    /// Completions per call of `io_uring_enter`; 0 if there was none.
    pub fn cqes_per_enter(&self) -> f64 {
        ratio(self.cqes, self.enters)
    }

    /// No poll of a task took longer: [`longest_poll_nanos`](Self::longest_poll_nanos).
    pub fn longest_poll(&self) -> Duration {
        Duration::from_nanos(self.longest_poll_nanos)
    }

    /// The time this shard slept.
    pub fn parked(&self) -> Duration {
        Duration::from_nanos(self.parked_nanos)
    }

    /// The time this shard spun.
    pub fn spun(&self) -> Duration {
        Duration::from_nanos(self.spin_nanos)
    }

    /// Puts the numbers of another shard to these.
    pub(super) fn join(&mut self, other: &Self) {
        for number in NUMBERS {
            number.join(self, other);
        }
        self.poll_times.join(&other.poll_times);
        self.wake_to_poll.join(&other.wake_to_poll);
    }
}

/// How much of `part` there is for each of `whole`; 0 for 0 of anything.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The share of `whole` that `part` is. The two were read one after the other, so the part may have
/// got ahead; a share does not.
fn rate(part: u64, whole: u64) -> f64 {
    ratio(part, whole).min(1.0)
}
