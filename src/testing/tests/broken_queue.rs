//! Queues that break one promise each, and what the suite says of them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::caught;
use crate::queue::{LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};
use crate::testing;

/// Loses the item with which the ring wraps around.
const LOSES_ON_WRAP_AROUND: u8 = 0;
/// The owner takes the newest first, and so the oldest perhaps never.
const NEWEST_FIRST: u8 = 1;
/// A thief takes all there is.
const TAKES_TOO_MANY: u8 = 2;
/// Injected items are not counted.
const HINT_FORGETS_INJECTED: u8 = 3;
/// What the owner pushed goes with its end.
const DROPS_WITH_THE_OWNER: u8 = 4;
/// Nothing is wrong.
const NONE: u8 = 5;

/// The ring has so many places.
const PLACES: usize = 64;

#[derive(Debug)]
struct Faulty<const FAULT: u8>;

struct Lists<T> {
    own: VecDeque<T>,
    injected: VecDeque<T>,
    pushed: usize,
}

struct Local<const FAULT: u8, T>(Arc<Mutex<Lists<T>>>);

struct Shared<const FAULT: u8, T>(Arc<Mutex<Lists<T>>>);

fn open<T>(lists: &Mutex<Lists<T>>) -> MutexGuard<'_, Lists<T>> {
    lists.lock().unwrap_or_else(PoisonError::into_inner)
}

// SAFETY: items move by value and under a lock, so none comes out twice; the faults lose items or
// take them from the wrong end.
unsafe impl<const FAULT: u8> StealQueue for Faulty<FAULT> {
    type Local<T: Send + 'static> = Local<FAULT, T>;
    type Shared<T: Send + 'static> = Shared<FAULT, T>;

    fn pair<T: Send + 'static>(_: &QueueOptions) -> (Self::Local<T>, Self::Shared<T>) {
        let lists = Lists { own: VecDeque::new(), injected: VecDeque::new(), pushed: 0 };
        let both = Arc::new(Mutex::new(lists));
        (Local(Arc::clone(&both)), Shared(both))
    }
}

impl<const FAULT: u8, T: Send + 'static> LocalQueue<T> for Local<FAULT, T> {
    type Shared = Shared<FAULT, T>;

    fn push(&mut self, item: T) {
        let mut lists = open(&self.0);
        lists.pushed += 1;
        let wraps = lists.pushed.is_multiple_of(PLACES) && !lists.own.is_empty();
        if FAULT != LOSES_ON_WRAP_AROUND || !wraps {
            lists.own.push_back(item);
        }
    }

    fn pop(&mut self) -> Option<T> {
        let own = &mut open(&self.0).own;
        if FAULT == NEWEST_FIRST { own.pop_back() } else { own.pop_front() }
    }

    fn pop_injected(&mut self) -> Option<T> {
        open(&self.0).injected.pop_front()
    }

    fn has_injected(&self) -> bool {
        !open(&self.0).injected.is_empty()
    }

    fn steal_from(&mut self, victim: &Self::Shared, max: usize) -> Stolen<T> {
        let mut loot: VecDeque<T> = {
            let lists = &mut *open(&victim.0);
            let from = if lists.own.is_empty() { &mut lists.injected } else { &mut lists.own };
            let half = from.len().div_ceil(2).min(max);
            let most = if FAULT == TAKES_TOO_MANY { from.len() } else { half };
            from.drain(..most).collect()
        };
        let Some(first) = loot.pop_front() else { return Stolen::Empty };
        let moved = loot.len();
        open(&self.0).own.extend(loot);
        Stolen::Took { first, moved }
    }

    fn len(&self) -> usize {
        open(&self.0).own.len()
    }
}

impl<const FAULT: u8, T: Send + 'static> SharedQueue<T> for Shared<FAULT, T> {
    fn inject(&self, item: T) {
        open(&self.0).injected.push_back(item);
    }

    fn len_hint(&self) -> usize {
        let lists = open(&self.0);
        let injected = if FAULT == HINT_FORGETS_INJECTED { 0 } else { lists.injected.len() };
        lists.own.len() + injected
    }
}

impl<const FAULT: u8, T> Drop for Local<FAULT, T> {
    fn drop(&mut self) {
        if FAULT == DROPS_WITH_THE_OWNER {
            open(&self.0).own.clear();
        }
    }
}

impl<const FAULT: u8, T> fmt::Debug for Local<FAULT, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}

impl<const FAULT: u8, T> fmt::Debug for Shared<FAULT, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

#[test]
fn the_same_queue_without_a_fault_passes() {
    testing::steal_queue::<Faulty<NONE>>();
}

#[test]
fn a_queue_that_loses_an_item_on_wrap_around_is_caught() {
    let said = caught(testing::steal_queue::<Faulty<LOSES_ON_WRAP_AROUND>>);
    assert!(said.contains("Faulty<0>` breaks O3: the items {"), "{said}");
}

#[test]
fn random_calls_find_the_lost_item_too_and_name_it() {
    type Lossy = Faulty<LOSES_ON_WRAP_AROUND>;
    let check =
        testing::steal_queue::o1_o3_o6_o7_any_sequence_of_calls_agrees_with_the_model::<Lossy>;
    let said = caught(check);
    assert!(said.contains("breaks O7: O7: the hint says"), "{said}");
    // Shrunk to little but the pushes that fill the ring once.
    let (pushes, calls) = (said.matches("Push(").count(), said.matches('(').count());
    assert!(pushes >= PLACES && calls <= PLACES + 10, "{said}");
}

#[test]
fn a_queue_that_lets_the_oldest_wait_for_ever_is_caught() {
    let said = caught(testing::steal_queue::<Faulty<NEWEST_FIRST>>);
    assert!(said.contains("breaks O5: of 2 items these wait"), "{said}");
}

#[test]
fn a_queue_whose_thieves_take_too_many_is_caught() {
    let said = caught(testing::steal_queue::<Faulty<TAKES_TOO_MANY>>);
    assert!(said.contains("breaks O6"), "{said}");
}

#[test]
fn a_queue_that_does_not_count_injected_items_is_caught() {
    let said = caught(testing::steal_queue::<Faulty<HINT_FORGETS_INJECTED>>);
    assert!(said.contains("breaks O7"), "{said}");
}

#[test]
fn a_queue_whose_items_go_with_the_owner_is_caught() {
    let said = caught(testing::steal_queue::<Faulty<DROPS_WITH_THE_OWNER>>);
    assert!(said.contains("breaks O3: when the owner's end was gone"), "{said}");
}
