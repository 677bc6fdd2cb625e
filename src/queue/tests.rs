//! One suite for every steal queue; the names carry the obligation that a test guards.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::{Strategy, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use super::{ChaseLev, LocalQueue, MutexQueue, QueueOptions, SharedQueue, StealQueue, Stolen};

macro_rules! suite {
    ($queue:ident: $($test:ident)*) => {
        $(#[test]
        fn $test() {
            super::$test::<super::$queue>();
        })*
    };
}

macro_rules! suites {
    ($($module:ident: $queue:ident),*) => {
        $(mod $module {
            suite! { $queue:
                o1_o3_o6_o7_any_sequence_of_calls_agrees_with_the_model
                o1_racing_threads_see_every_item_once
                o1_two_owners_that_steal_from_each_other_lose_nothing
                o2_what_was_written_before_the_push_is_read_after_the_pop
                o3_what_is_left_is_dropped_with_the_second_end
                o4_the_shared_end_outlives_the_owner_and_the_other_way_round
                o4_the_owner_goes_while_others_inject_and_steal
                o5_no_item_is_passed_more_often_than_there_were_items
                o5_injected_items_come_out_while_the_owner_keeps_itself_busy
                o6_a_steal_takes_half_rounded_up_within_the_limit
                o6_a_steal_takes_of_the_injected_when_the_owner_has_none
                o6_a_thief_that_is_the_victim_takes_its_oldest
                o7_the_hint_counts_both_parts
            }
        })*
    };
}

suites! { chase_lev: ChaseLev, mutex: MutexQueue }

/// Longer than any run on any machine: reaching it means that an item was lost.
const LOST: Duration = Duration::from_secs(60);

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

/// One call on queue `side` of two.
#[derive(Clone, Copy, Debug)]
enum Call {
    Push(usize),
    Inject(usize),
    Pop(usize),
    PopInjected(usize),
    /// `side` steals from the other, or from itself.
    Steal {
        side: usize,
        max: usize,
        itself: bool,
    },
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let side = || 0..2_usize;
    let call = prop_oneof![
        4 => side().prop_map(Call::Push),
        4 => side().prop_map(Call::Inject),
        2 => side().prop_map(Call::Pop),
        1 => side().prop_map(Call::PopInjected),
        2 => (side(), 0..40_usize, proptest::bool::weighted(0.2))
            .prop_map(|(side, max, itself)| Call::Steal { side, max, itself }),
    ];
    // Long enough for the injector to need a second block and the deque to grow.
    proptest::collection::vec(call, 0..600)
}

/// What one queue must hold.
#[derive(Default)]
struct Model {
    own: usize,
    injected: usize,
}

fn o1_o3_o6_o7_any_sequence_of_calls_agrees_with_the_model<Q: StealQueue>() {
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let run = |calls: Vec<Call>| {
        run_model::<Q>(&calls);
        Ok(())
    };
    TestRunner::new(config).run(&calls(), run).unwrap();
}

fn run_model<Q: StealQueue>(calls: &[Call]) {
    let (mut locals, shareds): (Vec<_>, Vec<_>) = (0..2).map(|_| pair::<Q, usize>()).unzip();
    let mut models = [Model::default(), Model::default()];
    let mut inside = BTreeSet::new();
    for (name, &call) in calls.iter().enumerate() {
        match call {
            Call::Push(side) => {
                locals[side].push(name);
                models[side].own += 1;
                inside.insert(name);
            }
            Call::Inject(side) => {
                shareds[side].inject(name);
                models[side].injected += 1;
                inside.insert(name);
            }
            Call::Pop(side) => {
                let model = &mut models[side];
                match locals[side].pop() {
                    Some(item) => {
                        model.own -= 1;
                        assert!(inside.remove(&item), "{item} handed out twice");
                    }
                    None => assert_eq!(model.own, 0, "pop missed an item"),
                }
            }
            Call::PopInjected(side) => {
                let model = &mut models[side];
                match locals[side].pop_injected() {
                    Some(item) => {
                        let moved = locals[side].len() - model.own;
                        model.own += moved;
                        model.injected -= 1 + moved;
                        assert!(inside.remove(&item), "{item} handed out twice");
                    }
                    None => assert_eq!(model.injected, 0, "pop_injected missed an item"),
                }
            }
            Call::Steal { side, max, itself } => {
                let other = if itself { side } else { 1 - side };
                let victim = &models[other];
                let there = victim.own + victim.injected;
                match locals[side].steal_from(&shareds[other], max) {
                    Stolen::Took { first, moved } => {
                        assert!(inside.remove(&first), "{first} handed out twice");
                        assert!(moved < max, "took {} of at most {max}", moved + 1);
                        let from_own = victim.own > 0;
                        let list = &mut models[other];
                        *(if from_own { &mut list.own } else { &mut list.injected }) -= 1 + moved;
                        models[side].own += moved;
                    }
                    Stolen::Empty => assert!(there == 0 || max == 0, "missed all {there} items"),
                    Stolen::Retry => panic!("nobody else was there"),
                }
            }
        }
        for ((local, shared), model) in locals.iter().zip(&shareds).zip(&models) {
            assert_eq!(local.len(), model.own);
            assert_eq!(local.is_empty(), model.own == 0);
            assert_eq!(local.has_injected(), model.injected > 0);
            assert_eq!(shared.len_hint(), model.own + model.injected);
        }
    }
    for item in locals.iter_mut().flat_map(drain) {
        assert!(inside.remove(&item), "{item} handed out twice");
    }
    assert!(inside.is_empty(), "lost: {inside:?}");
}

