//! A steal queue of one's own, proved by the suites and run by a real runtime.
//!
//! The owner takes by turns what it queued itself and what came from outside, so that a task which
//! is spawned from another thread never waits behind more than one of the shard's own.
//!
//! ```text
//! cargo run --example custom_queue --features testing
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spargio::queue::{LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};
use spargio::{Runtime, testing};

/// The queue: one lock, two lists, by turns.
#[derive(Debug)]
struct ByTurns;

struct Lists<T> {
    own: VecDeque<T>,
    injected: VecDeque<T>,
    injected_first: bool,
}

impl<T> Lists<T> {
    fn next(&mut self) -> Option<T> {
        self.injected_first = !self.injected_first;
        let first = if self.injected_first { self.injected.pop_front() } else { None };
        first.or_else(|| self.own.pop_front()).or_else(|| self.injected.pop_front())
    }
}

/// Either end: what tells them apart is which trait is used.
struct End<T>(Arc<Mutex<Lists<T>>>);

impl<T> End<T> {
    fn lists(&self) -> MutexGuard<'_, Lists<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: an item leaves its list by value and under the lock (O1, O2). Both ends share the lists,
// which the last of them drops; what a thief moves is in a variable of its own (O3, O4).
unsafe impl StealQueue for ByTurns {
    type Local<T: Send + 'static> = End<T>;
    type Shared<T: Send + 'static> = End<T>;

    fn pair<T: Send + 'static>(_: &QueueOptions) -> (End<T>, End<T>) {
        let (own, injected) = (VecDeque::new(), VecDeque::new());
        let lists = Arc::new(Mutex::new(Lists { own, injected, injected_first: false }));
        (End(Arc::clone(&lists)), End(lists))
    }
}

impl<T: Send + 'static> LocalQueue<T> for End<T> {
    type Shared = End<T>;

    fn push(&mut self, item: T) {
        self.lists().own.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.lists().next()
    }

    fn pop_injected(&mut self) -> Option<T> {
        self.lists().injected.pop_front()
    }

    fn has_injected(&self) -> bool {
        !self.lists().injected.is_empty()
    }

    fn steal_from(&mut self, victim: &End<T>, max: usize) -> Stolen<T> {
        let half = victim.len_hint().div_ceil(2).min(max);
        let mut taken: VecDeque<T> = (0..half).map_while(|_| victim.lists().next()).collect();
        let Some(first) = taken.pop_front() else { return Stolen::Empty };
        let moved = taken.len();
        self.lists().own.extend(taken);
        Stolen::Took { first, moved }
    }

    fn len(&self) -> usize {
        self.lists().own.len()
    }
}

impl<T: Send + 'static> SharedQueue<T> for End<T> {
    fn inject(&self, item: T) {
        self.lists().injected.push_back(item);
    }

    fn len_hint(&self) -> usize {
        let lists = self.lists();
        lists.own.len() + lists.injected.len()
    }
}

impl<T> fmt::Debug for End<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("End")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    testing::steal_queue::<ByTurns>();
    let runtime = Runtime::builder().steal_queue::<ByTurns>().shards(2).build()?;
    let spawn = |number| runtime.handle().spawn_stealable(async move { number });
    let tasks: Vec<_> = (0..1_000).map(spawn).collect::<Result<_, _>>()?;
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(runtime.block_on(task)?, number);
    }
    println!("ByTurns keeps its promises, and ran 1,000 tasks:\n{}", runtime.stats_snapshot());
    Ok(())
}
