//! Receipts: how many messages of a lane its target has taken, and who waits to hear of it.
//!
//! The target publishes one number as it goes, and asks nobody whether somebody waits for it: who
//! waits leaves its waker, raises the flag of the target, and then *posts the target's gate* as if
//! it had sent something (W1..W5 of `doorbell/README.md`, with the flag in the place of the
//! letter). So the target finds the flag in one of its next turns, or in the last look before its
//! sleep, or it is rung; only then does it look through the wakers. A message that nobody waits
//! for costs nothing, and no fence of the target's own is needed.

use std::task::{Poll, Waker};

use crossbeam_utils::CachePadded;

use crate::primitive::{AtomicBool, AtomicU64, Mutex, Ordering, lock};

/// The target is gone, and took no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Closed;

/// What the target of a lane has taken.
#[derive(Debug)]
pub(crate) struct Receipts {
    /// How many messages; written by the target alone, on a line of its own.
    taken: CachePadded<AtomicU64>,
    is_closed: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// As `is_closed`; decides for whoever holds the lock.
    closed: bool,
    next_key: u64,
    wakers: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    key: u64,
    position: u64,
    waker: Waker,
}

/// What a look at the wakers left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Left {
    /// Nobody waits any more.
    Nobody,
    /// Somebody waits for messages that were not taken yet.
    Somebody,
}

impl Receipts {
    pub(super) fn new() -> Self {
        let waiting = Waiting { closed: false, next_key: 0, wakers: Vec::new() };
        Self {
            taken: CachePadded::new(AtomicU64::new(0)),
            is_closed: AtomicBool::new(false),
            waiting: Mutex::new(waiting),
        }
    }

    /// Whether the first `position` messages were taken, or never will be.
    pub(crate) fn look(&self, position: u64) -> Poll<Result<(), Closed>> {
        if self.taken() >= position {
            return Poll::Ready(Ok(()));
        }
        if lock(&self.waiting).closed { Poll::Ready(Err(Closed)) } else { Poll::Pending }
    }

    /// How many messages were taken.
    pub(super) fn taken(&self) -> u64 {
        // Acquire pairs with `publish`.
        self.taken.load(Ordering::Acquire)
    }

    /// Leaves a waker, in the place of the one with this key. The caller then raises the flag of
    /// the target and posts its gate. `None`: look again, the target is gone.
    pub(crate) fn wait(&self, position: u64, key: Option<u64>, waker: Waker) -> Option<u64> {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return None;
        }
        let Waiting { wakers, next_key, .. } = &mut *waiting;
        if let Some(waiter) = wakers.iter_mut().find(|waiter| Some(waiter.key) == key) {
            let before = std::mem::replace(&mut waiter.waker, waker);
            let key = waiter.key;
            drop(waiting);
            // A waker may be anybody's code.
            drop(before);
            return Some(key);
        }
        let key = *next_key;
        *next_key += 1;
        wakers.push(Waiter { key, position, waker });
        Some(key)
    }

    /// Whether the waker with this key is there and wakes the same task.
    pub(crate) fn will_wake(&self, key: u64, waker: &Waker) -> bool {
        let waiting = lock(&self.waiting);
        waiting.wakers.iter().any(|waiter| waiter.key == key && waiter.waker.will_wake(waker))
    }

    /// Takes a waker back.
    pub(crate) fn forget(&self, key: u64) {
        let mut waiting = lock(&self.waiting);
        let at = waiting.wakers.iter().position(|waiter| waiter.key == key);
        let waiter = at.map(|at| waiting.wakers.swap_remove(at));
        drop(waiting);
        drop(waiter);
    }

    /// So many messages were taken in all. For the target alone.
    #[inline]
    pub(super) fn publish(&self, taken: u64) {
        // Release pairs with `look`.
        self.taken.store(taken, Ordering::Release);
    }

    /// Moves the wakers of those whose messages were taken to `wakers`. For the target alone.
    pub(super) fn claim(&self, wakers: &mut impl Extend<Waker>) -> Left {
        let taken = self.taken.load(Ordering::Relaxed);
        let mut waiting = lock(&self.waiting);
        let due = waiting.wakers.extract_if(.., |waiter| waiter.position <= taken);
        wakers.extend(due.map(|waiter| waiter.waker));
        if waiting.wakers.is_empty() { Left::Nobody } else { Left::Somebody }
    }

    /// The target takes no more. Moves all wakers to `wakers`.
    pub(super) fn close(&self, wakers: &mut impl Extend<Waker>) {
        let mut waiting = lock(&self.waiting);
        waiting.closed = true;
        self.is_closed.store(true, Ordering::Relaxed);
        wakers.extend(waiting.wakers.drain(..).map(|waiter| waiter.waker));
    }

    /// Whether the target takes no more. A hint for a sender: what it sends all the same is
    /// dropped unread, as what it sent a moment before.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
