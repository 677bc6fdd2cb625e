//! What the shards of a runtime counted, and what is made of it.

use crate::options::StealOptions;
use crate::stats::{BlockingStats, ShardStats};

/// What the shards of a runtime counted: one look at each counter, no lock.
///
/// [`shards`](Self::shards) has the numbers of each shard and [`total`](Self::total) their sums. To
/// see what happens per second, take two snapshots and subtract. For people it is a table
/// (`Display`), for a monitoring system text ([`render_prometheus`](Self::render_prometheus)).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = spargio::Runtime::builder().shards(2).build()?;
/// runtime.block_on(runtime.handle().spawn_stealable(async {})?)?;
/// let stats = runtime.stats_snapshot();
/// assert_eq!(stats.shards.len(), 2);
/// assert_eq!(stats.total().spawned, 1);
/// println!("{stats}");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }
/// ```
///
/// # Names of published versions
///
/// What versions before 0.6 counted is found here:
///
/// | before 0.6 | here |
/// |---|---|
/// | `shard_command_depths` | [`shard_command_depths()`], of [`queued`] |
/// | `pending_native_ops`, `.._by_shard` | the methods of those names, of [`in_flight`] |
/// | `native_any_envelope_submitted` | the method of that name, of [`ops_posted`] |
/// | `native_any_local_fastpath_submitted` | the same, of [`ops_submitted`] less `ops_posted` |
/// | `native_any_local_direct_submitted` | the same, of [`inline_completions`] |
/// | `spawn_pinned_submitted` | [`spawned_pinned`] |
/// | `spawn_stealable_submitted` | [`spawned_stealable()`] |
/// | `stealable_executed` | [`stealable_executed()`]: polls, as a task may move between any two |
/// | `stealable_local_hits` | [`stealable_local_hits()`]: the same |
/// | `stealable_stolen` | [`stolen`] |
/// | `stealable_backpressure` | [`spawns_refused`] |
/// | `steal_attempts`, `steal_scans` | [`steal_attempts`], [`steal_scans`] |
/// | `steal_success` | [`steal_success`], which counts attempts; tasks are `stolen` |
/// | `steal_skipped_locality` | [`steal_skipped_locality`] |
/// | `steal_failed_streak_max` | [`steal_failed_streak_max`] |
/// | `stealable_wake_sent` | [`called_for_help`] |
/// | `stealable_wake_coalesced` | [`doorbells_coalesced`] |
/// | `ring_msgs_*` | the fields of those names |
/// | `steal_victim_stride` and the other knobs | [`steal`](Self::steal) |
/// | `native_affinity_violations` | nothing: no descriptor is bound to a shard |
///
/// [`shard_command_depths()`]: Self::shard_command_depths
/// [`queued`]: ShardStats::queued
/// [`in_flight`]: ShardStats::in_flight
/// [`ops_posted`]: ShardStats::ops_posted
/// [`ops_submitted`]: ShardStats::ops_submitted
/// [`inline_completions`]: ShardStats::inline_completions
/// [`spawned_pinned`]: ShardStats::spawned_pinned
/// [`spawned_stealable()`]: ShardStats::spawned_stealable
/// [`stealable_executed()`]: ShardStats::stealable_executed
/// [`stealable_local_hits()`]: ShardStats::stealable_local_hits
/// [`stolen`]: ShardStats::stolen
/// [`spawns_refused`]: ShardStats::spawns_refused
/// [`steal_attempts`]: ShardStats::steal_attempts
/// [`steal_scans`]: ShardStats::steal_scans
/// [`steal_success`]: ShardStats::steal_success
/// [`steal_skipped_locality`]: ShardStats::steal_skipped_locality
/// [`steal_failed_streak_max`]: ShardStats::steal_failed_streak_max
/// [`called_for_help`]: ShardStats::called_for_help
/// [`doorbells_coalesced`]: ShardStats::doorbells_coalesced
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct RuntimeStats {
    /// One entry per shard, in order.
    pub shards: Vec<ShardStats>,
    /// How a shard without work looks for it: the knobs that are in effect.
    pub steal: StealOptions,
    /// Whether every poll is timed: [`poll_histograms`](crate::Builder::poll_histograms).
    pub poll_histograms: bool,
    /// The threads that do what blocks.
    pub blocking: BlockingStats,
}

impl RuntimeStats {
    /// The sums over all shards; of [`longest_poll_nanos`](ShardStats::longest_poll_nanos) and
    /// [`steal_failed_streak_max`](ShardStats::steal_failed_streak_max) the largest.
    pub fn total(&self) -> ShardStats {
        let mut total = ShardStats::default();
        for shard in &self.shards {
            total.join(shard);
        }
        total
    }

    /// Runnable tasks and letters that wait, per shard.
    pub fn shard_command_depths(&self) -> Vec<usize> {
        self.shards.iter().map(|shard| shard.queued as usize).collect()
    }

    /// Runnable tasks and letters that wait, on all shards.
    pub fn total_command_depth(&self) -> usize {
        self.shards.iter().map(|shard| shard.queued as usize).sum()
    }

    /// The most that wait on one shard; 0 without shards.
    pub fn max_command_depth(&self) -> usize {
        self.shards.iter().map(|shard| shard.queued as usize).max().unwrap_or(0)
    }

    /// Operations in flight, per shard.
    pub fn pending_native_ops_by_shard(&self) -> Vec<usize> {
        self.shards.iter().map(|shard| shard.in_flight as usize).collect()
    }

    /// Operations in flight, on all shards.
    pub fn pending_native_ops(&self) -> u64 {
        self.shards.iter().map(|shard| shard.in_flight).sum()
    }

    /// The most operations in flight on one shard; 0 without shards.
    pub fn max_pending_native_ops_by_shard(&self) -> usize {
        self.shards.iter().map(|shard| shard.in_flight as usize).max().unwrap_or(0)
    }

    /// Operations handed to a shard by another thread than its own, on all shards:
    /// [`ShardStats::ops_posted`].
    pub fn native_any_envelope_submitted(&self) -> u64 {
        self.total().ops_posted
    }

    /// Operations that a shard put on its ring for itself, on all shards: all that are
    /// [submitted](ShardStats::ops_submitted) but those of others.
    pub fn native_any_local_fastpath_submitted(&self) -> u64 {
        let total = self.total();
        total.ops_submitted.saturating_sub(total.ops_posted)
    }

    /// Operations that a shard did by a direct call, without its ring, on all shards:
    /// [`ShardStats::inline_completions`].
    pub fn native_any_local_direct_submitted(&self) -> u64 {
        self.total().inline_completions
    }

    /// [`ShardStats::steal_success_rate`] of all shards together: 0 to 1.
    pub fn steal_success_rate(&self) -> f64 {
        self.total().steal_success_rate()
    }

    /// [`ShardStats::local_hit_ratio`] of all shards together: 0 to 1.
    pub fn local_hit_ratio(&self) -> f64 {
        self.total().local_hit_ratio()
    }

    /// [`ShardStats::stolen_per_scan`] of all shards together.
    pub fn stolen_per_scan(&self) -> f64 {
        self.total().stolen_per_scan()
    }

    /// How much more the busiest shard polled than the mean of all: 1 when all polled alike, the
    /// number of shards when one polled everything, 0 before the first poll.
    pub fn imbalance(&self) -> f64 {
        let sum: u64 = self.shards.iter().map(|shard| shard.polls).sum();
        let most = self.shards.iter().map(|shard| shard.polls).max().unwrap_or(0);
        if sum == 0 { 0.0 } else { most as f64 * self.shards.len() as f64 / sum as f64 }
    }
}
