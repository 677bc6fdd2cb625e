//! What is said with the feature.

use tracing::span::Id;
use tracing::{Dispatch, Level, Span, error, event_enabled, info, span, trace, warn};

use crate::contain::guard;
use crate::driver::{Opcode, Token};
use crate::id::{ShardId, TaskId};
use crate::observe::{SlowPoll, TaskPanic};

/// Whether tasks may have spans.
pub(crate) const ON: bool = true;

/// The span of a task: open from its spawn to its end, and entered while it is polled.
pub(crate) struct TaskSpan(Option<Span>);

impl TaskSpan {
    /// That of nobody.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Opens the one of a new task.
    pub(crate) fn open(task: TaskId, name: Option<&str>, shard: ShardId) -> Self {
        let mut opened = None;
        guard(|| {
            let (id, shard) = (task.get(), shard.get());
            opened = Some(span!(target: "spargio", Level::DEBUG, "task", id, name, shard));
        });
        Self(opened)
    }

    /// Enters it.
    pub(crate) fn enter(&self) {
        self.tell(Dispatch::enter);
    }

    /// Leaves it.
    pub(crate) fn exit(&self) {
        self.tell(Dispatch::exit);
    }

    /// Closes it.
    pub(crate) fn close(&mut self) {
        let span = self.0.take();
        guard(|| drop(span));
    }

    fn tell(&self, what: impl Fn(&Dispatch, &Id)) {
        if let Some(span) = &self.0 {
            guard(|| {
                span.with_subscriber(|(id, subscriber)| what(subscriber, id));
            });
        }
    }
}

/// An operation was given to the ring.
pub(crate) fn submitted(shard: ShardId, opcode: Opcode, token: Token) {
    guard(|| {
        let (shard, token) = (shard.get(), token.bits());
        trace!(target: "spargio", shard, opcode = ?opcode, token, "submitted");
    });
}

/// An operation has ended. `opcode`: what it was, if that is known.
pub(crate) fn completed(
    shard: ShardId,
    opcode: impl FnOnce() -> Option<Opcode>,
    token: Token,
    result: i32,
) {
    // Asked outside of the event, which may be evaluated while the subscriber is at work.
    let opcode = opcode();
    guard(|| {
        let (shard, token) = (shard.get(), token.bits());
        match opcode {
            Some(opcode) => {
                trace!(target: "spargio", shard, opcode = ?opcode, token, result, "completed");
            }
            None => trace!(target: "spargio", shard, token, result, "completed"),
        }
    });
}

/// An operation was done by a direct call.
pub(crate) fn attempted(shard: ShardId, opcode: Opcode, result: i32) {
    guard(|| {
        let shard = shard.get();
        trace!(target: "spargio", shard, opcode = ?opcode, result, "done at once");
    });
}

/// A shard runs.
pub(crate) fn shard_started(shard: ShardId) {
    guard(|| info!(target: "spargio", shard = shard.get(), "shard started"));
}

/// A shard has ended.
pub(crate) fn shard_stopped(shard: ShardId) {
    guard(|| info!(target: "spargio", shard = shard.get(), "shard stopped"));
}

/// A task has panicked.
pub(crate) fn panicked(panic: &TaskPanic) {
    guard(|| {
        let (shard, id) = (panic.shard().get(), panic.task().get());
        let (name, message) = (panic.name(), panic.message());
        error!(target: "spargio", shard, id, name, message, "task panicked");
    });
}

/// A poll took long. Whether a subscriber heard of it.
pub(crate) fn slow_poll(poll: &SlowPoll) -> bool {
    let mut heard = false;
    guard(|| {
        if !event_enabled!(target: "spargio", Level::WARN) {
            return;
        }
        let (shard, id, name) = (poll.shard.get(), poll.task.get(), poll.name.as_deref());
        let micros = u64::try_from(poll.duration.as_micros()).unwrap_or(u64::MAX);
        warn!(target: "spargio", shard, id, name, micros, "slow poll");
        heard = true;
    });
    heard
}
