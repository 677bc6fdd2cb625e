//! The obligations of a [`StealQueue`], as checks that run for any queue.
//!
//! Queues differ in their order, in how much one steal takes and in what they do with injected
//! items. The checks ask for what every queue promises and for nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::queue::{LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};
use crate::testing::{broken, demand};

mod model;
mod races;

pub use model::o1_o3_o6_o7_any_sequence_of_calls_agrees_with_the_model;
pub use races::{
    o1_racing_threads_see_every_item_once, o1_two_owners_that_steal_from_each_other_lose_nothing,
    o2_what_was_written_before_the_push_is_read_after_the_pop,
    o4_the_owner_goes_while_others_inject_and_steal,
};

/// Hands the names of all checks to a macro, those first that fail at once.
macro_rules! checks {
    ($each:ident $($arguments:tt)*) => {
        $each! { $($arguments)*
            o3_nothing_is_lost_when_the_ends_go_round_many_times
            o1_o3_o6_o7_any_sequence_of_calls_agrees_with_the_model
            o3_what_is_left_is_dropped_with_the_second_end
            o4_the_shared_end_outlives_the_owner_and_the_other_way_round
            o5_every_item_comes_out_though_each_goes_back_at_once
            o5_injected_items_come_out_while_the_owner_keeps_itself_busy
            o6_a_steal_takes_some_and_at_most_what_was_asked_for
            o7_the_hint_counts_both_parts
            o2_what_was_written_before_the_push_is_read_after_the_pop
            o1_racing_threads_see_every_item_once
            o1_two_owners_that_steal_from_each_other_lose_nothing
            o4_the_owner_goes_while_others_inject_and_steal
        }
    };
}
pub(crate) use checks;

/// How many pops O5 gives a queue for each item that waits. A queue that takes the newest first and
/// the oldest now and then needs some.
const POPS_PER_ITEM: usize = 64;

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

/// Everything that a thief without competitors can get, theft by theft.
fn loot<Q: StealQueue, T: Send + 'static>(
    thief: &mut Q::Local<T>,
    victim: &Q::Shared<T>,
) -> Vec<T> {
    let mut items = Vec::new();
    loop {
        match thief.steal_from(victim, 8) {
            Stolen::Took { first, .. } => items.push(first),
            Stolen::Empty => break,
            Stolen::Retry => nobody_else::<Q>(),
        }
    }
    items.extend(drain(thief));
    items
}

#[track_caller]
fn nobody_else<Q: StealQueue>() -> ! {
    broken::<Q>("O6", format_args!("a steal answered `Retry`, and nobody else was at the queue"))
}

