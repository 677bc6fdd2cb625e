//! The default steal queue: a lock-free deque for the owner and a lock-free injector.

use std::fmt;

use crossbeam_deque::{Injector, Steal, Stealer, Worker};

use super::{LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};
use crate::primitive::{Arc, spin_loop};

/// How many items [`pop_injected`](LocalQueue::pop_injected) takes at most: one to run and the
/// others into the owner's part, from where they can still be stolen. Small, so that what was
/// injected in a burst does not all queue behind one shard's next task; four already have the whole
/// gain of a batch (15 ns an item instead of 19), 32 are no faster.
const INJECTED_BATCH: usize = 8;

/// How often a steal that lost a race is tried again before the caller hears of it.
const STEAL_ATTEMPTS: usize = 4;

/// The deque of Chase and Lev with first-in-first-out ends, beside an injector.
///
/// The owner's part is the circular work-stealing deque of D. Chase and Y. Lev ("Dynamic Circular
/// Work-Stealing Deque", SPAA 2005) with the memory orderings of N. M. Le, A. Pop, A. Cohen and
/// F. Zappa Nardelli ("Correct and Efficient Work-Stealing for Weak Memory Models", PPoPP 2013);
/// the injector is a linked list of blocks. Both are those of the crate `crossbeam-deque`.
///
/// # Order
///
/// The owner and thieves take the oldest item first. Injected items come out in the order in which
/// they were injected, except that a batch which [`pop_injected`](LocalQueue::pop_injected) moved
/// stands behind what the owner already had.
///
/// # Cost
///
/// The owner's `push` is a release fence and two stores, its `pop` one atomic addition; neither
/// looks at the injector. `pop_injected` on an empty injector is two loads. A steal is one
/// compare-and-swap for the whole batch. The deque doubles when full, halves when three quarters
/// are unused, and never shrinks below 64; [`QueueOptions::initial_capacity`] is not used. The
/// injector allocates a block for every 63 items; while one thread is allocating the next block,
/// others that inject wait for it.
///
/// ```
/// use spargio::queue::{ChaseLev, LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};
///
/// let (mut owner, shared) = ChaseLev::pair(&QueueOptions::default());
/// let (mut thief, _) = ChaseLev::pair(&QueueOptions::default());
/// owner.push(1);
/// owner.push(2);
/// shared.inject(3);
/// assert_eq!(owner.pop(), Some(1));
/// assert!(matches!(thief.steal_from(&shared, 8), Stolen::Took { first: 2, moved: 0 }));
/// assert_eq!(owner.pop(), None);
/// assert_eq!(owner.pop_injected(), Some(3));
/// ```
#[derive(Clone, Copy, Default, Debug)]
pub struct ChaseLev;

// SAFETY:
// - O1, O2: both structures hand out an item to the one thread whose compare-and-swap (or addition)
//   moved the front index past it, and that operation synchronises with the push.
// - O3, O4: the deque is owned by the worker and its stealer together, the injector by the `Arc`
//   that both ends hold; each drops what is left when its last owner goes.
unsafe impl StealQueue for ChaseLev {
    type Local<T: Send + 'static> = ChaseLevLocal<T>;
    type Shared<T: Send + 'static> = ChaseLevShared<T>;

    fn pair<T: Send + 'static>(_options: &QueueOptions) -> (Self::Local<T>, Self::Shared<T>) {
        let worker = Worker::new_fifo();
        let injector = Arc::new(Injector::new());
        let shared = ChaseLevShared { stealer: worker.stealer(), injector: Arc::clone(&injector) };
        (ChaseLevLocal { worker, injector }, shared)
    }
}

/// The owner's end of a [`ChaseLev`] queue.
pub struct ChaseLevLocal<T> {
    worker: Worker<T>,
    injector: Arc<Injector<T>>,
}

impl<T> ChaseLevLocal<T> {
    /// One try at the victim's deque, then one at its injector.
    fn try_steal(&self, victim: &ChaseLevShared<T>, max: usize) -> Steal<T> {
        // The deque gives half of its items, rounded up. The injector would give the rest of a
        // block; the same half is asked of it.
        victim.stealer.steal_batch_with_limit_and_pop(&self.worker, max).or_else(|| {
            match victim.injector.len().div_ceil(2).min(max) {
                0 => Steal::Empty,
                batch => victim.injector.steal_batch_with_limit_and_pop(&self.worker, batch),
            }
        })
    }
}

impl<T: Send + 'static> LocalQueue<T> for ChaseLevLocal<T> {
    type Shared = ChaseLevShared<T>;

    fn push(&mut self, item: T) {
        self.worker.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.worker.pop()
    }

    fn pop_injected(&mut self) -> Option<T> {
        if self.injector.is_empty() {
            return None;
        }
        // Each repetition means that another thread took a batch, so the loop ends at the latest
        // when nothing is left.
        loop {
            match self.injector.steal_batch_with_limit_and_pop(&self.worker, INJECTED_BATCH) {
                Steal::Success(item) => return Some(item),
                Steal::Empty => return None,
                Steal::Retry => spin_loop(),
            }
        }
    }

    fn has_injected(&self) -> bool {
        !self.injector.is_empty()
    }

    fn steal_from(&mut self, victim: &ChaseLevShared<T>, max: usize) -> Stolen<T> {
        if max == 0 {
            return Stolen::Empty;
        }
        let before = self.worker.len();
        for _ in 0..STEAL_ATTEMPTS {
            match self.try_steal(victim, max) {
                Steal::Success(first) => {
                    let moved = self.worker.len().saturating_sub(before);
                    return Stolen::Took { first, moved };
                }
                Steal::Empty => return Stolen::Empty,
                Steal::Retry => spin_loop(),
            }
        }
        Stolen::Retry
    }

    fn len(&self) -> usize {
        self.worker.len()
    }

    fn is_empty(&self) -> bool {
        self.worker.is_empty()
    }
}

impl<T> fmt::Debug for ChaseLevLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChaseLevLocal")
            .field("len", &self.worker.len())
            .field("injected", &self.injector.len())
            .finish()
    }
}

/// Everybody's end of a [`ChaseLev`] queue.
pub struct ChaseLevShared<T> {
    stealer: Stealer<T>,
    injector: Arc<Injector<T>>,
}

impl<T: Send + 'static> SharedQueue<T> for ChaseLevShared<T> {
    fn inject(&self, item: T) {
        self.injector.push(item);
    }

    // Both lengths are differences of indices that are kept anyway. A counter of our own would
    // cost an atomic addition per item, and the deque does not tell how many items a batch had.
    fn len_hint(&self) -> usize {
        self.stealer.len() + self.injector.len()
    }
}

impl<T> fmt::Debug for ChaseLevShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChaseLevShared")
            .field("len", &self.stealer.len())
            .field("injected", &self.injector.len())
            .finish()
    }
}
