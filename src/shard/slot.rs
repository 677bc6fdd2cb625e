//! The place for the task that a shard polls next: filled by the poll that woke it, or between two
//! polls if it goes ahead of others, and fair game for everybody when a poll lasts.

use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};

use crate::primitive::{AtomicPtr, Ordering};
use crate::task::Runnable;

/// What a pointer stands for while it lies in a [`Slot`].
pub(crate) trait Word: Send {
    /// The pointer that [`from_raw`](Self::from_raw) makes the value of again.
    fn into_raw(self) -> NonNull<()>;

    /// # Safety
    ///
    /// The pointer came from [`into_raw`](Self::into_raw), and this is done once.
    unsafe fn from_raw(pointer: NonNull<()>) -> Self;
}

impl Word for Runnable {
    #[inline]
    fn into_raw(self) -> NonNull<()> {
        Self::into_raw(self)
    }

    #[inline]
    unsafe fn from_raw(pointer: NonNull<()>) -> Self {
        // SAFETY:
        // - the caller's promise.
        unsafe { Self::from_raw(pointer) }
    }
}

/// Room for one task: its owner puts and takes, others may steal. Every way in and out is one
/// exchange of the whole slot, so a task leaves it once.
#[derive(Debug)]
pub(crate) struct Slot<T: Word> {
    /// Null if there is none.
    pointer: AtomicPtr<()>,
    holds: PhantomData<fn(T) -> T>,
}

impl<T: Word> Slot<T> {
    /// With nothing in it.
    pub(crate) fn new() -> Self {
        Self { pointer: AtomicPtr::new(null_mut()), holds: PhantomData }
    }

    /// Leaves a task, and gives back the one that was there. For the owner.
    #[inline]
    pub(crate) fn put(&self, task: T) -> Option<T> {
        // L1. SeqCst: a thief that takes the task out sees it whole; we see the one that was there;
        // and it is before the look who sleeps (L2). On x86 no swap is cheaper.
        Self::owned(self.pointer.swap(task.into_raw().as_ptr(), Ordering::SeqCst))
    }

    /// Takes the task out. For the owner.
    #[inline]
    pub(crate) fn take(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        // Acquire pairs with the Release of whoever put it there, which is this thread. Release
        // pairs with L3: who finds the slot empty sees what was queued before.
        Self::owned(self.pointer.swap(null_mut(), Ordering::AcqRel))
    }

    /// Takes the task out. For everybody else.
    pub(crate) fn steal(&self) -> Option<T> {
        // Acquire pairs with the SeqCst of `put`: the task is seen whole. It need not release: who
        // reads this null sees what came before the exchanges behind it all the same (L3), for
        // exchanges carry that on.
        Self::owned(self.pointer.swap(null_mut(), Ordering::Acquire))
    }

    /// Whether there is no task. A hint for all but the owner, who may miss that one was stolen.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.pointer.load(Ordering::Relaxed).is_null()
    }

    /// Whether there is a task, for the last look before a sleep. If there is none, but was one
    /// since, what the owner did before it put it there is seen.
    pub(crate) fn holds(&self) -> bool {
        // L3. Acquire pairs with `put` and `take`.
        !self.pointer.load(Ordering::Acquire).is_null()
    }

    /// The task behind what was swapped out.
    #[inline]
    fn owned(pointer: *mut ()) -> Option<T> {
        let pointer = NonNull::new(pointer)?;
        // SAFETY:
        // - only `put` writes a pointer, which `into_raw` gave, and the swap that took it out left
        //   another value, so nobody else has it.
        Some(unsafe { T::from_raw(pointer) })
    }
}

impl<T: Word> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(test)]
#[cfg(loom)]
#[path = "slot/loom.rs"]
mod loom_tests;