/// **O3**: no item is lost or comes twice while the front and the back of the queue pass every
/// power of two up to 1,024 some times over, with few items and with many between them.
///
/// # Panics
///
/// If an item is missing, or comes out twice.
pub fn o3_nothing_is_lost_when_the_ends_go_round_many_times<Q: StealQueue>() {
    for initial_capacity in [1, 64] {
        for between in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 63, 64, 65, 255, 256, 257] {
            let (mut owner, shared) = Q::pair::<usize>(&QueueOptions { initial_capacity });
            let (mut thief, _shared) = Q::pair::<usize>(&QueueOptions { initial_capacity });
            let mut inside = BTreeSet::new();
            let out = |item: usize, inside: &mut BTreeSet<usize>| {
                demand!(Q, "O1", inside.remove(&item), "item {item} was handed out twice");
            };
            for item in 0..4 * between + 1_100 {
                match item % 5 {
                    0 => shared.inject(item),
                    _ => owner.push(item),
                }
                inside.insert(item);
                if item < between {
                    continue;
                }
                let next = match item % 7 {
                    0 => match thief.steal_from(&shared, 1) {
                        Stolen::Took { first, .. } => Some(first),
                        Stolen::Empty => None,
                        Stolen::Retry => nobody_else::<Q>(),
                    },
                    1 => owner.pop_injected().or_else(|| owner.pop()),
                    _ => owner.pop().or_else(|| owner.pop_injected()),
                };
                let Some(next) = next else {
                    broken::<Q>("O3", format_args!("it says empty and should hold {inside:?}"));
                };
                out(next, &mut inside);
            }
            drain(&mut owner).into_iter().for_each(|item| out(item, &mut inside));
            drain(&mut thief).into_iter().for_each(|item| out(item, &mut inside));
            demand!(
                Q,
                "O3",
                inside.is_empty(),
                "the items {inside:?} never came out; about {between} were between the ends, and \
                 `initial_capacity` was {initial_capacity}"
            );
        }
    }
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// **O3**: what was not handed out is dropped with the second end, once, whichever end that is.
///
/// # Panics
///
/// If an item is dropped earlier, later or never.
pub fn o3_what_is_left_is_dropped_with_the_second_end<Q: StealQueue>() {
    for owner_first in [true, false] {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut owner, shared) = pair::<Q, Dropped>();
        for _ in 0..100 {
            owner.push(Dropped(Arc::clone(&drops)));
            shared.inject(Dropped(Arc::clone(&drops)));
        }
        drop(owner.pop());
        drop(owner.pop_injected());
        let expect = |when: &str, expected: usize| {
            let seen = drops.load(Ordering::Relaxed);
            demand!(Q, "O3", seen == expected, "{when}, {seen} items were dropped, not {expected}");
        };
        expect("with two of 200 handed out", 2);
        if owner_first {
            drop(owner);
            expect("when the owner's end was gone and the shared one there", 2);
            drop(shared);
        } else {
            drop(shared);
            expect("when the shared end was gone and the owner's there", 2);
            drop(owner);
        }
        expect("when both ends were gone", 200);
    }
}

/// **O4**: either end works on after the other is gone.
///
/// # Panics
///
/// If an item that is in the queue then does not come out.
pub fn o4_the_shared_end_outlives_the_owner_and_the_other_way_round<Q: StealQueue>() {
    let (mut owner, shared) = pair::<Q, u32>();
    owner.push(1);
    drop(owner);
    shared.inject(2);
    let (mut thief, thiefs_shared) = pair::<Q, u32>();
    let mut taken = loot::<Q, u32>(&mut thief, &shared);
    taken.sort_unstable();
    demand!(Q, "O4", taken == [1, 2], "of 1 and 2 a thief got {taken:?} when the owner was gone");

    thiefs_shared.inject(3);
    drop(thiefs_shared);
    thief.push(4);
    let mut rest = drain(&mut thief);
    rest.sort_unstable();
    demand!(Q, "O4", rest == [3, 4], "of 3 and 4 the owner got {rest:?} when it was alone");
}

/// **O5**: an item is not passed for ever by others that are pushed behind it. The check gives 64
/// pops for each item that waits.
///
/// # Panics
///
/// If an item has not come out by then.
pub fn o5_every_item_comes_out_though_each_goes_back_at_once<Q: StealQueue>() {
    for waiting in [1, 2, 63, 64, 65, 300] {
        let (mut owner, _shared) = pair::<Q, usize>();
        (0..waiting).for_each(|item| owner.push(item));
        let mut unseen: BTreeSet<usize> = (0..waiting).collect();
        for _ in 0..POPS_PER_ITEM * waiting {
            let Some(item) = owner.pop() else {
                broken::<Q>("O3", format_args!("it says empty and should hold {waiting} items"));
            };
            unseen.remove(&item);
            owner.push(item);
        }
        demand!(
            Q,
            "O5",
            unseen.is_empty(),
            "of {waiting} items these wait after {POPS_PER_ITEM} pops for each: {unseen:?}"
        );
    }
}

