//! The one place that chooses between the standard library and loom for everything that threads
//! share. Code below the shard takes its atomics, cells, locks and fences from here.

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, fence,
    };
    pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
    pub(super) use std::thread::yield_now;

    /// `std::cell::UnsafeCell` with loom's access style, so that loom can check each access.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Hands out a shared pointer for the length of the closure.
        pub(crate) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        /// Hands out an exclusive pointer for the length of the closure.
        pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, fence,
    };
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(super) use loom::thread::yield_now;
}

use imp::yield_now;
pub(crate) use imp::*;
pub(crate) use std::sync::atomic::Ordering;

/// Locks, and goes on with the data of a lock whose holder panicked: no user code runs under our
/// locks, so the data is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Lets others go on, in a loop that waits for a step of theirs which is about to come.
pub(crate) fn pause() {
    spin_loop();
    yield_now();
}
