//! How many tasks were spawned into one list of a registry.

use crate::primitive::{AtomicUsize, Ordering};

/// How many tasks were spawned, and how many of them may run on their home only. One thread at a
/// time writes it.
#[derive(Debug)]
pub(super) struct Tally {
    all: AtomicUsize,
    pinned: AtomicUsize,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { all: AtomicUsize::new(0), pinned: AtomicUsize::new(0) }
    }

    /// A task was spawned.
    #[inline]
    pub(super) fn count(&self, is_pinned: bool) {
        add(&self.all, 1);
        if is_pinned {
            add(&self.pinned, 1);
        }
    }

    /// How many.
    #[inline]
    pub(super) fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// How many of them may run on their home only.
    pub(super) fn pinned(&self) -> usize {
        self.pinned.load(Ordering::Relaxed)
    }
}

/// Counts on, in a counter that this thread alone writes at this time.
#[inline]
pub(super) fn add(counter: &AtomicUsize, count: usize) {
    let now = counter.load(Ordering::Relaxed).wrapping_add(count);
    // Release pairs with `Registry::len`, for what has ended.
    counter.store(now, Ordering::Release);
}
