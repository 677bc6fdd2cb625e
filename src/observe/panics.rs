//! What becomes of a runtime when a task panics, and what is told about it.

use std::any::Any;
use std::fmt;

use crate::id::{ShardId, TaskId};

/// What becomes of a runtime when one of its tasks panics; see
/// [`Builder::panic_policy`](crate::Builder::panic_policy).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum PanicPolicy {
    /// The task ends with [`JoinError::Panicked`](crate::JoinError::Panicked), and nothing else
    /// does. The default.
    #[default]
    Isolate,
    /// The task ends so, and the runtime begins to end as by
    /// [`shutdown`](crate::RuntimeOf::shutdown): it takes no task any more, the others are dropped
    /// at their next poll, and their handles resolve. The report names the panic
    /// ([`ShutdownReport::panic`](crate::ShutdownReport::panic)).
    ShutDown,
    /// The process is aborted, after a line on the standard error stream.
    Abort,
}

/// A panic of a task: of its future while that was polled, or while it was dropped.
///
/// Not counted are panics of what nobody awaits: an output that is dropped because its handle is
/// gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskPanic {
    shard: ShardId,
    task: TaskId,
    name: Option<String>,
    message: Option<String>,
}

impl TaskPanic {
    /// What is known of the panic with this payload.
    #[cfg(not(loom))]
    pub(crate) fn new(
        shard: ShardId,
        task: TaskId,
        name: Option<&str>,
        payload: &(dyn Any + Send),
    ) -> Self {
        let literal = || payload.downcast_ref::<&'static str>().map(|text| (*text).to_owned());
        let message = payload.downcast_ref::<String>().cloned().or_else(literal);
        Self { shard, task, name: name.map(str::to_owned), message }
    }

    /// Where it happened; [`EXTERNAL`](ShardId::EXTERNAL) if the future was dropped on a thread
    /// that is no shard of the runtime.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The task.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// The name that the task was spawned with, if it was.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the panic said; `None` if its payload was no text.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl fmt::Display for TaskPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.task)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        write!(f, " panicked on shard {}", self.shard)?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => f.write_str(" with a payload that is no text"),
        }
    }
}
