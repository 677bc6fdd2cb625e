//! What a runtime counts: cheap counters that each shard keeps for itself, and the snapshot that
//! users read.

use std::fmt;
use std::time::Duration;

use crate::primitive::{AtomicU64, Ordering};

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

/// Declares the counters of a shard once: as counters, as the public snapshot, and as the sum.
macro_rules! shard_stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one shard; written by its thread unless said otherwise.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: Counter,)*
        }

        impl Counters {
            /// Reads all counters.
            pub(crate) fn snapshot(&self) -> ShardStats {
                ShardStats { $($name: self.$name.get(),)* }
            }
        }

        /// What one shard, or with [`RuntimeStats::total`] all of them together, counted since the
        /// runtime started. Gauges are said to be gauges.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        #[non_exhaustive]
        pub struct ShardStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl ShardStats {
            /// Adds the numbers of another shard.
            #[inline]
            fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

shard_stats! {
    /// Polls of tasks.
    polls,
    /// Polls of tasks that came straight from the LIFO slot.
    lifo_polls,
    /// Tasks spawned through this shard.
    spawned,
    /// Tasks taken from other shards.
    stolen,
    /// Looks at another shard's queue in order to steal.
    steal_attempts,
    /// Looks at another shard's queue that gave at least one task.
    steal_success,
    /// Tasks handed to another shard because this one was woken for them alone again and again.
    folded,
    /// Doorbells sent to sleeping shards.
    doorbells_sent,
    /// Wake-ups that needed no doorbell because one was under way (counted from any thread).
    doorbells_coalesced,
    /// Doorbells heard.
    doorbells_heard,
    /// Doorbells heard while awake.
    doorbells_spurious,
    /// Doorbells that the kernel refused; each was rung again.
    doorbells_failed,
    /// Calls of `io_uring_enter`.
    enters,
    /// Entries pushed onto the ring.
    sqes,
    /// Completions taken from the ring.
    cqes,
    /// Operations finished without the ring, by a direct call that could not block.
    inline_completions,
    /// Operations that the ring has no opcode for, done by a thread of the blocking pool (counted
    /// from any thread).
    blocking_jobs,
    /// Times the shard went to sleep.
    parks,
    /// Times a spin ended because there was something to do.
    spin_hits,
    /// Times a spin ended without anything to do.
    spin_misses,
    /// Nanoseconds spent spinning.
    spin_nanos,
    /// Nanoseconds spent asleep.
    parked_nanos,
    /// Timers that fired.
    timers_fired,
    /// Tasks and letters received from other threads.
    mail_received,
    /// Messages that this shard sent, and those that other threads than shards sent to it.
    ring_msgs_submitted,
    /// Messages that went as a completion on the ring of their target.
    ring_msgs_direct,
    /// Messages that became events of this shard.
    ring_msgs_completed,
    /// Of those, hot ones; and counts that were taken.
    ring_msgs_hot,
    /// Messages that the kernel refused; each took its lane instead.
    ring_msgs_failed,
    /// Messages that were refused to their sender, as backpressure or because the target is gone.
    ring_msgs_backpressure,
    /// Completions that named an operation which was no longer in flight.
    stale_completions,
    /// Polls that ended because a task had its share of ready operations.
    budget_yields,
    /// Placement answers that named no shard and were taken modulo the number of shards.
    misplaced,
    /// Gauge: operations in flight.
    in_flight,
    /// Gauge: tasks alive that were spawned through this shard.
    live_tasks,
    /// Gauge: runnable tasks that wait.
    queued,
}

impl ShardStats {
    /// Entries pushed per call of `io_uring_enter`; 0 if there was none.
    pub fn sqes_per_enter(&self) -> f64 {
        ratio(self.sqes, self.enters)
    }

    /// Completions per call of `io_uring_enter`; 0 if there was none.
    pub fn cqes_per_enter(&self) -> f64 {
        ratio(self.cqes, self.enters)
    }

    /// The share of steal attempts that gave something: 0 to 1.
    pub fn steal_success_rate(&self) -> f64 {
        ratio(self.steal_success, self.steal_attempts)
    }

    /// The share of spins that ended with something to do: 0 to 1.
    pub fn spin_hit_rate(&self) -> f64 {
        ratio(self.spin_hits, self.spin_hits + self.spin_misses)
    }

    /// The time this shard slept.
    pub fn parked(&self) -> Duration {
        Duration::from_nanos(self.parked_nanos)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What the shards of a runtime counted: one look at each counter, no lock.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = spargio::Runtime::builder().shards(2).build()?;
/// runtime.block_on(async { spargio::yield_now().await });
/// let stats = runtime.handle().stats_snapshot();
/// assert_eq!(stats.shards.len(), 2);
/// println!("{stats}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct RuntimeStats {
    /// One entry per shard, in order.
    pub shards: Vec<ShardStats>,
}

impl RuntimeStats {
    /// The sums over all shards.
    pub fn total(&self) -> ShardStats {
        let mut total = ShardStats::default();
        for shard in &self.shards {
            total.add(shard);
        }
        total
    }
}

impl fmt::Display for RuntimeStats {
    /// A table with a line per shard.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>5} {:>10} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9} {:>8} {:>8} {:>9} {:>6}",
            "shard",
            "polls",
            "spawned",
            "stolen",
            "bells",
            "coalesc",
            "enters",
            "sqes",
            "sqe/enter",
            "inline",
            "parks",
            "spin hits",
            "folded"
        )?;
        for (number, s) in self.shards.iter().enumerate() {
            writeln!(
                f,
                "{:>5} {:>10} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9.2} {:>8} {:>8} {:>9} {:>6}",
                number,
                s.polls,
                s.spawned,
                s.stolen,
                s.doorbells_sent,
                s.doorbells_coalesced,
                s.enters,
                s.sqes,
                s.sqes_per_enter(),
                s.inline_completions,
                s.parks,
                s.spin_hits,
                s.folded
            )?;
        }
        Ok(())
    }
}
