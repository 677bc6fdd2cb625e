//! A task: a future with an identity, a home and a handle, in one piece of memory.
//!
//! A task is not generic over the assembly. It reaches its runtime through two seams: on a shard
//! of its own runtime through the [`LocalScheduler`] of the thread (one thread-local look, no
//! reference count), from anywhere else through the [`Scheduler`] that it keeps.
//!
//! [`state`] says who may touch what of a task, and why that is sound; [`registry`] how the live
//! tasks of a shard are known without a lock on its own thread.

use std::any::Any;
use std::future::Future;
use std::ptr::NonNull;

use crate::id::{ShardId, TaskId};
use crate::primitive::Arc;
use crate::trace::{self, TaskSpan};

mod arrivals;
mod ids;
mod inspect;
mod join;
mod label;
mod list;
mod meta;
mod raw;
mod registry;
mod report;
mod runnable;
mod state;
mod tally;
mod thread;
mod waker;

pub use join::{AbortHandle, JoinHandle, LocalJoinHandle};

pub(crate) use arrivals::{Arrivals, Chain};
pub(crate) use inspect::{TaskRef, of_waker};
pub(crate) use label::{Label, Named, Unnamed};
pub(crate) use registry::{Refusal, Registry};
pub(crate) use runnable::Runnable;

/// Tells runtimes of one process apart; an address, so it is free to compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RuntimeId(pub(crate) usize);

/// The way from a task to its runtime, from any thread.
///
/// # Safety
///
/// An implementor promises:
///
/// 1. `registry` returns the same registry each time, at the same address for as long as the
///    scheduler lives, even if the scheduler is moved.
pub(crate) unsafe trait Scheduler: std::fmt::Debug + Send + Sync {
    /// Which runtime this is.
    fn runtime(&self) -> RuntimeId;

    /// The live tasks that were spawned through this scheduler.
    fn registry(&self) -> &Registry;

    /// Queues a task that was woken on a thread that is no shard of this runtime. A task that can
    /// no longer run is dropped, and its handle resolves.
    fn schedule(&self, runnable: Runnable);

    /// A future has panicked, on this thread: while it was polled, or dropped. Before its handle
    /// resolves.
    fn panicked(&self, _task: TaskId, _name: Option<&str>, _payload: &(dyn Any + Send)) {}

    /// The time in steps of [`CLOCK_BITS`].
    fn clock(&self) -> u32 {
        0
    }
}

/// Ages of tasks are in steps of so many bits of nanoseconds, 8.4 ms: they come around after 417
/// days.
pub(crate) const CLOCK_BITS: u32 = 23;

/// The way from a task to the shard on whose thread it was woken.
pub(crate) trait LocalScheduler {
    /// Which runtime the shard belongs to.
    fn runtime(&self) -> RuntimeId;

    /// The live tasks that were spawned through the shard, which becomes their owner: no other
    /// thread may be it at the same time.
    fn registry(&self) -> Option<&Registry> {
        None
    }

    /// Queues a task of this runtime, on this shard or, if it is pinned elsewhere, on its home.
    fn schedule(&self, runnable: Runnable);

    /// Takes one of the ready leaves that the running poll may have. Whether there was one.
    fn consume_budget(&self) -> bool {
        true
    }
}

/// What a task is spawned through: the scheduler, or something that can be asked for a share of it.
pub(crate) trait Owner {
    /// The scheduler.
    fn scheduler(&self) -> &dyn Scheduler;

    /// A share of the same scheduler, for the task to keep. Not asked for if one is at hand.
    fn share(self) -> Arc<dyn Scheduler>;
}

impl Owner for Arc<dyn Scheduler> {
    fn scheduler(&self) -> &dyn Scheduler {
        &**self
    }

    fn share(self) -> Arc<dyn Scheduler> {
        self
    }
}

/// Makes `scheduler` that of this thread for as long as `body` runs.
///
/// # Panics
///
/// If another thread, or an outer call, has the scheduler's registry.
pub(crate) fn with_local_scheduler<R>(
    scheduler: &(dyn LocalScheduler + 'static),
    body: impl FnOnce() -> R,
) -> R {
    thread::enter(scheduler, body)
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
    /// Whether its join handle stays on the thread of the shard as well.
    pub(crate) local: bool,
}

/// A task to be queued and its handle, or why there is none, and the future back.
pub(crate) type Spawned<F> = Result<(Runnable, JoinHandle<<F as Future>::Output>), (Refusal, F)>;

/// Makes a task of a future that any thread may poll and drop.
///
/// # Errors
///
/// The future comes back when the registry is closed or full.
pub(crate) fn spawn<F>(owner: impl Owner, home: Home, future: F) -> Spawned<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_labelled(owner, home, Unnamed, future)
}

/// As [`spawn`], with a label.
///
/// # Errors
///
/// As there.
pub(crate) fn spawn_labelled<F, L>(owner: impl Owner, home: Home, label: L, future: F) -> Spawned<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    // SAFETY:
    // - the future and its output are `Send` and `'static`.
    unsafe { spawn_unchecked(owner, home, label, future) }
}

