//! What a thread knows about tasks: the shard that it is, and the task that it polls.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64 as StdAtomicU64, Ordering as StdOrdering};

use crate::primitive::Arc;
use crate::task::raw::Header;
use crate::task::registry::Registry;
use crate::task::{LocalScheduler, RuntimeId, Scheduler};

#[cfg(not(loom))]
mod slot {
    use super::Thread;

    thread_local! {
        pub(super) static THREAD: Thread = const { Thread::new() };
    }
}

#[cfg(loom)]
mod slot {
    use super::Thread;

    loom::thread_local! {
        pub(super) static THREAD: Thread = Thread::new();
    }
}

/// How many shares of the scheduler a shard keeps for tasks to come.
const SHARES: usize = 64;

/// Which thread: unlike the address of a thread-local, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ThreadToken(u64);

impl ThreadToken {
    /// That of no thread.
    pub(super) const NONE: Self = Self(0);

    /// That of this thread.
    #[inline]
    pub(super) fn current() -> Self {
        static NEXT: StdAtomicU64 = StdAtomicU64::new(1);
        slot::THREAD.with(|thread| {
            if thread.token.get() == Self::NONE {
                thread.token.set(Self(NEXT.fetch_add(1, StdOrdering::Relaxed)));
            }
            thread.token.get()
        })
    }
}

/// Has no destructor, so it can be asked up to the very end of the thread.
struct Thread {
    token: Cell<ThreadToken>,
    shard: Cell<Option<NonNull<Here>>>,
    /// The task that is being polled; null if none is.
    polled: Cell<*const Header>,
    /// It has woken itself.
    woken: Cell<bool>,
}

impl Thread {
    const fn new() -> Self {
        Self {
            token: Cell::new(ThreadToken::NONE),
            shard: Cell::new(None),
            polled: Cell::new(std::ptr::null()),
            woken: Cell::new(false),
        }
    }
}

/// The shard that this thread is.
pub(super) struct Here {
    scheduler: NonNull<dyn LocalScheduler>,
    /// That of `scheduler`, read once.
    pub(super) runtime: RuntimeId,
    /// The one whose owner's part this thread has; null if the scheduler has none.
    registry: *const Registry,
    /// Shares of the scheduler that tasks of this shard left behind. A new task takes one, which
    /// spares the shared count two locked instructions.
    shares: RefCell<Vec<Arc<dyn Scheduler>>>,
}

impl Here {
    /// The way to queue a task here.
    #[inline]
    pub(super) fn scheduler(&self) -> &dyn LocalScheduler {
        // SAFETY:
        // - `enter` borrows the scheduler for longer than this lives.
        unsafe { self.scheduler.as_ref() }
    }

    /// Whether this thread has the owner's part of the registry.
    #[inline]
    pub(super) fn owns(&self, registry: *const Registry) -> bool {
        std::ptr::eq(self.registry, registry)
    }

    /// A share of the scheduler of the registry that this thread owns, if one is left.
    #[inline]
    pub(super) fn take_share(&self) -> Option<Arc<dyn Scheduler>> {
        self.shares.borrow_mut().pop()
    }

    /// Keeps a share of the scheduler of the registry that this thread owns.
    ///
    /// # Errors
    ///
    /// It comes back when there are enough.
    #[inline]
    pub(super) fn keep_share(&self, share: Arc<dyn Scheduler>) -> Result<(), Arc<dyn Scheduler>> {
        let mut shares = self.shares.borrow_mut();
        if shares.len() >= SHARES {
            return Err(share);
        }
        shares.push(share);
        Ok(())
    }
}

/// Makes `scheduler` that of this thread, and this thread the owner of its registry, for as long
/// as `body` runs.
#[inline]
pub(super) fn enter<R>(scheduler: &(dyn LocalScheduler + 'static), body: impl FnOnce() -> R) -> R {
    struct Restore<'a>(Option<NonNull<Here>>, Option<&'a Registry>);
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            slot::THREAD.with(|thread| thread.shard.set(self.0));
            if let Some(registry) = self.1 {
                registry.disown();
            }
        }
    }
    let registry = scheduler.registry();
    if let Some(registry) = registry {
        assert!(registry.own(), "a registry has one shard");
    }
    // Declared first, so that it is dropped after the thread has forgotten it.
    let here = Here {
        scheduler: NonNull::from(scheduler),
        runtime: scheduler.runtime(),
        registry: registry.map_or(std::ptr::null(), std::ptr::from_ref),
        shares: RefCell::default(),
    };
    let before = slot::THREAD.with(|thread| thread.shard.replace(Some(NonNull::from(&here))));
    let _restore = Restore(before, registry);
    body()
}

/// Lends the shard that this thread is.
#[inline]
pub(super) fn with_here<R>(body: impl FnOnce(Option<&Here>) -> R) -> R {
    let here = slot::THREAD.with(|thread| thread.shard.get());
    // SAFETY:
    // - `enter` keeps what it points to for as long as it is set, and only this thread reads its
    //   own slot; the reference does not leave `body`, which returns before `enter` does.
    body(here.map(|here| unsafe { here.as_ref() }))
}

/// The thread polls a task, until this is dropped or [left](Self::leave).
pub(super) struct Polling {
    before: *const Header,
    woken_before: bool,
}

impl Polling {
    /// Begins.
    #[inline]
    pub(super) fn enter(task: NonNull<Header>) -> Self {
        slot::THREAD.with(|thread| Self {
            before: thread.polled.replace(task.as_ptr()),
            woken_before: thread.woken.replace(false),
        })
    }

    /// Ends. Whether the task has woken itself.
    #[inline]
    pub(super) fn leave(self) -> bool {
        slot::THREAD.with(|thread| {
            thread.polled.set(self.before);
            thread.woken.replace(self.woken_before)
        })
    }
}

/// Notes that a task was woken, if it is the one that this thread polls.
#[inline]
pub(super) fn note_self_wake(task: NonNull<Header>) -> bool {
    slot::THREAD.with(|thread| {
        let is_self = std::ptr::eq(thread.polled.get(), task.as_ptr());
        if is_self {
            thread.woken.set(true);
        }
        is_self
    })
}
