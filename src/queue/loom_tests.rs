//! Every interleaving of owner, thief and injector, for the queue whose locks and counters loom can
//! see. `ChaseLev` is not here: `crossbeam-deque` is built on the standard atomics, which loom does
//! not watch; that crate has model checks of its own, and the suite races it on real threads.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{LocalQueue, MutexLocal, MutexQueue, QueueOptions, SharedQueue, StealQueue, Stolen};

/// An item whose content loom watches: reading it races with writing it unless the queue hands it
/// over properly.
pub(super) struct Item(UnsafeCell<usize>);

// SAFETY: the cell is written by the thread that makes the item, before it hands it over by value.
unsafe impl Send for Item {}

impl Item {
    pub(super) fn new(name: usize) -> Self {
        let item = Self(UnsafeCell::new(0));
        item.0.with_mut(|content| {
            // SAFETY: the item is not shared yet.
            unsafe { *content = name }
        });
        item
    }

    pub(super) fn name(&self) -> usize {
        self.0.with(|content| {
            // SAFETY: the item was handed over by value, and loom reports it if that was no
            // synchronisation.
            unsafe { *content }
        })
    }
}

/// Explores with at most so many preemptions per run; without a bound three threads take minutes,
/// and known races need one or two.
pub(super) fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn options() -> QueueOptions {
    QueueOptions { initial_capacity: 2 }
}

fn drain(owner: &mut MutexLocal<Item>, into: &mut Vec<usize>) {
    while let Some(item) = owner.pop().or_else(|| owner.pop_injected()) {
        into.push(item.name());
    }
}

/// Takes once, and everything that came with it.
fn steal(from: &<MutexQueue as StealQueue>::Shared<Item>) -> Vec<usize> {
    let (mut thief, _) = MutexQueue::pair(&options());
    let mut names = Vec::new();
    if let Stolen::Took { first, .. } = thief.steal_from(from, 4) {
        names.push(first.name());
    }
    drain(&mut thief, &mut names);
    names
}

#[test]
fn loom_o1_o2_owner_thief_and_injector_share_out_every_item_once() {
    bounded(3, || {
        let (mut owner, shared) = MutexQueue::pair(&options());
        let shared = Arc::new(shared);
        owner.push(Item::new(0));
        let thief = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || steal(&shared))
        };
        let injector = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.inject(Item::new(1)))
        };
        let mut names = Vec::new();
        owner.push(Item::new(2));
        names.extend(owner.pop().map(|item| item.name()));
        names.extend(thief.join().unwrap());
        injector.join().unwrap();
        assert_eq!(shared.len_hint(), 3 - names.len());
        drain(&mut owner, &mut names);
        names.sort_unstable();
        assert_eq!(names, [0, 1, 2]);
        assert_eq!(shared.len_hint(), 0);
    });
}

#[test]
fn loom_o1_two_owners_that_steal_from_each_other_neither_lock_up_nor_lose() {
    loom::model(|| {
        let (mut one, shared_one) = MutexQueue::pair(&options());
        let (mut two, shared_two) = MutexQueue::pair(&options());
        for name in 0..3 {
            one.push(Item::new(name));
            two.push(Item::new(3 + name));
        }
        let other = thread::spawn(move || {
            let mut names = Vec::new();
            if let Stolen::Took { first, .. } = two.steal_from(&shared_one, 4) {
                names.push(first.name());
            }
            (two, names)
        });
        let mut names = Vec::new();
        if let Stolen::Took { first, .. } = one.steal_from(&shared_two, 4) {
            names.push(first.name());
        }
        let (mut two, others) = other.join().unwrap();
        names.extend(others);
        drain(&mut one, &mut names);
        drain(&mut two, &mut names);
        names.sort_unstable();
        assert_eq!(names, [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn loom_o4_the_owner_may_go_while_a_thief_and_an_injector_work() {
    loom::model(|| {
        let (mut owner, shared) = MutexQueue::pair(&options());
        let shared = Arc::new(shared);
        owner.push(Item::new(0));
        let injector = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.inject(Item::new(1)))
        };
        let owner = thread::spawn(move || drop(owner));
        let mut names = steal(&shared);
        injector.join().unwrap();
        owner.join().unwrap();
        names.extend(steal(&shared));
        names.extend(steal(&shared));
        names.sort_unstable();
        assert_eq!(names, [0, 1]);
    });
}

/// The look before parking: whoever announces and then looks, and whoever injects and then looks
/// for the announcement, do not both miss each other, with a fence between their two steps.
#[test]
fn loom_o7_a_fence_on_both_sides_shows_the_parker_the_item_or_the_injector_the_parker() {
    use crate::primitive::{AtomicBool, Ordering, fence};

    loom::model(|| {
        let (owner, shared) = MutexQueue::pair(&options());
        let parked = Arc::new(AtomicBool::new(false));
        let injector = {
            let parked = Arc::clone(&parked);
            thread::spawn(move || {
                shared.inject(Item::new(0));
                // Pairs with the parker's fence.
                fence(Ordering::SeqCst);
                let seen = parked.load(Ordering::Relaxed);
                (shared, seen)
            })
        };
        let mut owner = owner;
        parked.store(true, Ordering::Relaxed);
        // Pairs with the injector's fence.
        fence(Ordering::SeqCst);
        let found = owner.pop_injected();
        let (_shared, seen) = injector.join().unwrap();
        assert!(found.is_some() || seen, "the parker sleeps on an item and nobody knows");
    });
}
