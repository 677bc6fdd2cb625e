//! What a task knows about itself.

use std::fmt;
use std::ptr::NonNull;

use crate::id::{ShardId, TaskId};
use crate::primitive::{Arc, AtomicU32, Ordering, UnsafeCell};
use crate::task::list::Place;
use crate::task::registry::Registry;
use crate::task::{Home, RuntimeId, Scheduler};

/// What a task knows about itself.
pub(crate) struct Meta {
    /// Set by the registry before anybody else knows the task.
    id: UnsafeCell<TaskId>,
    place: UnsafeCell<Place>,
    /// When the task was queued last, for the statistics, if somebody counts that.
    stamp: AtomicU32,
    /// When the task was spawned, in steps of [`CLOCK_BITS`](crate::task::CLOCK_BITS); set as `id`
    /// is.
    born: AtomicU32,
    home: Home,
    /// That of `owner`, read once.
    runtime: RuntimeId,
    /// That of `owner`, which keeps it.
    pub(super) registry: NonNull<Registry>,
    pub(super) owner: Arc<dyn Scheduler>,
}

impl Meta {
    /// What a task knows that has no name yet. Runtime and registry are those of `owner`.
    pub(super) fn new(
        home: Home,
        runtime: RuntimeId,
        registry: NonNull<Registry>,
        owner: Arc<dyn Scheduler>,
    ) -> Self {
        Self {
            id: UnsafeCell::new(TaskId::new(0)),
            place: UnsafeCell::new(Place::Shared),
            stamp: AtomicU32::new(0),
            born: AtomicU32::new(0),
            home,
            runtime,
            registry,
            owner,
        }
    }

    /// The task's identity.
    #[inline]
    pub(crate) fn id(&self) -> TaskId {
        self.id.with(|id| {
            // SAFETY:
            // - it is written once, before the task has a `Runnable` or a handle to ask through.
            unsafe { *id }
        })
    }

    /// Which list of the registry the task is in.
    pub(super) fn place(&self) -> Place {
        self.place.with(|place| {
            // SAFETY:
            // - it is written once, before the task has a `Runnable` or a handle to ask through.
            unsafe { *place }
        })
    }

    /// Notes when the task is queued.
    #[cfg(not(loom))]
    pub(crate) fn stamp(&self, stamp: u32) {
        // Relaxed: the queue brings it to whoever takes the task out.
        self.stamp.store(stamp, Ordering::Relaxed);
    }

    /// What was noted last.
    #[cfg(not(loom))]
    pub(crate) fn stamped(&self) -> u32 {
        self.stamp.load(Ordering::Relaxed)
    }

    /// Where a pinned task runs; where a stealable one was spawned.
    #[inline]
    pub(crate) fn home(&self) -> ShardId {
        self.home.shard
    }

    /// Whether the task may run on its home only.
    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        self.home.pinned
    }

    /// Whether the future is not `Send`: it runs on its home only, and after its first poll it is
    /// not even dropped elsewhere.
    #[inline]
    pub(crate) fn is_confined(&self) -> bool {
        self.home.confined
    }

    /// Which runtime the task belongs to.
    #[inline]
    pub(crate) fn runtime(&self) -> RuntimeId {
        self.runtime
    }

    /// The way to the runtime.
    #[inline]
    pub(super) fn owner(&self) -> &Arc<dyn Scheduler> {
        &self.owner
    }

    /// The list that the task is in.
    #[inline]
    pub(super) fn registry(&self) -> &Registry {
        // SAFETY:
        // - `owner` lives as long as `self`, and keeps its registry where it is (obligation 1 of
        //   `Scheduler`).
        unsafe { self.registry.as_ref() }
    }

    /// When the task was spawned, as the clock of its registry counts it.
    pub(super) fn born(&self) -> u32 {
        self.born.load(Ordering::Relaxed)
    }

    /// Names the task and its list.
    ///
    /// # Safety
    ///
    /// Nobody else knows the task yet.
    #[inline]
    pub(super) unsafe fn name(&self, id: TaskId, place: Place, born: u32) {
        // Relaxed: whoever comes to know the task sees it, as it does the identity.
        self.born.store(born, Ordering::Relaxed);
        self.id.with_mut(|slot| {
            // SAFETY:
            // - passed on to the caller.
            unsafe { *slot = id }
        });
        self.place.with_mut(|slot| {
            // SAFETY:
            // - the same.
            unsafe { *slot = place }
        });
    }
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta").field("id", &self.id()).field("home", &self.home).finish()
    }
}
