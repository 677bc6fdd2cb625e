//! The plain steal queue: two lists under one lock; the reference for the others.

use std::collections::VecDeque;
use std::fmt;

use super::{LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};
use crate::primitive::{Arc, AtomicUsize, Mutex, Ordering, lock};

/// A queue under a lock, for comparison, for debugging, and where few tasks are queued.
///
/// The owner takes its oldest item first, a thief the older half of the owner's items, rounded up,
/// and of the injected items only if the owner has none. The lock is held for one operation at a
/// time, never together with another one; a steal never answers [`Stolen::Retry`].
///
/// # Cost
///
/// Each operation takes the lock, except that looking at an empty part is one load. The lists start
/// with room for [`QueueOptions::initial_capacity`] items each, double when full and do not shrink.
///
/// ```
/// use spargio::queue::{LocalQueue, MutexQueue, QueueOptions, SharedQueue, StealQueue, Stolen};
///
/// let (mut owner, shared) = MutexQueue::pair(&QueueOptions::default());
/// let (mut thief, _) = MutexQueue::pair(&QueueOptions::default());
/// for item in 0..5 {
///     owner.push(item);
/// }
/// assert!(matches!(thief.steal_from(&shared, 8), Stolen::Took { first: 0, moved: 2 }));
/// assert_eq!(thief.pop(), Some(1));
/// assert_eq!(owner.pop(), Some(3));
/// assert_eq!(shared.len_hint(), 1);
/// ```
#[derive(Clone, Copy, Default, Debug)]
pub struct MutexQueue;

// SAFETY:
// - O1: an item leaves its list under the lock, by value.
// - O2: the unlocking by who added it synchronises with the locking by who takes it.
// - O3, O4: both ends share the lists through an `Arc`, which drops them with the last end; between
//   the two locks of a steal the items are in the thief's own buffer, which the thief drops.
unsafe impl StealQueue for MutexQueue {
    type Local<T: Send + 'static> = MutexLocal<T>;
    type Shared<T: Send + 'static> = MutexShared<T>;

    fn pair<T: Send + 'static>(options: &QueueOptions) -> (Self::Local<T>, Self::Shared<T>) {
        let core = Arc::new(Core {
            lists: Mutex::new(Lists {
                own: VecDeque::with_capacity(options.initial_capacity),
                injected: VecDeque::with_capacity(options.initial_capacity),
            }),
            own: AtomicUsize::new(0),
            injected: AtomicUsize::new(0),
        });
        (MutexLocal { core: Arc::clone(&core), loot: Vec::new() }, MutexShared { core })
    }
}

/// The owner's end of a [`MutexQueue`].
pub struct MutexLocal<T> {
    core: Arc<Core<T>>,
    /// What a steal has taken from the victim and not yet added here; empty between calls. Kept for
    /// its memory.
    loot: Vec<T>,
}

impl<T: Send + 'static> LocalQueue<T> for MutexLocal<T> {
    type Shared = MutexShared<T>;

    fn push(&mut self, item: T) {
        self.core.change(|lists| lists.own.push_back(item));
    }

    fn pop(&mut self) -> Option<T> {
        // Only the owner adds, so the 0 that it reads is true.
        if self.len() == 0 {
            return None;
        }
        self.core.change(|lists| lists.own.pop_front())
    }

    fn pop_injected(&mut self) -> Option<T> {
        if self.core.injected.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.core.change(|lists| lists.injected.pop_front())
    }

    fn has_injected(&self) -> bool {
        self.core.injected.load(Ordering::Relaxed) > 0
    }

    fn steal_from(&mut self, victim: &MutexShared<T>, max: usize) -> Stolen<T> {
        if max == 0 || victim.len_hint() == 0 {
            return Stolen::Empty;
        }
        if Arc::ptr_eq(&self.core, &victim.core) {
            // Moving our own items to the back would let others pass them.
            return match self.pop().or_else(|| self.pop_injected()) {
                Some(first) => Stolen::Took { first, moved: 0 },
                None => Stolen::Empty,
            };
        }
        // Two locks, one after the other: two shards may steal from each other.
        let loot = &mut self.loot;
        victim.core.change(|lists| {
            let list = if lists.own.is_empty() { &mut lists.injected } else { &mut lists.own };
            let batch = list.len().div_ceil(2).min(max);
            loot.extend(list.drain(..batch));
        });
        let mut loot = loot.drain(..);
        let Some(first) = loot.next() else { return Stolen::Empty };
        let moved = loot.len();
        if moved > 0 {
            self.core.change(|lists| lists.own.extend(loot));
        }
        Stolen::Took { first, moved }
    }

    fn len(&self) -> usize {
        self.core.own.load(Ordering::Relaxed)
    }
}

impl<T> fmt::Debug for MutexLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.debug("MutexLocal", f)
    }
}

/// Everybody's end of a [`MutexQueue`].
pub struct MutexShared<T> {
    core: Arc<Core<T>>,
}

impl<T: Send + 'static> SharedQueue<T> for MutexShared<T> {
    fn inject(&self, item: T) {
        self.core.change(|lists| lists.injected.push_back(item));
    }

    fn len_hint(&self) -> usize {
        self.core.own.load(Ordering::Relaxed) + self.core.injected.load(Ordering::Relaxed)
    }
}

impl<T> fmt::Debug for MutexShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.debug("MutexShared", f)
    }
}

/// What the two ends share.
///
/// The counters repeat the lengths of the lists, written under the lock. Relaxed is enough: whoever
/// must not miss an item (a shard about to park) puts a fence between its announcement and its
/// look, and the item itself is handed over by the lock.
struct Core<T> {
    lists: Mutex<Lists<T>>,
    own: AtomicUsize,
    injected: AtomicUsize,
}

struct Lists<T> {
    own: VecDeque<T>,
    injected: VecDeque<T>,
}

impl<T> Core<T> {
    /// Changes the lists under the lock and publishes their lengths. `change` runs no code of `T`.
    fn change<R>(&self, change: impl FnOnce(&mut Lists<T>) -> R) -> R {
        let mut lists = lock(&self.lists);
        let answer = change(&mut lists);
        self.own.store(lists.own.len(), Ordering::Relaxed);
        self.injected.store(lists.injected.len(), Ordering::Relaxed);
        answer
    }

    fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("len", &self.own.load(Ordering::Relaxed))
            .field("injected", &self.injected.load(Ordering::Relaxed))
            .finish()
    }
}
