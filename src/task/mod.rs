//! A task: a future with an identity, a home and a handle, on the `async-task` crate.
//!
//! A task is not generic over the assembly. It reaches its runtime through two seams: on a shard
//! of its own runtime through the [`LocalScheduler`] of the thread (one thread-local look, no
//! reference count), from anywhere else through the [`Scheduler`] in its metadata.

use std::cell::Cell;
use std::future::Future;
use std::ptr::NonNull;
use std::thread;

use async_task::{Builder, ScheduleInfo, WithInfo};

use crate::id::{ShardId, TaskId};
use crate::primitive::{Arc, AtomicBool, Ordering};

mod guarded;
mod join;
mod registry;

pub use join::{AbortHandle, JoinHandle, LocalJoinHandle};

pub(crate) use registry::{Refusal, Registry};

use guarded::{Guarded, Reach};
use registry::Key;

/// A task that wants to be polled. Whoever holds it decides where.
pub(crate) type Runnable = async_task::Runnable<Meta>;

/// What a task knows about itself; lies beside its future, in the same allocation.
#[derive(Debug)]
pub(crate) struct Meta {
    id: TaskId,
    key: Key,
    /// The shard that a pinned task runs on, and the one that a stealable task was spawned on.
    home: ShardId,
    pinned: bool,
    confined: bool,
    aborted: AtomicBool,
    owner: Arc<dyn Scheduler>,
}

impl Meta {
    /// The task's identity.
    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    /// Where a pinned task runs; where a stealable one was spawned.
    pub(crate) fn home(&self) -> ShardId {
        self.home
    }

    /// Whether the task may run on its home only.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Whether the task may not even be dropped away from its home.
    pub(crate) fn is_confined(&self) -> bool {
        self.confined
    }

    /// Which runtime the task belongs to.
    pub(crate) fn runtime(&self) -> RuntimeId {
        self.owner.runtime()
    }

    fn is_aborted(&self) -> bool {
        // Relaxed: the wake that follows the store brings the task to a poll that sees it.
        self.aborted.load(Ordering::Relaxed)
    }
}

/// Tells runtimes of one process apart; an address, so it is free to compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RuntimeId(pub(crate) usize);

/// The way from a task to its runtime, from any thread.
pub(crate) trait Scheduler: std::fmt::Debug + Send + Sync {
    /// Which runtime this is.
    fn runtime(&self) -> RuntimeId;

    /// The live tasks that were spawned through this scheduler.
    fn registry(&self) -> &Registry;

    /// Queues a task that was woken on a thread that is no shard of this runtime. A task that can
    /// no longer run is dropped, and its handle resolves.
    fn schedule(&self, runnable: Runnable);
}

/// The way from a task to the shard on whose thread it was woken.
pub(crate) trait LocalScheduler {
    /// Which runtime the shard belongs to.
    fn runtime(&self) -> RuntimeId;

    /// Which shard this is.
    fn shard(&self) -> ShardId;

    /// Queues a task of this runtime, on this shard or, if it is pinned elsewhere, on its home.
    /// `yielded`: the task woke itself while it ran.
    fn schedule(&self, runnable: Runnable, yielded: bool);
}

thread_local! {
    static LOCAL: Cell<Option<NonNull<dyn LocalScheduler>>> = const { Cell::new(None) };
}

/// Makes `scheduler` that of this thread for as long as `body` runs.
pub(crate) fn with_local_scheduler<R>(
    scheduler: &(dyn LocalScheduler + 'static),
    body: impl FnOnce() -> R,
) -> R {
    struct Restore(Option<NonNull<dyn LocalScheduler>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LOCAL.set(self.0);
        }
    }
    let _restore = Restore(LOCAL.replace(Some(NonNull::from(scheduler))));
    body()
}

fn schedule(runnable: Runnable, info: ScheduleInfo) {
    if let Some(local) = local() {
        // SAFETY:
        // - `with_local_scheduler` borrows the scheduler for as long as the pointer is set, and
        //   only this thread reads its own thread-local.
        let local = unsafe { local.as_ref() };
        if local.runtime() == runnable.metadata().runtime() {
            return local.schedule(runnable, info.woken_while_running);
        }
    }
    // The task may finish elsewhere and be freed while `schedule` still runs, so it gets an owner
    // of its own.
    let owner = Arc::clone(&runnable.metadata().owner);
    owner.schedule(runnable);
}

/// Where a new task may run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    /// The shard.
    pub(crate) shard: ShardId,
    /// Whether it may leave it.
    pub(crate) pinned: bool,
    /// Whether its future is not `Send`, so that it may not even be dropped elsewhere.
    pub(crate) confined: bool,
}

