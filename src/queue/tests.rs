//! The suite of every steal queue for each of ours, and what ours promise beyond it: their order,
//! and how much a steal takes.

use super::{
    BlockQueue, ChaseLev, LocalQueue, MutexQueue, QueueOptions, SharedQueue, StealQueue, Stolen,
};
use crate::testing::steal_queue;

macro_rules! suite {
    ($module:ident $queue:ident $($check:ident)*) => {
        mod $module {
            $(#[test]
            fn $check() {
                super::steal_queue::$check::<super::$queue>();
            })*

            #[test]
            fn the_owner_takes_the_oldest_first() {
                super::the_owner_takes_the_oldest_first::<super::$queue>();
            }

            #[test]
            fn a_steal_takes_at_most_half_of_the_injected() {
                super::a_steal_takes_at_most_half_of_the_injected::<super::$queue>();
            }

            #[test]
            fn a_thief_that_is_the_victim_takes_its_oldest_and_moves_none() {
                super::a_thief_that_is_the_victim_takes_its_oldest_and_moves_none::<super::$queue>();
            }
        }
    };
}

steal_queue::checks!(suite block BlockQueue);
steal_queue::checks!(suite chase_lev ChaseLev);
steal_queue::checks!(suite mutex MutexQueue);

#[test]
fn a_steal_from_a_deque_takes_the_oldest_half_rounded_up_within_the_limit() {
    a_steal_takes_the_oldest_half_rounded_up_within_the_limit::<ChaseLev>(70);
}

#[test]
fn a_steal_from_a_list_takes_the_oldest_half_rounded_up_within_the_limit() {
    a_steal_takes_the_oldest_half_rounded_up_within_the_limit::<MutexQueue>(70);
}

/// As long as the second block is not full.
#[test]
fn a_steal_from_less_than_two_blocks_takes_the_oldest_half_rounded_up_within_the_limit() {
    a_steal_takes_the_oldest_half_rounded_up_within_the_limit::<BlockQueue>(64);
}

fn pair<Q: StealQueue, T: Send + 'static>() -> (Q::Local<T>, Q::Shared<T>) {
    Q::pair(&QueueOptions { initial_capacity: 4 })
}

/// Everything that the owner can get.
fn drain<T: Send + 'static>(owner: &mut impl LocalQueue<T>) -> Vec<T> {
    let mut items = Vec::new();
    while let Some(item) = owner.pop().or_else(|| owner.pop_injected()) {
        items.push(item);
    }
    items
}

fn the_owner_takes_the_oldest_first<Q: StealQueue>() {
    let (mut owner, shared) = pair::<Q, usize>();
    (0..300).for_each(|item| owner.push(item));
    (300..310).for_each(|item| shared.inject(item));
    assert_eq!(drain(&mut owner), (0..310).collect::<Vec<_>>());
}

/// Takes once from `there` items that `fill` put in, and answers how many it got.
fn stolen_of<Q: StealQueue>(
    there: usize,
    max: usize,
    fill: impl Fn(&mut Q::Local<usize>, &Q::Shared<usize>, usize),
) -> usize {
    let (mut owner, shared) = pair::<Q, usize>();
    let (mut thief, _shared) = pair::<Q, usize>();
    (0..there).for_each(|item| fill(&mut owner, &shared, item));
    match thief.steal_from(&shared, max) {
        Stolen::Took { first, moved } => {
            assert_eq!(first, 0, "a thief takes the oldest first");
            assert_eq!(drain(&mut thief), (1..=moved).collect::<Vec<_>>());
            1 + moved
        }
        Stolen::Empty => 0,
        Stolen::Retry => panic!("nobody else was there"),
    }
}

fn a_steal_takes_the_oldest_half_rounded_up_within_the_limit<Q: StealQueue>(below: usize) {
    for there in 0..below {
        for max in [0, 1, 2, 3, 31, 32, 33, 100, usize::MAX] {
            let took = stolen_of::<Q>(there, max, |owner, _, item| owner.push(item));
            assert_eq!(took, there.div_ceil(2).min(max), "of {there}, at most {max}");
        }
    }
}

fn a_steal_takes_at_most_half_of_the_injected<Q: StealQueue>() {
    for there in 0..140 {
        for max in [1, 2, 32, usize::MAX] {
            let took = stolen_of::<Q>(there, max, |_, shared, item| shared.inject(item));
            let half = there.div_ceil(2).min(max);
            assert!(took <= half, "took {took} of {there}, at most {max}");
        }
    }
}

fn a_thief_that_is_the_victim_takes_its_oldest_and_moves_none<Q: StealQueue>() {
    let (mut owner, shared) = pair::<Q, u32>();
    assert!(matches!(owner.steal_from(&shared, 8), Stolen::Empty));
    (0..4).for_each(|item| owner.push(item));
    assert!(matches!(owner.steal_from(&shared, 8), Stolen::Took { first: 0, moved: 0 }));
    assert_eq!(drain(&mut owner), [1, 2, 3]);
    shared.inject(4);
    assert!(matches!(owner.steal_from(&shared, 8), Stolen::Took { first: 4, moved: 0 }));
}
