//! The buffers that were dropped away from their shard, on their way back.

use crate::primitive::{AtomicU32, Ordering};

/// No buffer.
const NONE: u32 = u32::MAX;

/// A list of buffer numbers that every thread puts to and one takes from, all at once. Without a
/// lock: a push is one attempt after the other to become the first, and a take is one swap.
///
/// Why no number is lost and none comes twice: who pushes a number owns the buffer, so nobody else
/// pushes it, and its link is the pusher's to write until the number is the first of the list.
/// A take makes the list empty in one step, and owns from then on every number that hung on the
/// first, links included. A number can come back to the front between a pusher's look and its
/// attempt (the first was taken and pushed anew), and then the attempt succeeds: rightly, because
/// what the pusher linked to is that very number, with whatever hangs on it now.
#[derive(Debug)]
pub(super) struct Returns {
    first: AtomicU32,
    /// For each number the one behind it.
    links: Box<[AtomicU32]>,
}

impl Returns {
    /// An empty list for numbers below `count`.
    pub(super) fn new(count: usize) -> Self {
        let links = (0..count).map(|_| AtomicU32::new(NONE)).collect();
        Self { first: AtomicU32::new(NONE), links }
    }

    /// Puts a buffer there that is the caller's.
    pub(super) fn push(&self, number: u16) {
        let link = &self.links[usize::from(number)];
        let mut first = self.first.load(Ordering::Relaxed);
        loop {
            link.store(first, Ordering::Relaxed);
            let own = u32::from(number);
            // Release pairs with the Acquire of `take`: who takes the number sees its link, and
            // what was read of the buffer happens before it is filled anew. The pushes before
            // belong to the same release sequence, because each is a read-modify-write.
            match self.first.compare_exchange_weak(first, own, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Takes every buffer, the last one first.
    pub(super) fn take(&self, mut sink: impl FnMut(u16)) {
        if self.is_empty() {
            return;
        }
        // Acquire pairs with `push`.
        let mut next = self.first.swap(NONE, Ordering::Acquire);
        while let Ok(number) = u16::try_from(next) {
            // Read before the number is passed on: from then on it may be pushed anew.
            next = self.links[usize::from(number)].load(Ordering::Relaxed);
            sink(number);
        }
    }

    /// Whether there is nothing to take. A hint.
    pub(super) fn is_empty(&self) -> bool {
        self.first.load(Ordering::Relaxed) == NONE
    }
}

#[cfg(test)]
#[cfg(loom)]
#[path = "returns/loom.rs"]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
