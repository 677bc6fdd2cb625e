//! The order of loads: which of two shards has less to do.

use super::Load;

/// How many operations in flight count as much as one waiting task: a task wants the thread now,
/// an operation will want it later.
const OPERATIONS_PER_TASK: u128 = 8;
/// How many waiting tasks a long poll counts as much as: one that has lasted 100 us may be expected
/// to last that long again, in which a shard gets through so many tasks of a microsecond.
const TASKS_PER_LONG_POLL: u128 = 100;

/// How much a shard has to do: one that would start at once comes first, then the lower number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Burden(bool, u128);

impl Burden {
    /// No shard has less to do.
    pub(super) const NOTHING: Self = Self(false, 0);

    pub(super) fn of(load: Load) -> Self {
        let waits = load.running || load.long_poll || load.queued > 0;
        // In 128 bits nothing overflows, so loads of any size keep their order.
        let long_poll = if load.long_poll { TASKS_PER_LONG_POLL } else { 0 };
        let tasks = load.queued as u128 + long_poll;
        Self(waits, tasks * OPERATIONS_PER_TASK + load.in_flight as u128)
    }
}

/// How many more tasks than another shard a running shard may have queued and still be answered
/// for [`Wish::Near`](super::Wish::Near).
const NEAR_MARGIN: usize = 8;

/// Whether a shard with this load is passed over for one with so many tasks queued, though it was
/// wished for.
pub(super) fn is_too_busy(load: Load, other_queued: usize) -> bool {
    may_be_too_busy(load) && load.queued - NEAR_MARGIN > other_queued
}

/// Whether there can be a shard for which this one is passed over.
pub(super) fn may_be_too_busy(load: Load) -> bool {
    load.running && load.queued > NEAR_MARGIN
}
