//! The counters of a shard: one thread writes them, every thread reads them.

use crate::primitive::{AtomicU64, Ordering};
use crate::stats::ShardStats;
use crate::stats::histogram::Distribution;
use crate::stats::numbers::each_number;

/// A counter that one thread writes and every thread reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds; for the one writer only.
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        // One writer: a load and a store are enough, and cost no locked instruction.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Sets; for the one writer only.
    #[inline]
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Sets it if the value is larger; for the one writer only.
    #[inline]
    pub(crate) fn raise(&self, value: u64) {
        if value > self.get() {
            self.set(value);
        }
    }

    /// Adds from any thread.
    #[inline]
    pub(crate) fn add_shared(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The count.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    (
        own { $($own:ident: $group:ident, $kind:ident, $help:literal;)* }
        elsewhere { $($elsewhere:tt)* }
    ) => {
        /// The counters of one shard, written by its thread alone.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(#[doc = $help] pub(crate) $own: Counter,)*
            /// Pinned tasks that were queued; those that were polled left the queue.
            pub(crate) pinned_queued: Counter,
            /// How long polls took.
            pub(crate) poll_times: Distribution,
            /// How long woken tasks waited for their poll.
            pub(crate) wake_to_poll: Distribution,
        }

        impl Counters {
            /// Reads all counters. What is counted elsewhere is 0.
            pub(crate) fn snapshot(&self) -> ShardStats {
                ShardStats {
                    $($own: self.$own.get(),)*
                    poll_times: self.poll_times.snapshot(),
                    wake_to_poll: self.wake_to_poll.snapshot(),
                    ..ShardStats::default()
                }
            }
        }
    };
}

each_number!(counters);

impl Counters {
    /// How many pinned tasks wait in the shard's own queue.
    pub(crate) fn pinned_waiting(&self) -> usize {
        // What was polled is read first, so that the difference is never below 0 by much; it may be
        // while a task is on its way from the queue into its poll.
        let polled = self.pinned_polls.get();
        self.pinned_queued.get().saturating_sub(polled) as usize
    }
}
