//! Tasks that other threads send to a shard: a chain with many writers and one reader, who takes it
//! whole.
//!
//! The links lie in the tasks, so that sending one is a single exchange, and the two ends share no
//! cache line but that of the head and those of the tasks themselves. It is the stack of Treiber
//! ("Systems Programming: Coping with Parallelism", IBM RJ 5118, 1986) without its `pop`: who takes
//! everything by one exchange meets no ABA problem. The reader turns the chain around, because what
//! came first runs first.

use std::fmt;
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;

use crate::primitive::{AtomicPtr, AtomicUsize, Ordering};
use crate::task::Runnable;
use crate::task::raw::Header;

/// Only its address counts: the head of a chain that takes no more.
static CLOSED: u8 = 0;

fn closed() -> *mut Header {
    (&raw const CLOSED).cast_mut().cast()
}

/// The tasks that were sent to one shard and that it has not taken yet.
///
/// It is never full, because a wake must not be lost; what can be refused (a spawn) is refused by
/// the sender, who looks at [`len`](Self::len) first. Once closed it hands every task back.
pub(crate) struct Arrivals {
    /// The task that came last; null if there is none; `closed()` at the end. Its reader spins on
    /// it.
    head: CachePadded<AtomicPtr<Header>>,
    /// How many were sent, says whoever sends.
    sent: CachePadded<AtomicUsize>,
    /// How many were taken, says the reader.
    taken: CachePadded<AtomicUsize>,
}

impl Arrivals {
    /// An empty chain.
    pub(crate) fn new() -> Self {
        Self {
            head: CachePadded::new(AtomicPtr::new(std::ptr::null_mut())),
            sent: CachePadded::new(AtomicUsize::new(0)),
            taken: CachePadded::new(AtomicUsize::new(0)),
        }
    }

    /// Adds a task. The caller then posts the gate of the shard.
    ///
    /// # Errors
    ///
    /// The task comes back when the shard is gone.
    pub(crate) fn push(&self, runnable: Runnable) -> Result<(), Runnable> {
        let mut last = self.head.load(Ordering::Relaxed);
        if last == closed() {
            return Err(runnable);
        }
        let task: NonNull<Header> = runnable.into_raw().cast();
        loop {
            // SAFETY:
            // - the task has its `Runnable`, which is ours until the exchange below succeeds, so
            //   it is there.
            unsafe { task.as_ref() }.next.store(last, Ordering::Relaxed);
            // Release pairs with `take`: the reader sees the link, and the task as it is.
            let swap = self.head.compare_exchange_weak(
                last,
                task.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => break,
                Err(now) if now == closed() => {
                    // SAFETY:
                    // - the pointer came from `into_raw` above, and nobody else has it.
                    return Err(unsafe { Runnable::from_raw(task.cast()) });
                }
                Err(now) => last = now,
            }
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Takes all tasks, in the order in which they came. For the shard alone.
    #[inline]
    pub(crate) fn take(&self) -> Chain {
        if self.is_empty() {
            return Chain::empty();
        }
        // Acquire pairs with each `push`, of which all but the last are in its release sequence.
        let last = self.head.swap(std::ptr::null_mut(), Ordering::Acquire);
        let (chain, count) = Chain::turned_around(last);
        let taken = self.taken.load(Ordering::Relaxed).wrapping_add(count);
        self.taken.store(taken, Ordering::Relaxed);
        chain
    }

    /// Takes no more tasks, and returns those that were not taken. For the shard alone.
    pub(crate) fn close(&self) -> Chain {
        // Acquire: as in `take`.
        let last = self.head.swap(closed(), Ordering::Acquire);
        // Nobody counts on a shard that is gone.
        self.taken.store(self.sent.load(Ordering::Relaxed), Ordering::Relaxed);
        if last == closed() { Chain::empty() } else { Chain::turned_around(last).0 }
    }

    /// Whether there is nothing to take. A hint, exact after the fences of the parking protocol.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        let last = self.head.load(Ordering::Relaxed);
        last.is_null() || last == closed()
    }

    /// How many tasks wait. A hint.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let taken = self.taken.load(Ordering::Relaxed);
        let waiting = self.sent.load(Ordering::Relaxed).wrapping_sub(taken);
        // The reader may be ahead of the count: a sender counts when the task is there already.
        if waiting > usize::MAX / 2 { 0 } else { waiting }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        drop(self.close());
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Tasks that were taken, first come first. Those that are left end when it is dropped.
#[derive(Debug)]
pub(crate) struct Chain {
    first: *mut Header,
}

impl Chain {
    /// Without a task.
    pub(crate) const fn empty() -> Self {
        Self { first: std::ptr::null_mut() }
    }

    /// Whether there is none left.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// The chain that ends with `last`, and its length.
    fn turned_around(last: *mut Header) -> (Self, usize) {
        let mut chain = Self::empty();
        let mut count = 0;
        let mut rest = last;
        while let Some(task) = NonNull::new(rest) {
            // SAFETY:
            // - it was in the chain of arrivals, which had its `Runnable`; that is now ours.
            let next = &unsafe { task.as_ref() }.next;
            rest = next.load(Ordering::Relaxed);
            next.store(chain.first, Ordering::Relaxed);
            chain.first = task.as_ptr();
            count += 1;
        }
        (chain, count)
    }
}

impl Iterator for Chain {
    type Item = Runnable;

    #[inline]
    fn next(&mut self) -> Option<Runnable> {
        let task = NonNull::new(self.first)?;
        // SAFETY:
        // - the chain has the `Runnable` of its tasks, so they are there.
        self.first = unsafe { task.as_ref() }.next.load(Ordering::Relaxed);
        // SAFETY:
        // - `push` made the pointer from a `Runnable`, and it has just left the chain.
        Some(unsafe { Runnable::from_raw(task.cast()) })
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
