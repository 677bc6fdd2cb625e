//! Every interleaving of the operations B1 to B7 that the head of `bwos.rs` argues about. Blocks
//! have two slots here, so a few items fill them, empty them and use them again.

use loom::sync::Arc;
use loom::thread;

use super::core::Theft;
use super::{BlockLocal, BlockQueue, BlockShared};
use crate::primitive::{AtomicBool, Ordering, fence};
use crate::queue::loom_tests::{Item, bounded};
use crate::queue::{LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};

fn pair() -> (BlockLocal<Item>, Arc<BlockShared<Item>>) {
    with_capacity(1)
}

/// Of one block, which is used again as soon as it may be.
fn pair_of_one_block() -> (BlockLocal<Item>, Arc<BlockShared<Item>>) {
    with_capacity(0)
}

fn with_capacity(initial_capacity: usize) -> (BlockLocal<Item>, Arc<BlockShared<Item>>) {
    let (owner, shared) = BlockQueue::pair(&QueueOptions { initial_capacity });
    (owner, Arc::new(shared))
}

fn push(owner: &mut BlockLocal<Item>, names: impl IntoIterator<Item = usize>) {
    names.into_iter().for_each(|name| owner.push(Item::new(name)));
}

fn pop(owner: &mut BlockLocal<Item>, into: &mut Vec<usize>) {
    into.extend(owner.pop().map(|item| item.name()));
}

fn drain(owner: &mut BlockLocal<Item>, into: &mut Vec<usize>) {
    while let Some(item) = owner.pop().or_else(|| owner.pop_injected()) {
        into.push(item.name());
    }
}

/// Takes once, as often as it loses to another.
fn steal(from: &BlockShared<Item>, max: usize) -> Vec<usize> {
    let mut names = Vec::new();
    loop {
        let mut take = |item: Item| names.push(item.name());
        match from.core.steal(max, &mut take) {
            Theft::Lost => thread::yield_now(),
            Theft::Empty => {
                from.core.intake.take(|there| there.min(max), &mut take);
                return names;
            }
            Theft::Took(count) => {
                assert_eq!(names.len(), count);
                return names;
            }
        }
    }
}

fn thief(of: &Arc<BlockShared<Item>>, max: usize) -> thread::JoinHandle<Vec<usize>> {
    let of = Arc::clone(of);
    thread::spawn(move || steal(&of, max))
}

#[track_caller]
fn expect_all(mut names: Vec<usize>, count: usize) {
    names.sort_unstable();
    assert_eq!(names, (0..count).collect::<Vec<_>>());
}

#[test]
fn loom_o1_o2_owner_and_thief_share_out_the_last_item() {
    loom::model(|| {
        let (mut owner, shared) = pair();
        push(&mut owner, [0]);
        let thief = thief(&shared, 1);
        let mut names = Vec::new();
        pop(&mut owner, &mut names);
        names.extend(thief.join().unwrap());
        assert_eq!(names, [0]);
        assert_eq!(shared.len_hint(), 0);
    });
}

#[test]
fn loom_o1_o2_a_push_across_a_block_boundary_meets_a_thief() {
    bounded(3, || {
        let (mut owner, shared) = pair();
        let thief = thief(&shared, 2);
        let mut names = Vec::new();
        push(&mut owner, 0..2);
        pop(&mut owner, &mut names);
        push(&mut owner, 2..4);
        names.extend(thief.join().unwrap());
        drain(&mut owner, &mut names);
        expect_all(names, 4);
        assert_eq!(shared.len_hint(), 0);
    });
}

#[test]
fn loom_o1_pops_across_a_block_boundary_meet_a_thief() {
    bounded(3, || {
        let (mut owner, shared) = pair();
        push(&mut owner, 0..4);
        let thief = thief(&shared, 2);
        let mut names = Vec::new();
        (0..3).for_each(|_| pop(&mut owner, &mut names));
        names.extend(thief.join().unwrap());
        drain(&mut owner, &mut names);
        expect_all(names, 4);
    });
}

/// The thief may have looked at a block in its first use and claim in a later one, in which as many
/// items are taken as then.
#[test]
fn loom_o1_a_block_that_is_used_again_under_another_number_refuses_an_old_look() {
    bounded(3, || {
        let (mut owner, shared) = pair_of_one_block();
        push(&mut owner, [0]);
        let thief = thief(&shared, 1);
        let mut names = Vec::new();
        for name in 1..3 {
            pop(&mut owner, &mut names);
            push(&mut owner, [name]);
        }
        names.extend(thief.join().unwrap());
        drain(&mut owner, &mut names);
        expect_all(names, 3);
    });
}

