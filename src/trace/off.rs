//! The same without the feature: types without a size, and functions without a body.

use crate::driver::{Opcode, Token};
use crate::id::{ShardId, TaskId};
use crate::observe::{SlowPoll, TaskPanic};

/// Whether tasks may have spans.
pub(crate) const ON: bool = false;

/// The span of a task.
pub(crate) struct TaskSpan;

impl TaskSpan {
    /// That of nobody.
    #[inline]
    pub(crate) const fn none() -> Self {
        Self
    }

    /// Opens the one of a new task.
    #[inline]
    pub(crate) fn open(_task: TaskId, _name: Option<&str>, _shard: ShardId) -> Self {
        Self
    }

    /// Enters it.
    #[inline]
    pub(crate) fn enter(&self) {}

    /// Leaves it.
    #[inline]
    pub(crate) fn exit(&self) {}

    /// Closes it.
    #[inline]
    pub(crate) fn close(&mut self) {}
}

/// An operation was given to the ring.
#[inline]
pub(crate) fn submitted(_shard: ShardId, _opcode: Opcode, _token: Token) {}

/// An operation has ended.
#[inline]
pub(crate) fn completed(
    _shard: ShardId,
    _opcode: impl FnOnce() -> Option<Opcode>,
    _token: Token,
    _result: i32,
) {
}

/// An operation was done by a direct call.
#[inline]
pub(crate) fn attempted(_shard: ShardId, _opcode: Opcode, _result: i32) {}

/// A shard runs.
#[inline]
pub(crate) fn shard_started(_shard: ShardId) {}

/// A shard has ended.
#[inline]
pub(crate) fn shard_stopped(_shard: ShardId) {}

/// A task has panicked.
#[inline]
pub(crate) fn panicked(_panic: &TaskPanic) {}

/// A poll took long. Whether a subscriber heard of it.
#[inline]
pub(crate) fn slow_poll(_poll: &SlowPoll) -> bool {
    false
}