/// Counts how often each item came out.
struct Ledger {
    seen: Vec<AtomicUsize>,
    out: AtomicUsize,
    started: Instant,
}

impl Ledger {
    fn new(items: usize) -> Self {
        let seen = (0..items).map(|_| AtomicUsize::new(0)).collect();
        Self { seen, out: AtomicUsize::new(0), started: Instant::now() }
    }

    fn enter(&self, item: usize) {
        self.seen[item].fetch_add(1, Ordering::Relaxed);
        self.out.fetch_add(1, Ordering::Relaxed);
    }

    fn complete(&self) -> bool {
        let out = self.out.load(Ordering::Relaxed);
        assert!(self.started.elapsed() < LOST, "{out} of {} items came out", self.seen.len());
        out >= self.seen.len()
    }

    fn check(&self) {
        for (item, seen) in self.seen.iter().enumerate() {
            assert_eq!(seen.load(Ordering::Relaxed), 1, "how often item {item} came out");
        }
    }
}

fn o1_racing_threads_see_every_item_once<Q: StealQueue>() {
    const THIEVES: usize = 3;
    const INJECTORS: usize = 2;
    const EACH: usize = 20_000;
    let ledger = Ledger::new((1 + INJECTORS) * EACH);
    let start = Barrier::new(1 + THIEVES + INJECTORS);
    let (mut owner, shared) = pair::<Q, usize>();
    thread::scope(|scope| {
        let (ledger, start, shared) = (&ledger, &start, &shared);
        scope.spawn(move || {
            start.wait();
            for item in 0..EACH {
                owner.push(item);
                if item % 3 == 0 {
                    owner.pop().into_iter().for_each(|item| ledger.enter(item));
                }
                if item % 61 == 0 {
                    owner.pop_injected().into_iter().for_each(|item| ledger.enter(item));
                }
            }
            while !ledger.complete() {
                drain(&mut owner).into_iter().for_each(|item| ledger.enter(item));
                thread::yield_now();
            }
        });
        for injector in 1..=INJECTORS {
            scope.spawn(move || {
                start.wait();
                (injector * EACH..(injector + 1) * EACH).for_each(|item| shared.inject(item));
            });
        }
        for max in [1, 2, 32] {
            let (mut thief, _) = pair::<Q, usize>();
            scope.spawn(move || {
                start.wait();
                while !ledger.complete() {
                    match thief.steal_from(shared, max) {
                        Stolen::Took { first, .. } => {
                            ledger.enter(first);
                            drain(&mut thief).into_iter().for_each(|item| ledger.enter(item));
                        }
                        Stolen::Empty | Stolen::Retry => thread::yield_now(),
                    }
                }
            });
        }
    });
    ledger.check();
    assert_eq!(shared.len_hint(), 0);
}