/// **O5**: injected items come out while the owner always has an item of its own, which goes back
/// each time. Every other time the check asks for an injected one.
///
/// # Panics
///
/// If one has not come out after 64 tries for each.
pub fn o5_injected_items_come_out_while_the_owner_keeps_itself_busy<Q: StealQueue>() {
    const INJECTED: usize = 200;
    let (mut owner, shared) = pair::<Q, usize>();
    (0..INJECTED).for_each(|item| shared.inject(item));
    owner.push(INJECTED);
    let mut unseen: BTreeSet<usize> = (0..INJECTED).collect();
    for turn in 0..POPS_PER_ITEM * INJECTED {
        let asks_injected = turn % 2 == 1;
        match if asks_injected { owner.pop_injected() } else { owner.pop() } {
            Some(INJECTED) => owner.push(INJECTED),
            Some(item) => {
                demand!(Q, "O1", unseen.remove(&item), "item {item} was handed out twice");
            }
            None => {
                demand!(Q, "O3", asks_injected, "`pop` says empty and the owner's item is in it");
            }
        }
    }
    demand!(Q, "O5", unseen.is_empty(), "these injected items still wait: {unseen:?}");
}

/// **O6**: a steal from a queue that has items takes at least one and at most `max`, the first
/// included; with `max` 0 it takes none. What it moved is in the thief's queue.
///
/// # Panics
///
/// If it takes more or fewer, or says otherwise than it did.
pub fn o6_a_steal_takes_some_and_at_most_what_was_asked_for<Q: StealQueue>() {
    for there in 0..140 {
        for max in [0, 1, 2, 3, 31, 32, 33, 100, usize::MAX] {
            for injected in [true, false] {
                let (mut owner, shared) = pair::<Q, usize>();
                let (mut thief, _shared) = pair::<Q, usize>();
                for item in 0..there {
                    if injected { shared.inject(item) } else { owner.push(item) }
                }
                let took = match thief.steal_from(&shared, max) {
                    Stolen::Took { moved, .. } => {
                        let got = thief.len();
                        demand!(Q, "O6", got == moved, "it moved {got} items and says {moved}");
                        1 + moved
                    }
                    Stolen::Empty => 0,
                    Stolen::Retry => nobody_else::<Q>(),
                };
                demand!(
                    Q,
                    "O6",
                    took <= max,
                    "took {took} of {there}, at most {max} were asked for"
                );
                let may_be_none = there == 0 || max == 0;
                demand!(Q, "O6", took > 0 || may_be_none, "took none of {there}, at most {max}");
                let left = shared.len_hint();
                demand!(Q, "O7", left == there - took, "{left} are left of {there} less {took}");
            }
        }
    }
    let (mut owner, shared) = pair::<Q, usize>();
    owner.push(0);
    shared.inject(1);
    let mut items = loot::<Q, usize>(&mut owner, &shared);
    items.sort_unstable();
    demand!(Q, "O6", items == [0, 1], "a thief that is its own victim got {items:?} of 0 and 1");
}

/// **O7**: while no other thread is at the queue, the hint is exact, and `len` counts what is not
/// injected.
///
/// # Panics
///
/// If one of the two is off.
pub fn o7_the_hint_counts_both_parts<Q: StealQueue>() {
    let (mut owner, shared) = pair::<Q, usize>();
    let expect = |hint: usize, expected: usize| {
        demand!(Q, "O7", hint == expected, "the hint says {hint}, there are {expected}");
    };
    for count in 0..200 {
        expect(shared.len_hint(), 2 * count);
        owner.push(count);
        expect(shared.len_hint(), 2 * count + 1);
        let len = owner.len();
        demand!(Q, "O7", len == count + 1, "the owner's length is {len}, and it has {}", count + 1);
        shared.inject(count);
        demand!(Q, "O7", owner.has_injected(), "`has_injected` misses an item");
    }
    drain(&mut owner);
    expect(shared.len_hint(), 0);
    demand!(Q, "O7", !owner.has_injected(), "`has_injected` sees an item in an empty queue");
    demand!(Q, "O7", owner.is_empty(), "`is_empty` denies that the queue is empty");
}
