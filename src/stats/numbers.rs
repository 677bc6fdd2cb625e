//! The list of everything that is counted per shard: name, group, kind, and what it means.

use crate::stats::ShardStats;

/// What a number is about: its place in the table for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Group {
    Tasks,
    Stealing,
    Doorbells,
    Ring,
    Idle,
    Messages,
}

impl Group {
    pub(super) const ALL: [Self; 6] =
        [Self::Tasks, Self::Stealing, Self::Ring, Self::Messages, Self::Doorbells, Self::Idle];
}

/// How a number behaves, and how those of several shards are put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Only grows; added up.
    Total,
    /// The largest seen; the largest counts.
    Most,
    /// Goes up and down; added up.
    Gauge,
}

/// A number of a shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    /// As the field; one that ends in `_nanos` is a time.
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) kind: Kind,
    /// As the documentation of the field.
    pub(super) help: &'static str,
    pub(super) read: fn(&ShardStats) -> u64,
    pub(super) write: fn(&mut ShardStats) -> &mut u64,
}

impl Number {
    /// The name without its unit, and whether it is a time in nanoseconds.
    pub(super) fn stem(&self) -> (&'static str, bool) {
        match self.name.strip_suffix("_nanos") {
            Some(stem) => (stem, true),
            None => (self.name, false),
        }
    }

    /// Puts the number of another shard to that of `into`.
    pub(super) fn join(&self, into: &mut ShardStats, other: &ShardStats) {
        let value = (self.read)(other);
        let sum = (self.write)(into);
        *sum = match self.kind {
            Kind::Total | Kind::Gauge => sum.wrapping_add(value),
            Kind::Most => value.max(*sum),
        };
    }
}

