//! Threads that push, inject, pop and steal at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use super::{drain, pair};
use crate::queue::{LocalQueue, SharedQueue, StealQueue, Stolen};
use crate::testing::{LOST, Racer, demand, race};

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

    fn is_complete<Q: StealQueue>(&self) -> bool {
        let (out, all) = (self.out.load(Ordering::Relaxed), self.seen.len());
        let is_late = self.started.elapsed() >= LOST;
        demand!(Q, "O3", out >= all || !is_late, "{out} of {all} items came out in {LOST:?}");
        out >= all
    }

    /// Takes from the victim until every item came out.
    fn steal_all<Q: StealQueue>(&self, victim: &Q::Shared<usize>, max: usize) {
        let (mut thief, _shared) = pair::<Q, usize>();
        while !self.is_complete::<Q>() {
            match thief.steal_from(victim, max) {
                Stolen::Took { first, .. } => {
                    self.enter(first);
                    drain(&mut thief).into_iter().for_each(|item| self.enter(item));
                }
                Stolen::Empty | Stolen::Retry => thread::yield_now(),
            }
        }
    }

    fn check<Q: StealQueue>(&self) {
        for (item, seen) in self.seen.iter().enumerate() {
            let seen = seen.load(Ordering::Relaxed);
            demand!(Q, "O1", seen == 1, "item {item} came out {seen} times");
        }
    }
}

/// **O1**: an owner that pushes and pops, two threads that inject and three that steal share out
/// 60,000 items, each once.
///
/// # Panics
///
/// If an item comes out twice, or not within a minute.
pub fn o1_racing_threads_see_every_item_once<Q: StealQueue>() {
    // How much each takes at most.
    const THIEVES: [usize; 3] = [1, 2, 32];
    const INJECTORS: usize = 2;
    const EACH: usize = 20_000;
    let ledger = Ledger::new((1 + INJECTORS) * EACH);
    let start = Barrier::new(1 + THIEVES.len() + INJECTORS);
    let (mut owner, shared) = pair::<Q, usize>();
    let mut threads: Vec<Racer<'_>> = Vec::new();
    {
        let (ledger, start, shared) = (&ledger, &start, &shared);
        threads.push(Box::new(move || {
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
            while !ledger.is_complete::<Q>() {
                drain(&mut owner).into_iter().for_each(|item| ledger.enter(item));
                thread::yield_now();
            }
        }));
        for injector in 1..=INJECTORS {
            threads.push(Box::new(move || {
                start.wait();
                (injector * EACH..(injector + 1) * EACH).for_each(|item| shared.inject(item));
            }));
        }
        for max in THIEVES {
            threads.push(Box::new(move || {
                start.wait();
                ledger.steal_all::<Q>(shared, max);
            }));
        }
    }
    race(threads);
    ledger.check::<Q>();
    let left = shared.len_hint();
    demand!(Q, "O7", left == 0, "the hint says that {left} are left when all came out");
}

/// **O1**: two owners that push, pop and steal from each other, so that each is thief and victim at
/// the same time, neither lose nor double an item, nor wait for each other for ever.
///
/// # Panics
///
/// If an item comes out twice, or not within a minute.
pub fn o1_two_owners_that_steal_from_each_other_lose_nothing<Q: StealQueue>() {
    const EACH: usize = 10_000;
    let ledger = Ledger::new(2 * EACH);
    let start = Barrier::new(2);
    let (locals, shareds): (Vec<_>, Vec<_>) = (0..2).map(|_| pair::<Q, usize>()).unzip();
    let owners = locals.into_iter().enumerate().map(|(side, mut local)| {
        let (ledger, start, victim) = (&ledger, &start, &shareds[1 - side]);
        Box::new(move || {
            start.wait();
            let mut items = side * EACH..(side + 1) * EACH;
            while !ledger.is_complete::<Q>() {
                items.by_ref().take(5).for_each(|item| local.push(item));
                if let Stolen::Took { first, .. } = local.steal_from(victim, 16) {
                    ledger.enter(first);
                }
                for _ in 0..3 {
                    local.pop().into_iter().for_each(|item| ledger.enter(item));
                }
            }
        }) as Racer<'_>
    });
    race(owners);
    ledger.check::<Q>();
}

/// **O2**: a thief reads what was written before the push or the injection.
///
/// On processors that keep the order of writes by themselves (x86) this finds little; there a
/// sanitizer or loom has to say it.
///
/// # Panics
///
/// If a thief sees an item half written, or not all come out within a minute.
pub fn o2_what_was_written_before_the_push_is_read_after_the_pop<Q: StealQueue>() {
    const ITEMS: usize = 5_000;
    let started = Instant::now();
    let (mut owner, shared) = pair::<Q, Arc<[AtomicUsize; 2]>>();
    let whole = |item: &[AtomicUsize; 2]| {
        // Relaxed: only the queue orders these reads after the writes.
        let (one, two) = (item[0].load(Ordering::Relaxed), item[1].load(Ordering::Relaxed));
        demand!(Q, "O2", one == !two, "a thief read {one:#x} and {two:#x}, which do not belong");
    };
    let shared = &shared;
    let thief = move || {
        let (mut thief, _shared) = pair::<Q, Arc<[AtomicUsize; 2]>>();
        let mut taken = 0;
        while taken < ITEMS {
            let is_late = started.elapsed() >= LOST;
            demand!(Q, "O3", !is_late, "{taken} of {ITEMS} items came out in {LOST:?}");
            match thief.steal_from(shared, 4) {
                Stolen::Took { first, .. } => {
                    let rest = drain(&mut thief);
                    taken += 1 + rest.len();
                    rest.iter().chain([&first]).for_each(|item| whole(item));
                }
                Stolen::Empty | Stolen::Retry => thread::yield_now(),
            }
        }
    };
    let writer = move || {
        for name in 0..ITEMS {
            let item = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
            item[0].store(name, Ordering::Relaxed);
            item[1].store(!name, Ordering::Relaxed);
            if name % 2 == 0 { owner.push(item) } else { shared.inject(item) }
        }
    };
    race([Box::new(thief) as Racer<'_>, Box::new(writer)]);
}

/// **O4**: the owner's end is dropped while others inject and steal; what it left is still there.
///
/// # Panics
///
/// If an item comes out twice, or not within a minute.
pub fn o4_the_owner_goes_while_others_inject_and_steal<Q: StealQueue>() {
    const ITEMS: usize = 1_000;
    for round in 0..20 {
        let ledger = Ledger::new(2 * ITEMS);
        let start = Barrier::new(3);
        let (mut owner, shared) = pair::<Q, usize>();
        let (ledger, start, shared) = (&ledger, &start, &shared);
        let injector = move || {
            start.wait();
            (0..ITEMS).for_each(|item| shared.inject(item));
        };
        let thief = move || {
            start.wait();
            ledger.steal_all::<Q>(shared, 7);
        };
        let owner = move || {
            start.wait();
            (ITEMS..2 * ITEMS).for_each(|item| owner.push(item));
            for _ in 0..round {
                owner.pop().into_iter().for_each(|item| ledger.enter(item));
            }
            drop(owner);
        };
        race([Box::new(injector) as Racer<'_>, Box::new(thief), Box::new(owner)]);
        ledger.check::<Q>();
    }
}
