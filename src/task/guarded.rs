//! What surrounds a user's future inside a task: it catches panics, obeys aborts, and tells the
//! registry when the future is gone.

use std::any::Any;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use crate::task::Meta;
use crate::task::join::JoinError;

pub(crate) struct Guarded<F> {
    /// `None` once the future has finished, panicked or been aborted.
    future: Option<F>,
    meta: NonNull<Meta>,
}

// SAFETY: the pointer is to the `Meta` of the task, which is `Sync`, and of which this makes only
// shared references.
unsafe impl<F: Send> Send for Guarded<F> {}

impl<F> Guarded<F> {
    /// `meta` points into the task that this future becomes part of.
    pub(crate) fn new(future: F, meta: NonNull<Meta>) -> Self {
        Self { future: Some(future), meta }
    }

    fn meta(&self) -> &Meta {
        // SAFETY:
        // - the metadata lies in the same allocation as this future and is dropped after it.
        unsafe { self.meta.as_ref() }
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Outcome<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_result(cx).map(Outcome::new)
    }
}

impl<F: Future> Guarded<F> {
    fn poll_result(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, JoinError>> {
        let aborted = self.meta().is_aborted();
        // SAFETY:
        // - `future` is pinned with `self`: it is polled through `Pin` below, dropped in place by
        //   `Pin::set`, and never moved out; `meta` is not pinned.
        let mut future = unsafe { self.map_unchecked_mut(|guarded| &mut guarded.future) };
        if aborted {
            return Poll::Ready(Err(match drop_in_place(future) {
                Ok(()) => JoinError::Canceled,
                Err(payload) => JoinError::Panicked(payload),
            }));
        }
        let Some(running) = future.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(JoinError::Canceled));
        };
        match catch_unwind(AssertUnwindSafe(|| running.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => match drop_in_place(future) {
                Ok(()) => Poll::Ready(Ok(output)),
                Err(payload) => Poll::Ready(Err(JoinError::Panicked(payload))),
            },
            Err(payload) => {
                if let Err(second) = drop_in_place(future) {
                    // The first panic is the one to report.
                    drop_quietly(second);
                }
                Poll::Ready(Err(JoinError::Panicked(payload)))
            }
        }
    }
}

/// Drops the future where it lies; a panic of its destructor is the task's, not the shard's.
fn drop_in_place<F>(mut future: Pin<&mut Option<F>>) -> Result<(), Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| future.set(None)))
}

/// What a task came to. If nobody takes it, it is dropped where the task ends, and then a panic of
/// its destructor must neither end the shard nor, as `async-task` would, the process.
pub(crate) struct Outcome<T>(Option<Result<T, JoinError>>);

impl<T> Outcome<T> {
    fn new(result: Result<T, JoinError>) -> Self {
        Self(Some(result))
    }

    /// Takes it, for who awaits the task.
    pub(crate) fn into_result(mut self) -> Result<T, JoinError> {
        self.0.take().unwrap_or(Err(JoinError::Canceled))
    }
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        drop_quietly(self.0.take());
    }
}

/// Drops a value whose destructor has nobody to tell of its panic; the panic hook has reported it.
fn drop_quietly<T>(value: T) {
    let mut panicked = catch_unwind(AssertUnwindSafe(|| drop(value)));
    // What a panic carries may panic when it is dropped, and so on; after a few rounds it is leaked.
    for _ in 0..3 {
        let Err(payload) = panicked else { return };
        panicked = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    }
    if let Err(payload) = panicked {
        let _leaked = ManuallyDrop::new(payload);
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        // A panicking destructor has nobody left to tell: the task was dropped, not polled.
        let future = &mut self.future;
        // In place, because it is pinned.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| *future = None)) {
            drop_quietly(payload);
        }
        let meta = self.meta();
        meta.owner.registry().retire(meta.key);
    }
}