/// A task to be queued and its handle, or why there is none, and the future back.
pub(crate) type Spawned<F> = Result<(Runnable, JoinHandle<<F as Future>::Output>), (Refusal, F)>;

/// Makes a task of a future that any thread may poll and drop.
///
/// # Errors
///
/// The future comes back when the registry is closed or full.
pub(crate) fn spawn<F>(owner: Arc<dyn Scheduler>, home: Home, future: F) -> Spawned<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY:
    // - the future and its output are `Send` and `'static`.
    unsafe { spawn_unchecked(owner, home, Reach::Anywhere, future) }
}

/// Makes a task that `make` begins on its shard, of a future that never leaves it and need not be
/// `Send`.
///
/// # Errors
///
/// When the registry is closed or full; `make` is dropped.
pub(crate) fn spawn_confined<M, F>(
    owner: Arc<dyn Scheduler>,
    shard: ShardId,
    make: M,
) -> Result<(Runnable, JoinHandle<F::Output>), Refusal>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let home = Home { shard, pinned: true, confined: true };
    let begin = async move { make().await };
    // SAFETY:
    // - before its first poll the future holds `make` only, which is `Send`.
    // - its output is `Send`.
    let spawned = unsafe { spawn_unchecked(owner, home, Reach::FirstPoll, begin) };
    spawned.map_err(|(refusal, _)| refusal)
}

/// Makes a task of a future that never leaves this shard and need not be `Send`, nor need its
/// output, whose handle must stay here too.
///
/// # Errors
///
/// When the registry is closed or full; the future is dropped.
///
/// # Panics
///
/// On any thread but that of the shard.
pub(crate) fn spawn_local<F>(
    owner: Arc<dyn Scheduler>,
    shard: ShardId,
    future: F,
) -> Result<(Runnable, LocalJoinHandle<F::Output>), Refusal>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let is_here = local().is_some_and(|local| {
        // SAFETY:
        // - as in `schedule`.
        let local = unsafe { local.as_ref() };
        local.runtime() == owner.runtime() && local.shard() == shard
    });
    assert!(is_here, "a local task is spawned on the thread of its shard, which is not this one");
    let home = Home { shard, pinned: true, confined: true };
    // SAFETY:
    // - the future is confined to this thread.
    // - the handle becomes a local one, which is not `Send`.
    let reach = Reach::Thread(thread::current().id());
    let spawned = unsafe { spawn_unchecked(owner, home, reach, future) };
    match spawned {
        Ok((runnable, handle)) => Ok((runnable, LocalJoinHandle::new(handle))),
        Err((refusal, _)) => Err(refusal),
    }
}

fn local() -> Option<NonNull<dyn LocalScheduler>> {
    // try_with: a destructor of another thread-local may wake a task after ours is gone.
    LOCAL.try_with(Cell::get).ok().flatten()
}

/// Makes a task of a future that need not be `Send`.
///
/// A future that is confined to a thread is never touched on another: a poll there panics, and a
/// drop there (the shard is gone, and something woke the task) leaks it; the handle resolves.
///
/// # Errors
///
/// As [`spawn`].
///
/// # Safety
///
/// - `reach` fits the future: [`Reach::Anywhere`] if it is `Send`, [`Reach::FirstPoll`] if it holds
///   nothing that is not `Send` before its first poll, else [`Reach::Thread`] with this thread.
/// - If `F::Output` is not `Send`, the handle stays on this thread.
unsafe fn spawn_unchecked<F>(
    owner: Arc<dyn Scheduler>,
    home: Home,
    reach: Reach,
    future: F,
) -> Spawned<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let (id, key) = match owner.registry().reserve() {
        Ok(reserved) => reserved,
        Err(refusal) => return Err((refusal, future)),
    };
    let meta = Meta {
        id,
        key,
        home: home.shard,
        pinned: home.pinned,
        confined: home.confined,
        aborted: AtomicBool::new(false),
        owner,
    };
    let guard = move |meta: &Meta| Guarded::new(future, reach, NonNull::from(meta));
    // SAFETY:
    // - `Send`: the future is, or `Guarded` touches it on one thread only; the output is, or it is
    //   made on that thread and our caller keeps the handle there.
    // - `'static`: the future is; the pointer to the metadata that `Guarded` holds is into the
    //   task's own allocation, which outlives its future.
    // - the schedule function is `Send + Sync + 'static`: a plain function, and so of size 0,
    //   which spares the task a reference count per wake.
    let (runnable, task) =
        unsafe { Builder::new().metadata(meta).spawn_unchecked(guard, WithInfo(schedule)) };
    runnable.metadata().owner.registry().enter(key, runnable.waker(), runnable.metadata());
    Ok((runnable, JoinHandle::new(task)))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
