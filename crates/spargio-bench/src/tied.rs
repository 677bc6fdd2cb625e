//! Values that must stay on their thread, as values that may be moved: how thread-per-core
//! runtimes fit a trait whose futures are all `Send`.
//!
//! The check costs the comparison of two addresses, so that it does not show in the numbers.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

thread_local! {
    static MARK: u8 = const { 0 };
}

/// The address of a thread-local: no other thread has it while this one lives.
fn here() -> usize {
    MARK.with(|mark| std::ptr::from_ref(mark) as usize)
}

/// A value that is used and dropped on the thread that made it, wherever it is moved meanwhile.
pub(crate) struct Tied<T> {
    value: ManuallyDrop<T>,
    home: usize,
}

// SAFETY:
// - the value is touched by methods and by `drop` only, and all of them check first that they run
//   on the thread that made it; elsewhere they panic or leak.
unsafe impl<T> Send for Tied<T> {}

// SAFETY:
// - as above: references to the value are given out on its own thread only.
unsafe impl<T> Sync for Tied<T> {}

impl<T> Tied<T> {
    /// Ties a value to this thread.
    pub(crate) fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(value), home: here() }
    }

    /// The value, on its thread.
    ///
    /// # Panics
    ///
    /// On another thread.
    pub(crate) fn get(&self) -> &T {
        self.check();
        &self.value
    }

    /// As [`get`](Self::get), to be changed.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.check();
        &mut self.value
    }

    /// The value, no longer tied; on its thread.
    ///
    /// # Panics
    ///
    /// On another thread.
    pub(crate) fn into_inner(self) -> T {
        self.check();
        let mut tied = ManuallyDrop::new(self);
        // SAFETY:
        // - the value is taken once: the `Tied` itself is not dropped.
        unsafe { ManuallyDrop::take(&mut tied.value) }
    }

    #[track_caller]
    fn check(&self) {
        assert!(self.home == here(), "a part of a thread-per-core runtime left its thread");
    }
}

impl<F: Future> Future for Tied<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.check();
        // SAFETY:
        // - the future is pinned exactly when the `Tied` is: nothing moves it out, and it is
        //   dropped in place.
        let future = unsafe { self.map_unchecked_mut(|tied| &mut *tied.value) };
        future.poll(cx)
    }
}

impl<T> Drop for Tied<T> {
    fn drop(&mut self) {
        if self.home == here() {
            // SAFETY:
            // - this is the only drop of the value, and nobody uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        } else if std::mem::needs_drop::<T>() && !thread::panicking() {
            panic!("a part of a thread-per-core runtime was dropped on another thread");
        }
    }
}

impl<T> fmt::Debug for Tied<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tied").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
