//! What surrounds a user's future inside a task: it catches panics, obeys aborts, and tells the
//! registry when the future is gone.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use crate::error::JoinError;
use crate::task::Meta;

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
    type Output = Result<F::Output, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
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
                    // The first panic is the one to report; dropping the second payload must not
                    // start a third.
                    drop(catch_unwind(AssertUnwindSafe(|| drop(second))));
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

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        let future = &mut self.future;
        // The payload of a panicking destructor has nobody left to go to: the task was dropped, not
        // polled. The panic hook has reported it.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| *future = None)) {
            drop(catch_unwind(AssertUnwindSafe(|| drop(payload))));
        }
        let meta = self.meta();
        meta.owner.registry().retire(meta.key);
    }
}
