//! What a queue of blocks promises beyond the suite: where thieves take from, which memory is used
//! again, and that all of it comes out in the order that the blocks say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

use super::block::SLOTS;
use super::{BlockLocal, BlockQueue, BlockShared};
use crate::queue::{LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};

const BLOCK: usize = SLOTS as usize;

fn pair<T: Send + 'static>(capacity: usize) -> (BlockLocal<T>, BlockShared<T>) {
    BlockQueue::pair(&QueueOptions { initial_capacity: capacity })
}

/// What one steal gives a thief of its own.
fn steal(from: &BlockShared<usize>, max: usize) -> Vec<usize> {
    let (mut thief, _shared) = pair(1);
    match thief.steal_from(from, max) {
        Stolen::Took { first, .. } => {
            std::iter::once(first).chain(std::iter::from_fn(|| thief.pop())).collect()
        }
        Stolen::Empty => Vec::new(),
        Stolen::Retry => panic!("nobody else is there"),
    }
}

/// How many blocks the owner has that are not in use, and how many there are in all.
fn blocks<T>(owner: &BlockLocal<T>) -> (usize, usize) {
    (owner.owner.spare_count(), owner.core.block_count())
}

#[test]
fn a_thief_leaves_the_block_where_the_owner_is_at_work() {
    let (mut owner, shared) = pair(4);
    (0..4 * BLOCK).for_each(|item| owner.push(item));
    assert_eq!(owner.pop(), Some(0));
    assert_eq!(steal(&shared, 4), (BLOCK..BLOCK + 4).collect::<Vec<_>>());
    assert_eq!(owner.pop(), Some(1));
    assert_eq!(steal(&shared, 4), (BLOCK + 4..BLOCK + 8).collect::<Vec<_>>());
}

#[test]
fn a_thief_takes_the_oldest_of_an_owner_that_is_stuck() {
    let (mut owner, shared) = pair(4);
    (0..4 * BLOCK).for_each(|item| owner.push(item));
    assert_eq!(owner.pop(), Some(0));
    // One look tells where the owner was.
    steal(&shared, 1);
    let stolen: Vec<_> = (0..BLOCK - 1).flat_map(|_| steal(&shared, 1)).collect();
    assert_eq!(stolen, (1..BLOCK).collect::<Vec<_>>());
}

#[test]
fn a_thief_takes_the_only_block_of_a_busy_owner() {
    let (mut owner, shared) = pair(4);
    (0..BLOCK + 1).for_each(|item| owner.push(item));
    assert_eq!(owner.pop(), Some(0));
    assert_eq!(steal(&shared, 2), [1, 2]);
}

#[test]
fn a_steal_takes_no_more_than_one_block() {
    let (mut owner, shared) = pair(4);
    (0..10 * BLOCK).for_each(|item| owner.push(item));
    assert_eq!(steal(&shared, usize::MAX).len(), BLOCK);
}

#[test]
fn a_queue_within_its_capacity_allocates_no_block() {
    for capacity in [1, BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK] {
        let (mut owner, _shared) = pair(capacity);
        let (_, before) = blocks(&owner);
        (0..capacity).for_each(|item| owner.push(item));
        for item in 0..10 * BLOCK {
            assert_eq!(owner.pop(), Some(item));
            owner.push(capacity + item);
        }
        assert_eq!(blocks(&owner).1, before, "with room for {capacity}");
    }
}

#[test]
fn blocks_that_thieves_emptied_are_used_again_though_the_owner_never_pops() {
    let (mut owner, shared) = pair(BLOCK);
    for item in 0..200 * BLOCK {
        owner.push(item);
        if shared.len_hint() > 2 * BLOCK {
            steal(&shared, BLOCK);
        }
    }
    assert!(blocks(&owner).1 <= 8, "{:?}", blocks(&owner));
}

