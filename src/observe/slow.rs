//! A poll of a task that took long.

use std::fmt;
use std::time::Duration;

use crate::id::{ShardId, TaskId};

/// A poll that took longer than the runtime was told to accept; see
/// [`Builder::slow_poll_threshold`](crate::Builder::slow_poll_threshold).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SlowPoll {
    /// Where the task was polled.
    pub shard: ShardId,
    /// The task.
    pub task: TaskId,
    /// The name that the task was spawned with, if it was.
    pub name: Option<String>,
    /// How long the poll took.
    pub duration: Duration,
}

impl fmt::Display for SlowPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a poll of task {}", self.task)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        write!(f, " took {:?} on shard {}", self.duration, self.shard)
    }
}
