//! Injected items: a list under a lock, with its length beside it.

use std::collections::VecDeque;

use crate::primitive::{AtomicUsize, Mutex, Ordering, lock};

/// What threads leave for a queue that they do not own.
#[derive(Debug)]
pub(super) struct Intake<T> {
    list: Mutex<VecDeque<T>>,
    /// The length of the list, written under its lock, which hands over the items. Who must not
    /// miss one puts a fence before its look.
    len: AtomicUsize,
}

impl<T> Intake<T> {
    pub(super) fn new() -> Self {
        Self { list: Mutex::new(VecDeque::new()), len: AtomicUsize::new(0) }
    }

    pub(super) fn len(&self) -> usize {
        // Acquire pairs with `take`.
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn add(&self, item: T) {
        let mut list = lock(&self.list);
        list.push_back(item);
        self.len.store(list.len(), Ordering::Relaxed);
    }

    /// Takes the oldest items, as many as `count` says of how many there are, and answers how many
    /// that was. The lock is held meanwhile: `take` takes no lock and runs no code of the items.
    pub(super) fn take(
        &self,
        count: impl FnOnce(usize) -> usize,
        mut take: impl FnMut(T),
    ) -> usize {
        if self.len() == 0 {
            return 0;
        }
        let mut list = lock(&self.list);
        let count = count(list.len()).min(list.len());
        for item in list.drain(..count) {
            take(item);
        }
        // Release pairs with `len`: who sees that items are gone from here sees where they went.
        self.len.store(list.len(), Ordering::Release);
        count
    }
}