/// Hands the list to a macro: first what the shard's own thread counts, then what is counted
/// elsewhere and put into the snapshot.
macro_rules! each_number {
    ($then:ident) => {
        $then! {
            own {
                lifo_polls: Tasks, Total,
                    "Polls of tasks that came straight from the LIFO slot.";
                pinned_polls: Tasks, Total,
                    "Polls of tasks that are bound to their shard.";
                stolen_polls: Tasks, Total,
                    "Polls of tasks right after they were stolen; what else the same theft moved is \
                     polled as any task of the shard.";
                budget_yields: Tasks, Total,
                    "Polls in which a task had its share of ready operations and had to give way.";
                longest_poll_nanos: Tasks, Most,
                    "No poll of a task took longer than this, in nanoseconds: the longest time between \
                     two looks at the clock with a poll in between, or, if every poll is timed, the \
                     longest poll.";
                timers_fired: Tasks, Total,
                    "Timers that fired.";
                timers: Tasks, Gauge,
                    "Gauge: timers that are set.";
                mail_received: Tasks, Total,
                    "Tasks and letters received from other threads.";
                stolen: Stealing, Total,
                    "Tasks taken from other shards.";
                steal_scans: Stealing, Total,
                    "Searches among the other shards that found one to try.";
                steal_attempts: Stealing, Total,
                    "Looks at another shard's queue in order to steal.";
                steal_success: Stealing, Total,
                    "Looks at another shard's queue that gave at least one task.";
                steal_skipped_locality: Stealing, Total,
                    "Queues with tasks that were left alone, because a victim keeps as many as the \
                     locality margin says.";
                steal_failed_streak_max: Stealing, Most,
                    "The most searches in a row that took nothing.";
                folded: Stealing, Total,
                    "Tasks handed to another shard because this one was woken for them alone again \
                     and again.";
                doorbells_sent: Doorbells, Total,
                    "Doorbells sent to sleeping shards; those that threads outside of the runtime \
                     rang count for the shard that was rung.";
                doorbells_heard: Doorbells, Total,
                    "Doorbells heard.";
                doorbells_spurious: Doorbells, Total,
                    "Doorbells heard while awake: something else had ended the sleep.";
                doorbells_failed: Doorbells, Total,
                    "Doorbells that the kernel refused; each was rung again.";
                enters: Ring, Total,
                    "Calls of `io_uring_enter`.";
                sqes: Ring, Total,
                    "Entries pushed onto the ring.";
                cqes: Ring, Total,
                    "Completions taken from the ring.";
                ops_submitted: Ring, Total,
                    "Operations that were given to the kernel through this ring.";
                ops_posted: Ring, Total,
                    "Of those, the ones that came from another thread, as a letter.";
                inline_completions: Ring, Total,
                    "Operations finished without the ring, by a direct call that could not block.";
                foreign_completions: Ring, Total,
                    "Operations of another shard's ring whose result was taken on this one: their \
                     task was there when they were submitted, and is here now.";
                stale_completions: Ring, Total,
                    "Completions that named an operation which was no longer in flight.";
                in_flight: Ring, Gauge,
                    "Gauge: operations in flight.";
                recv_buffers: Ring, Gauge,
                    "Gauge: receive buffers that the shard has provided to its kernel or lent to \
                     tasks.";
                recv_unprovided: Ring, Total,
                    "Receives of streams that got memory of their own, because the kernel had no \
                     provided buffer left or knows none.";
                fixed_ops: Ring, Total,
                    "Reads and writes of files with buffers that the ring knew by number.";
                fixed_refused: Ring, Total,
                    "Pools of fixed buffers that the ring did not take; operations with their \
                     buffers are ordinary ones.";
                parks: Idle, Total,
                    "Times the shard went to sleep.";
                parked_nanos: Idle, Total,
                    "Time spent asleep, in nanoseconds.";
                spin_hits: Idle, Total,
                    "Times a spin ended because there was something to do.";
                spin_misses: Idle, Total,
                    "Times a spin ended without anything to do.";
                spin_nanos: Idle, Total,
                    "Time spent spinning, in nanoseconds; the shortest spins are not timed.";
            }
            elsewhere {
                polls: Tasks, Total,
                    "Polls of tasks.";
                spawned: Tasks, Total,
                    "Tasks spawned through this shard.";
                spawned_pinned: Tasks, Total,
                    "Of those, the ones that are bound to the shard.";
                spawns_refused: Tasks, Total,
                    "Spawns refused as overloaded, at a limit of this shard.";
                misplaced: Tasks, Total,
                    "Placement answers that named no shard and were taken modulo the number of \
                     shards; all count for shard 0.";
                live_tasks: Tasks, Gauge,
                    "Gauge: tasks alive that were spawned through this shard.";
                queued: Tasks, Gauge,
                    "Gauge: runnable tasks and letters that wait.";
                called_for_help: Stealing, Total,
                    "Times this shard was woken to take work from another.";
                blocking_jobs: Ring, Total,
                    "Operations that the ring has no opcode for, done by a thread of the blocking \
                     pool.";
                recv_buffers_leased: Ring, Gauge,
                    "Gauge: of the receive buffers, those that are filled and not given back.";
                doorbells_coalesced: Doorbells, Total,
                    "Wake-ups of this shard that needed no doorbell because one was under way.";
                ring_msgs_submitted: Messages, Total,
                    "Messages that this shard sent, and those that other threads than shards sent \
                     to it.";
                ring_msgs_direct: Messages, Total,
                    "Messages that went as a completion on the ring of their target.";
                ring_msgs_completed: Messages, Total,
                    "Messages that became events of this shard.";
                ring_msgs_hot: Messages, Total,
                    "Of those, hot ones; and counts that were taken.";
                ring_msgs_failed: Messages, Total,
                    "Messages that the kernel refused; each took its lane instead.";
                ring_msgs_backpressure: Messages, Total,
                    "Messages that were refused to their sender, as backpressure or because the \
                     target is gone.";
            }
        }
    };
}
pub(super) use each_number;

macro_rules! list {
    (own { $($own:tt)* } elsewhere { $($elsewhere:tt)* }) => {
        list! { @ $($elsewhere)* $($own)* }
    };
    (@ $($name:ident: $group:ident, $kind:ident, $help:literal;)*) => {
        /// Every number; those of a group in the order of the table.
        pub(super) const NUMBERS: &[Number] = &[$(Number {
            name: stringify!($name),
            group: Group::$group,
            kind: Kind::$kind,
            help: $help,
            read: |stats| stats.$name,
            write: |stats| &mut stats.$name,
        },)*];
    };
}

each_number!(list);