/// B6 and B7: what the thief still reads is not written.
#[test]
fn loom_o1_a_block_is_not_used_again_while_a_thief_reads_it() {
    bounded(3, || {
        let (mut owner, shared) = pair_of_one_block();
        push(&mut owner, 0..2);
        let thief = thief(&shared, 1);
        let mut names = Vec::new();
        (0..2).for_each(|_| pop(&mut owner, &mut names));
        // The same block if it is free, or a new one.
        push(&mut owner, 2..3);
        names.extend(thief.join().unwrap());
        drain(&mut owner, &mut names);
        expect_all(names, 3);
    });
}

/// The table is outgrown while a thief looks something up in it.
#[test]
fn loom_o1_o3_the_table_grows_under_a_thief() {
    bounded(3, || {
        let (mut owner, shared) = pair();
        push(&mut owner, 0..4);
        let thief = thief(&shared, 2);
        push(&mut owner, 4..5);
        let mut names = thief.join().unwrap();
        drain(&mut owner, &mut names);
        expect_all(names, 5);
    });
}

#[test]
fn loom_o1_two_thieves_and_the_owner_share_out_every_item_once() {
    bounded(2, || {
        let (mut owner, shared) = pair();
        push(&mut owner, 0..3);
        let thieves = [thief(&shared, 1), thief(&shared, 2)];
        let mut names = Vec::new();
        pop(&mut owner, &mut names);
        thieves.into_iter().for_each(|thief| names.extend(thief.join().unwrap()));
        drain(&mut owner, &mut names);
        expect_all(names, 3);
        assert_eq!(shared.len_hint(), 0);
    });
}

#[test]
fn loom_o1_two_owners_that_steal_from_each_other_neither_lock_up_nor_lose() {
    bounded(2, || {
        let (mut one, shared_one) = pair();
        let (mut two, shared_two) = pair();
        push(&mut one, 0..2);
        push(&mut two, 2..4);
        let other = thread::spawn(move || {
            let mut names = Vec::new();
            if let Stolen::Took { first, .. } = two.steal_from(&shared_one, 2) {
                names.push(first.name());
            }
            (two, names)
        });
        let mut names = Vec::new();
        if let Stolen::Took { first, .. } = one.steal_from(&shared_two, 2) {
            names.push(first.name());
        }
        let (mut two, others) = other.join().unwrap();
        names.extend(others);
        drain(&mut one, &mut names);
        drain(&mut two, &mut names);
        expect_all(names, 4);
    });
}

#[test]
fn loom_o3_o4_the_owner_may_go_while_a_thief_and_an_injector_work() {
    bounded(2, || {
        let (mut owner, shared) = pair();
        push(&mut owner, [0]);
        let injector = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.inject(Item::new(1)))
        };
        let thief = thief(&shared, 1);
        drop(owner);
        let mut names = thief.join().unwrap();
        injector.join().unwrap();
        names.extend(steal(&shared, 1));
        names.extend(steal(&shared, 1));
        expect_all(names, 2);
    });
}

/// The look before parking: whoever announces and then looks, and whoever pushes and then looks for
/// the announcement, do not both miss each other, with a fence between their two steps.
#[test]
fn loom_o7_a_fence_on_both_sides_shows_the_parker_the_item_or_the_owner_the_parker() {
    bounded(3, || {
        let (mut owner, shared) = pair();
        let parked = Arc::new(AtomicBool::new(false));
        let parker = {
            let parked = Arc::clone(&parked);
            thread::spawn(move || {
                parked.store(true, Ordering::Relaxed);
                // Pairs with the owner's fence.
                fence(Ordering::SeqCst);
                shared.len_hint()
            })
        };
        // One of them is taken again, and must not hide the other.
        push(&mut owner, 0..2);
        assert!(owner.pop().is_some());
        // Pairs with the parker's fence.
        fence(Ordering::SeqCst);
        let seen = parked.load(Ordering::Relaxed);
        let hint = parker.join().unwrap();
        assert!(hint > 0 || seen, "the parker sleeps on an item and nobody knows");
    });
}
