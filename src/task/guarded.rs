//! What surrounds a user's future and its output inside a task: it catches panics, obeys aborts,
//! and tells the registry when the future is gone.

use std::any::Any;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use crate::error::JoinError;
use crate::task::Meta;

/// Where a future may be polled and dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// On any thread.
    Anywhere,
    /// On any thread up to its first poll, and then on the thread of that poll.
    FirstPoll,
    /// On this thread only.
    Thread(ThreadId),
}

impl Reach {
    fn is_here(self) -> bool {
        match self {
            Self::Anywhere | Self::FirstPoll => true,
            Self::Thread(thread) => thread == thread::current().id(),
        }
    }
}

pub(crate) struct Guarded<F> {
    /// `None` once the future has finished, panicked or been aborted. Dropped by hand, because a
    /// future that is confined to another thread is not dropped here.
    future: ManuallyDrop<Option<F>>,
    reach: Reach,
    meta: NonNull<Meta>,
}

// SAFETY: the pointer is to the `Meta` of the task, which is `Sync`, and of which this makes only
// shared references.
unsafe impl<F: Send> Send for Guarded<F> {}

impl<F> Guarded<F> {
    /// `meta` points into the task that this future becomes part of.
    pub(crate) fn new(future: F, reach: Reach, meta: NonNull<Meta>) -> Self {
        Self { future: ManuallyDrop::new(Some(future)), reach, meta }
    }

    /// From the first poll on a confined future stays on the thread of that poll.
    fn confine(self: Pin<&mut Self>) {
        if self.reach == Reach::FirstPoll {
            // SAFETY:
            // - `reach` is not pinned, and nothing is moved.
            let guarded = unsafe { self.get_unchecked_mut() };
            guarded.reach = Reach::Thread(thread::current().id());
        }
    }

    fn meta(&self) -> &Meta {
        // SAFETY:
        // - the metadata lies in the same allocation as this future and is dropped after it.
        unsafe { self.meta.as_ref() }
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Kept<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(self.reach.is_here(), "invariant I6: a confined task runs on its own thread");
        self.as_mut().confine();
        let aborted = self.meta().is_aborted();
        // SAFETY:
        // - `future` is pinned with `self`: it is polled through `Pin` below, dropped in place by
        //   `Pin::set`, and never moved out; `meta` is not pinned.
        let mut future = unsafe { self.map_unchecked_mut(|guarded| &mut *guarded.future) };
        if aborted {
            return Poll::Ready(Kept::new(Err(match drop_in_place(future) {
                Ok(()) => JoinError::Canceled,
                Err(payload) => JoinError::Panicked(payload),
            })));
        }
        let Some(running) = future.as_mut().as_pin_mut() else {
            return Poll::Ready(Kept::new(Err(JoinError::Canceled)));
        };
        match catch_unwind(AssertUnwindSafe(|| running.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => {
                let output = Kept::new(Ok(output));
                match drop_in_place(future) {
                    Ok(()) => Poll::Ready(output),
                    Err(payload) => Poll::Ready(Kept::new(Err(JoinError::Panicked(payload)))),
                }
            }
            Err(payload) => {
                if let Err(second) = drop_in_place(future) {
                    // The first panic is the one to report.
                    drop_quietly(second);
                }
                Poll::Ready(Kept::new(Err(JoinError::Panicked(payload))))
            }
        }
    }
}

/// Drops the future where it lies; a panic of its destructor is the task's, not the shard's.
fn drop_in_place<F>(mut future: Pin<&mut Option<F>>) -> Result<(), Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| future.set(None)))
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        let may_drop = self.future.is_none() || self.reach.is_here();
        if may_drop {
            // In place, as it is pinned. If it panics nobody is left to be told: the task was
            // dropped, not polled.
            let future = &mut *self.future;
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| *future = None)) {
                drop_quietly(payload);
            }
        }
        let meta = self.meta();
        let waker = meta.owner.registry().retire(meta.key);
        if !may_drop {
            // The future is pinned in the task's memory: as it is not dropped, the memory must
            // stay, which this reference sees to.
            let _ = ManuallyDrop::new(waker);
        }
    }
}

/// What a task leaves behind, until its handle takes it. If nobody does, it is dropped where the
/// task ends; a panic of its destructor must not end more than the task.
pub(crate) struct Kept<T>(Option<Result<T, JoinError>>);

impl<T> Kept<T> {
    fn new(result: Result<T, JoinError>) -> Self {
        Self(Some(result))
    }

    pub(crate) fn take(mut self) -> Result<T, JoinError> {
        self.0.take().unwrap_or(Err(JoinError::Canceled))
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        if let Some(result) = self.0.take() {
            drop_quietly(result);
        }
    }
}

/// Drops a value of the user's whose panic would reach nobody whom it concerns. The panic hook has
/// reported it.
fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // A payload may panic in its turn; what that one panicked with is leaked.
        let _ = ManuallyDrop::new(catch_unwind(AssertUnwindSafe(|| drop(payload))));
    }
}