#[test]
fn a_long_backlog_grows_and_shrinks_in_order() {
    let (mut owner, _shared) = pair(1);
    (0..100 * BLOCK).for_each(|item| owner.push(item));
    assert!((0..100 * BLOCK).all(|item| owner.pop() == Some(item)));
    assert_eq!(owner.pop(), None);
    let (spare, all) = blocks(&owner);
    assert_eq!(spare, all);
    (0..100 * BLOCK).for_each(|item| owner.push(item));
    assert_eq!(blocks(&owner).1, all, "the blocks of the first backlog serve the second");
}

#[test]
fn the_number_of_a_block_that_is_used_again_tells_an_old_look() {
    let (mut owner, shared) = pair(1);
    owner.push(0);
    let old = shared.core.look_at_oldest().unwrap();
    assert_eq!(owner.pop(), Some(0));
    // The same block, with as many taken.
    for item in 1..2 * BLOCK {
        owner.push(item);
        owner.pop();
    }
    owner.push(7);
    while shared.core.look_at_oldest().is_none_or(|mark| mark.taken() != old.taken()) {
        owner.pop();
        owner.push(7);
    }
    let new = shared.core.look_at_oldest().unwrap();
    assert_ne!(new, old);
    assert!(new.number() > old.number());
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_is_left_in_several_blocks_with_gaps_is_dropped_once() {
    for owner_first in [true, false] {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut owner, shared) = pair(1);
        for _ in 0..5 * BLOCK + 3 {
            owner.push(Dropped(Arc::clone(&drops)));
        }
        // A hole in the second block, and a part of the first.
        let (mut thief, thiefs) = pair(1);
        assert!(matches!(thief.steal_from(&shared, BLOCK), Stolen::Took { .. }));
        assert!(owner.pop().is_some());
        assert_eq!(drops.load(Ordering::Relaxed), 2);
        drop((thief, thiefs));
        assert_eq!(drops.load(Ordering::Relaxed), BLOCK + 1);
        if owner_first {
            drop(owner);
            drop(shared);
        } else {
            drop(shared);
            drop(owner);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 5 * BLOCK + 3);
    }
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Push(usize),
    Pop(usize),
    Steal(usize),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        3 => (1..80_usize).prop_map(Call::Push),
        3 => (1..80_usize).prop_map(Call::Pop),
        2 => (0..50_usize).prop_map(Call::Steal),
    ];
    proptest::collection::vec(call, 0..80)
}

/// Pops come out in the order of a list from which steals took runs of neighbours.
fn agrees(capacity: usize, calls: &[Call]) -> Result<(), TestCaseError> {
    let (mut owner, shared) = pair(capacity);
    let mut model = VecDeque::new();
    let mut next = 0;
    for &call in calls {
        match call {
            Call::Push(count) => (0..count).for_each(|_| {
                owner.push(next);
                model.push_back(next);
                next += 1;
            }),
            Call::Pop(count) => {
                for _ in 0..count {
                    prop_assert_eq!(owner.pop(), model.pop_front());
                }
            }
            Call::Steal(max) => {
                let stolen = steal(&shared, max);
                prop_assert!(stolen.len() <= max.min(model.len().div_ceil(2)));
                prop_assert_eq!(stolen.is_empty(), max == 0 || model.is_empty());
                if let Some(first) = stolen.first() {
                    let at = model.iter().position(|item| item == first);
                    let run: Vec<usize> = model.drain(at.unwrap()..).collect();
                    prop_assert_eq!(&run[..stolen.len()], &stolen[..]);
                    prop_assert!(stolen.iter().all(|item| item / BLOCK == first / BLOCK));
                    model.extend(&run[stolen.len()..]);
                }
            }
        }
        prop_assert_eq!(shared.len_hint(), model.len());
        prop_assert_eq!(owner.len(), model.len());
        prop_assert_eq!(owner.is_empty(), model.is_empty());
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_sequence_of_calls_agrees_with_a_list(
        capacity in 0..200_usize,
        calls in calls(),
    ) {
        agrees(capacity, &calls)?;
    }
}