fn o1_two_owners_that_steal_from_each_other_lose_nothing<Q: StealQueue>() {
    const EACH: usize = 10_000;
    let ledger = Ledger::new(2 * EACH);
    let start = Barrier::new(2);
    let (locals, shareds): (Vec<_>, Vec<_>) = (0..2).map(|_| pair::<Q, usize>()).unzip();
    thread::scope(|scope| {
        for (side, mut local) in locals.into_iter().enumerate() {
            let (ledger, start, victim) = (&ledger, &start, &shareds[1 - side]);
            scope.spawn(move || {
                start.wait();
                let mut items = side * EACH..(side + 1) * EACH;
                while !ledger.complete() {
                    items.by_ref().take(5).for_each(|item| local.push(item));
                    if let Stolen::Took { first, .. } = local.steal_from(victim, 16) {
                        ledger.enter(first);
                    }
                    for _ in 0..3 {
                        local.pop().into_iter().for_each(|item| ledger.enter(item));
                    }
                }
            });
        }
    });
    ledger.check();
}

fn o2_what_was_written_before_the_push_is_read_after_the_pop<Q: StealQueue>() {
    const ITEMS: usize = 5_000;
    let started = Instant::now();
    let (mut owner, shared) = pair::<Q, Arc<[AtomicUsize; 2]>>();
    let whole = |item: &[AtomicUsize; 2]| {
        // Relaxed: only the queue orders these reads after the writes.
        assert_eq!(item[0].load(Ordering::Relaxed), !item[1].load(Ordering::Relaxed));
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut thief, _) = pair::<Q, Arc<[AtomicUsize; 2]>>();
            let mut taken = 0;
            while taken < ITEMS {
                assert!(started.elapsed() < LOST, "{taken} of {ITEMS} items came out");
                match thief.steal_from(&shared, 4) {
                    Stolen::Took { first, .. } => {
                        let rest = drain(&mut thief);
                        taken += 1 + rest.len();
                        rest.iter().chain([&first]).for_each(|item| whole(item));
                    }
                    Stolen::Empty | Stolen::Retry => thread::yield_now(),
                }
            }
        });
        for name in 0..ITEMS {
            let item = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
            item[0].store(name, Ordering::Relaxed);
            item[1].store(!name, Ordering::Relaxed);
            if name % 2 == 0 { owner.push(item) } else { shared.inject(item) }
        }
    });
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn o3_what_is_left_is_dropped_with_the_second_end<Q: StealQueue>() {
    for owner_first in [true, false] {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut owner, shared) = pair::<Q, Dropped>();
        for _ in 0..100 {
            owner.push(Dropped(Arc::clone(&drops)));
            shared.inject(Dropped(Arc::clone(&drops)));
        }
        drop(owner.pop());
        drop(owner.pop_injected());
        assert_eq!(drops.load(Ordering::Relaxed), 2);
        if owner_first {
            drop(owner);
            assert_eq!(drops.load(Ordering::Relaxed), 2, "the shared end still has them");
            drop(shared);
        } else {
            drop(shared);
            assert_eq!(drops.load(Ordering::Relaxed), 2, "the owner still has them");
            drop(owner);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 200);
    }
}

fn o4_the_shared_end_outlives_the_owner_and_the_other_way_round<Q: StealQueue>() {
    let (mut owner, shared) = pair::<Q, u32>();
    owner.push(1);
    drop(owner);
    shared.inject(2);
    let (mut thief, thiefs_shared) = pair::<Q, u32>();
    let mut taken = Vec::new();
    while let Stolen::Took { first, .. } = thief.steal_from(&shared, 8) {
        taken.push(first);
    }
    assert_eq!(taken, [1, 2]);

    thiefs_shared.inject(3);
    drop(thiefs_shared);
    thief.push(4);
    assert_eq!(drain(&mut thief), [4, 3]);
}

fn o4_the_owner_goes_while_others_inject_and_steal<Q: StealQueue>() {
    const ITEMS: usize = 1_000;
    for round in 0..20 {
        let ledger = Ledger::new(2 * ITEMS);
        let start = Barrier::new(3);
        let (mut owner, shared) = pair::<Q, usize>();
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                (0..ITEMS).for_each(|item| shared.inject(item));
            });
            scope.spawn(|| {
                let (mut thief, _) = pair::<Q, usize>();
                start.wait();
                while !ledger.complete() {
                    if let Stolen::Took { first, .. } = thief.steal_from(&shared, 7) {
                        ledger.enter(first);
                        drain(&mut thief).into_iter().for_each(|item| ledger.enter(item));
                    }
                }
            });
            start.wait();
            (ITEMS..2 * ITEMS).for_each(|item| owner.push(item));
            for _ in 0..round {
                owner.pop().into_iter().for_each(|item| ledger.enter(item));
            }
            drop(owner);
        });
        ledger.check();
    }
}

