//! The tasks that live, as values.

use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

use crate::driver::Opcode;
use crate::id::{ShardId, TaskId};

/// The tasks of a runtime that were alive at some moment of a [dump](crate::RuntimeHandleOf::dump);
/// its text (`Display`) has a line for each.
///
/// The shards answer one after the other, so a task that ended meanwhile may be missing or not.
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct Dump {
    /// The tasks, from the oldest identity to the newest.
    pub tasks: Vec<TaskDump>,
    /// The shards that did not answer in time. Of the tasks that they spawned themselves none is
    /// among `tasks`.
    pub stuck: Vec<StuckShard>,
    /// How many tasks were left out because a shard had more than it tells at once.
    pub omitted: usize,
    /// How many timers of tasks were left out for the same reason.
    pub omitted_timers: usize,
}

/// A task that is alive.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TaskDump {
    /// Its identity.
    pub id: TaskId,
    /// The name that it was spawned with, if it was.
    pub name: Option<String>,
    /// The shard where it runs, if it is pinned; where it was spawned, if it is stealable.
    pub shard: ShardId,
    /// Whether it may run on that shard only.
    pub pinned: bool,
    /// What it does.
    pub state: TaskState,
    /// For how long it has lived, to about 10 milliseconds.
    pub age: Duration,
    /// The operations in flight that wake it when they complete. Empty also for a task that waits
    /// for a timer, a channel, another task, or an operation that serves several at once.
    pub waits_for: Vec<Opcode>,
    /// The timers that wake it, the earliest first: of its sleeps, timeouts and intervals. A timer
    /// is not here if its future was polled by something between it and the task that has wakers
    /// of its own, as `FuturesUnordered` does, or if its shard was at
    /// [`max_timers`](crate::Builder::max_timers) when it was set.
    pub timers: Vec<TimerDump>,
}

/// A timer that wakes a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TimerDump {
    /// When it is due.
    pub deadline: Instant,
    /// How long before that its shard was asked; zero if it was due and its shard had not come to
    /// it.
    pub left: Duration,
}

/// What a task does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TaskState {
    /// It is queued, or polled just now.
    Ready,
    /// It waits to be woken.
    Waiting,
    /// It was aborted, and its future is not dropped yet.
    Ending,
}

/// A shard that did not answer a [dump](crate::RuntimeHandleOf::dump) in time.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StuckShard {
    /// Which shard.
    pub shard: ShardId,
    /// For how long it has been in its present poll: from its last look at the clock before, which
    /// may be some short polls earlier. `None` if it is not in a poll.
    pub poll_for: Option<Duration>,
    /// The task that it polls, if polls are timed
    /// ([`slow_poll_threshold`](crate::Builder::slow_poll_threshold)).
    pub task: Option<TaskId>,
    /// How many tasks are alive that were spawned there.
    pub live_tasks: usize,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::Ending => "ending",
        })
    }
}

impl fmt::Display for TaskDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        let place = if self.pinned { "pinned to" } else { "of" };
        write!(f, ": {}, {place} shard {}, {:.2?} old", self.state, self.shard, self.age)?;
        let mut lead = ", waits for ";
        for opcode in &self.waits_for {
            f.write_str(mem::replace(&mut lead, ", "))?;
            match opcode.name() {
                Some(name) => f.write_str(name)?,
                None => write!(f, "opcode {}", opcode.get())?,
            }
        }
        for timer in &self.timers {
            f.write_str(mem::replace(&mut lead, ", "))?;
            write!(f, "{timer}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TimerDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.left.is_zero() {
            return f.write_str("a timer that is due");
        }
        write!(f, "a timer in {:.2?}", self.left)
    }
}

impl fmt::Display for StuckShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} did not answer: ", self.shard)?;
        match self.poll_for {
            Some(time) => write!(f, "in one poll for {time:.2?}")?,
            None => f.write_str("not in a poll")?,
        }
        if let Some(task) = self.task {
            write!(f, ", of task {task}")?;
        }
        write!(f, "; {} live tasks were spawned there", self.live_tasks)
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shard in &self.stuck {
            writeln!(f, "{shard}")?;
        }
        for task in &self.tasks {
            writeln!(f, "{task}")?;
        }
        if self.omitted > 0 {
            writeln!(f, "and {} tasks more", self.omitted)?;
        }
        if self.omitted_timers > 0 {
            writeln!(f, "and {} timers more", self.omitted_timers)?;
        }
        Ok(())
    }
}
