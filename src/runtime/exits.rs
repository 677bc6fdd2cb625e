//! Which shards are gone, and who waits for that.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Condvar;
use std::sync::Mutex as StdMutex;
use std::sync::MutexGuard as StdMutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::assembly::Assembly;
use crate::contain::wake;
use crate::driver::Opcode;
use crate::id::ShardId;
use crate::observe::TaskPanic;
use crate::runtime::Failure;
use crate::shard::Core;

/// What a runtime left when it ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks that had ended before the runtime did, from its start on.
    pub tasks_finished: u64,
    /// Tasks that were alive still and were told to end.
    pub tasks_dropped: usize,
    /// Operations in flight that were cancelled.
    pub operations_cancelled: usize,
    /// Operations that the kernel had not let go of in time; their memory and fds are leaked. A
    /// future that waits for one elsewhere ends with `BrokenPipe`; if it would have to give back a
    /// buffer, which there is none of, its poll panics.
    pub operations_leaked: usize,
    /// What they were, in no order.
    pub leaked_opcodes: Vec<Opcode>,
    /// Shards that were still at work when the time was over: in a task's code, or with operations
    /// that the kernel does not give back. Their threads go on. A shard that merely waits for them
    /// is not counted.
    pub shards_stuck: usize,
    /// The panic of a task that made the runtime end, as
    /// [`PanicPolicy::ShutDown`](crate::PanicPolicy::ShutDown) says.
    pub panic: Option<TaskPanic>,
    /// Shards that a panic of ours ended.
    pub shards_panicked: usize,
    /// Blocking jobs that were still at work when the time was over. Their threads go on.
    pub blocking_jobs_running: usize,
    /// What made a shard's driver useless, if that happened.
    pub failures: Vec<(ShardId, io::Error)>,
    /// From the start until the last shard was gone, or until now.
    pub uptime: Duration,
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tasks finished, {} dropped, {} operations cancelled, {} leaked, {} shards stuck, {} panicked, \
             {} blocking jobs at work, {} drivers failed, up for {:?}",
            self.tasks_finished,
            self.tasks_dropped,
            self.operations_cancelled,
            self.operations_leaked,
            self.shards_stuck,
            self.shards_panicked,
            self.blocking_jobs_running,
            self.failures.len(),
            self.uptime
        )?;
        match &self.panic {
            Some(panic) => write!(f, "; it ended because {panic}"),
            None => Ok(()),
        }
    }
}

/// Which shards of a runtime are gone.
#[derive(Debug)]
pub(super) struct Exits {
    state: StdMutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    running: usize,
    /// When the last one went.
    ended: Option<Instant>,
    panicked: usize,
    failures: Vec<Failure>,
    waiting: Vec<Waker>,
}

impl Exits {
    pub(super) fn new(shards: usize) -> Self {
        let state = State {
            running: shards,
            ended: None,
            panicked: 0,
            failures: Vec::new(),
            waiting: Vec::new(),
        };
        Self { state: StdMutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> StdMutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard is gone.
    pub(super) fn gone(&self, shard: ShardId, how: thread_result::Result) {
        let mut state = self.lock();
        state.running -= 1;
        match how {
            Ok(Ok(())) => {}
            Ok(Err(error)) => state.failures.push((shard, error)),
            Err(_) => state.panicked += 1,
        }
        if state.running > 0 {
            return;
        }
        state.ended = Some(Instant::now());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        waiting.into_iter().for_each(wake);
    }

    /// Waits until all shards are gone.
    pub(super) async fn wait(&self) {
        poll_fn(|cx| {
            // Cloned before the lock, and dropped after it: a waker may be anybody's code.
            let waker = cx.waker().clone();
            let mut state = self.lock();
            if state.running == 0 {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|stored| stored.will_wake(&waker)) {
                state.waiting.push(waker);
            }
            Poll::Pending
        })
        .await;
    }

    /// Blocks until all shards are gone, or the time is over, if it ever is. Whether they are.
    pub(super) fn block_until(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        while state.running > 0 {
            let Some(deadline) = deadline else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(super) fn report<A: Assembly>(&self, core: &Core<A>, started: Instant) -> ShutdownReport {
        let state = self.lock();
        let dropped = core.dropped.load(Ordering::Relaxed);
        let leaked_opcodes = core.leaked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failures = state.failures.iter().map(|(shard, error)| (*shard, same(error)));
        ShutdownReport {
            tasks_finished: core.spawned().saturating_sub(dropped as u64),
            tasks_dropped: dropped,
            operations_cancelled: core.cancelled.load(Ordering::Relaxed),
            operations_leaked: leaked_opcodes.len(),
            leaked_opcodes,
            shards_stuck: core.quiet.busy().min(state.running),
            panic: core.panic.get().cloned(),
            shards_panicked: state.panicked,
            blocking_jobs_running: core.blocking.stats().busy,
            failures: failures.collect(),
            uptime: state.ended.unwrap_or_else(Instant::now) - started,
        }
    }
}

/// Errors are not `Clone`; this keeps the kind and the text.
fn same(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// How a shard's thread ended.
pub(super) mod thread_result {
    use std::any::Any;
    use std::io;

    /// The driver's end inside, a panic of ours outside.
    pub(in crate::runtime) type Result =
        std::result::Result<io::Result<()>, Box<dyn Any + Send + 'static>>;
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