/// Makes a task that `make` begins on its shard, of a future that never leaves it and need not be
/// `Send`.
///
/// # Errors
///
/// When the registry is closed or full; `make` is dropped.
pub(crate) fn spawn_confined<M, F, L>(
    owner: impl Owner,
    shard: ShardId,
    label: L,
    make: M,
) -> Result<(Runnable, JoinHandle<F::Output>), Refusal>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    let home = Home { shard, pinned: true, confined: true, local: false };
    // SAFETY:
    // - before its first poll the future holds `make` only, which is `Send`; that poll binds it.
    // - it is pinned and confined, and its output is `Send`.
    let spawned = unsafe { spawn_unchecked(owner, home, label, async move { make().await }) };
    spawned.map_err(|(refusal, _)| refusal)
}

/// Makes a task of a future that need not be `Send` and never leaves this shard, nor does its
/// output, whose handle must stay here too.
///
/// # Errors
///
/// When the registry is closed or full; the future is dropped.
///
/// # Panics
///
/// On any thread but that of the shard.
pub(crate) fn spawn_local<F, L>(
    owner: impl Owner,
    shard: ShardId,
    label: L,
    future: F,
) -> Result<(Runnable, LocalJoinHandle<F::Output>), Refusal>
where
    F: Future + 'static,
    F::Output: 'static,
    L: Label,
{
    let registry = std::ptr::from_ref(owner.scheduler().registry());
    let is_here = thread::with_here(|here| here.is_some_and(|here| here.owns(registry)));
    assert!(is_here, "a local task is spawned on the thread of its shard, which is not this one");
    let home = Home { shard, pinned: true, confined: true, local: true };
    // SAFETY:
    // - this is the thread of the shard, and the task is pinned and confined; it is bound below,
    //   before anybody else has it.
    // - the handle becomes a local one, which is not `Send`.
    let spawned = unsafe { spawn_unchecked(owner, home, label, future) };
    match spawned {
        Ok((runnable, handle)) => {
            let _is_bound = runnable.bind();
            Ok((runnable, LocalJoinHandle::new(handle)))
        }
        Err((refusal, _)) => Err(refusal),
    }
}

/// Makes a task of a future that need not be `Send`.
///
/// # Errors
///
/// As [`spawn`].
///
/// # Safety
///
/// - `home.confined` is set unless the future is `Send`: then the task is bound to the thread of
///   its first poll, and other threads do not touch the future.
/// - The future holds nothing that is not `Send` before its first poll, or the caller
///   [binds](Runnable::bind) the task at once.
/// - If `F::Output` is not `Send`, the handle stays on that thread.
unsafe fn spawn_unchecked<F, L>(owner: impl Owner, home: Home, label: L, future: F) -> Spawned<F>
where
    F: Future + 'static,
    F::Output: 'static,
    L: Label,
{
    let registry = NonNull::from(owner.scheduler().registry());
    let kept = thread::with_here(|here| {
        let here = here.filter(|here| here.owns(registry.as_ptr()))?;
        Some((here.take_share()?, here.runtime))
    });
    let (owner, runtime) = kept.unwrap_or_else(|| {
        let owner = owner.share();
        let runtime = owner.runtime();
        (owner, runtime)
    });
    // SAFETY:
    // - registry and runtime are those of the scheduler: it returns the same ones each time, and
    //   the shares that a thread keeps are of the scheduler whose registry it owns.
    let task = unsafe { raw::allocate(owner, registry, runtime, home, label, future) };
    // SAFETY:
    // - the task keeps its scheduler, which keeps the registry.
    let entered = unsafe { registry.as_ref() };
    // SAFETY:
    // - the task is new, and nobody else knows it.
    if let Err(refusal) = unsafe { entered.enter(task) } {
        // SAFETY:
        // - it was made with this type, and nobody else has it.
        return Err((refusal, unsafe { raw::take_apart::<F, L>(task) }));
    }
    // SAFETY:
    // - nobody has the task yet; it stays while its `Runnable` and handle are made.
    unsafe { open_span(task) };
    // SAFETY:
    // - the task was made `HELD`.
    let runnable = unsafe { Runnable::new(task) };
    // SAFETY:
    // - the task was made with its handle, and gives that type.
    let handle = unsafe { JoinHandle::new(task) };
    Ok((runnable, handle))
}

/// Opens the span of a new task, if there are spans.
///
/// # Safety
///
/// The task has its identity, and nobody has its `Runnable` yet.
#[inline]
unsafe fn open_span(task: NonNull<raw::Header>) {
    if !trace::ON {
        return;
    }
    // SAFETY:
    // - passed on to the caller.
    let header = unsafe { task.as_ref() };
    // SAFETY:
    // - the same.
    let name = unsafe { report::name_of(task) };
    let opened = TaskSpan::open(header.meta().id(), name, header.meta().home());
    // SAFETY:
    // - passed on to the caller.
    unsafe { header.with_span(|span| *span = opened) };
}

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