fn o5_no_item_is_passed_more_often_than_there_were_items<Q: StealQueue>() {
    for waiting in [1, 2, 63, 64, 65, 300] {
        let (mut owner, _shared) = pair::<Q, usize>();
        (0..waiting).for_each(|item| owner.push(item));
        let mut out = BTreeSet::new();
        for _ in 0..2 * waiting {
            let item = owner.pop().unwrap();
            out.insert(item);
            owner.push(item);
        }
        assert_eq!(out.len(), waiting, "some never came out");
    }
}

fn o5_injected_items_come_out_while_the_owner_keeps_itself_busy<Q: StealQueue>() {
    const INJECTED: usize = 200;
    let (mut owner, shared) = pair::<Q, usize>();
    (0..INJECTED).for_each(|item| shared.inject(item));
    owner.push(INJECTED);
    let mut out = BTreeSet::new();
    // The owner's own item goes back each time; every other pop is for the injected ones. A batch
    // may go to the owner's part, whose items then come out in at most one lap.
    for turn in 0..4 * INJECTED {
        let item = if turn % 2 == 0 { owner.pop() } else { owner.pop_injected() };
        match item {
            Some(INJECTED) => owner.push(INJECTED),
            Some(item) => assert!(out.insert(item), "{item} handed out twice"),
            None => assert_eq!(turn % 2, 1, "the owner always has an item"),
        }
    }
    assert_eq!(out.len(), INJECTED, "some never came out");
}

/// Takes once from `there` items that `fill` put in, and answers how many it got.
fn stolen_of<Q: StealQueue>(
    there: usize,
    max: usize,
    fill: impl Fn(&mut Q::Local<usize>, &Q::Shared<usize>, usize),
) -> usize {
    let (mut owner, shared) = pair::<Q, usize>();
    let (mut thief, _) = pair::<Q, usize>();
    (0..there).for_each(|item| fill(&mut owner, &shared, item));
    let took = match thief.steal_from(&shared, max) {
        Stolen::Took { first, moved } => {
            assert_eq!(first, 0, "a thief takes the oldest first");
            assert_eq!(thief.len(), moved);
            assert_eq!(drain(&mut thief), (1..=moved).collect::<Vec<_>>());
            1 + moved
        }
        Stolen::Empty => 0,
        Stolen::Retry => panic!("nobody else was there"),
    };
    assert_eq!(shared.len_hint(), there - took);
    took
}

fn o6_a_steal_takes_half_rounded_up_within_the_limit<Q: StealQueue>() {
    for there in 0..70 {
        for max in [0, 1, 2, 3, 31, 32, 33, 100, usize::MAX] {
            let took = stolen_of::<Q>(there, max, |owner, _, item| owner.push(item));
            assert_eq!(took, there.div_ceil(2).min(max), "of {there}, at most {max}");
        }
    }
}

fn o6_a_steal_takes_of_the_injected_when_the_owner_has_none<Q: StealQueue>() {
    for there in 0..140 {
        for max in [0, 1, 2, 32, usize::MAX] {
            let took = stolen_of::<Q>(there, max, |_, shared, item| shared.inject(item));
            let half = there.div_ceil(2).min(max);
            assert!(took <= half, "took {took} of {there}, at most {max}");
            assert_eq!(took == 0, half == 0, "took none of {there}, at most {max}");
        }
    }
}

fn o6_a_thief_that_is_the_victim_takes_its_oldest<Q: StealQueue>() {
    let (mut owner, shared) = pair::<Q, u32>();
    assert!(matches!(owner.steal_from(&shared, 8), Stolen::Empty));
    (0..4).for_each(|item| owner.push(item));
    assert!(matches!(owner.steal_from(&shared, 8), Stolen::Took { first: 0, moved: 0 }));
    assert_eq!(drain(&mut owner), [1, 2, 3]);
    shared.inject(4);
    assert!(matches!(owner.steal_from(&shared, 8), Stolen::Took { first: 4, moved: 0 }));
}

fn o7_the_hint_counts_both_parts<Q: StealQueue>() {
    let (mut owner, shared) = pair::<Q, usize>();
    for count in 0..200 {
        assert_eq!(shared.len_hint(), 2 * count);
        owner.push(count);
        assert_eq!(shared.len_hint(), 2 * count + 1);
        assert_eq!(owner.len(), count + 1);
        shared.inject(count);
    }
    drain(&mut owner);
    assert_eq!(shared.len_hint(), 0);
}
