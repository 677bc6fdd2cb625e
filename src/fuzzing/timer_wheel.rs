//! The timer wheel against a list that is sorted when it is asked.

use std::cell::Cell;
use std::rc::Rc;

use arbitrary::Unstructured;

use crate::fuzzing::Program;
use crate::fuzzing::source::{below, magnitude, next, steps};
use crate::timer::{Full, TimerKey, Wheel};

/// The nanoseconds of a tick, as a power of two: timers of one tick fire in the order in which they
/// came.
const TICK_SHIFT: u32 = 8;

/// What becomes of a wheel.
#[derive(Debug)]
pub(super) struct Timers {
    origin_ns: u64,
    limit: u8,
    steps: Vec<Step>,
}

/// A time, from the present or absolute.
#[derive(Clone, Copy, Debug)]
enum When {
    In(u64),
    Ago(u64),
    At(u64),
}

/// A timer is named by how many came after it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(When),
    Remove(u8),
    Reset(u8, When),
    Advance(When),
    /// Up to the deadline that the wheel names, until something fires, as its owner sleeps.
    Sleep,
}

/// What a timer carries: its number, and a share in the count of all.
#[derive(Debug)]
struct Payload(usize, Rc<Cell<usize>>);

impl Drop for Payload {
    fn drop(&mut self) {
        self.1.set(self.1.get() - 1);
    }
}

/// A timer that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: usize,
    deadline_ns: u64,
    /// The tick in which it fires, and its place in there.
    order: (u64, usize),
}

struct Pair {
    wheel: Wheel<Payload>,
    limit: usize,
    alive: Rc<Cell<usize>>,
    keys: Vec<TimerKey>,
    /// The model.
    waiting: Vec<Waiting>,
    now_ns: u64,
    placed: usize,
    /// A deadline that was past was set since the time moved last.
    is_past: bool,
}

impl Program for Timers {
    fn read(bytes: &mut Unstructured<'_>) -> Self {
        let origin_ns = magnitude(bytes);
        let limit = below(bytes, 32);
        let steps = steps(bytes, |bytes| match below(bytes, 16) {
            0..=6 => Step::Insert(when(bytes)),
            7..=8 => Step::Remove(next(bytes)),
            9..=11 => Step::Reset(next(bytes), when(bytes)),
            12..=13 => Step::Advance(when(bytes)),
            _ => Step::Sleep,
        });
        Self { origin_ns, limit, steps }
    }

    fn run(self) {
        let limit = self.limit.into();
        let mut pair = Pair {
            wheel: Wheel::new(self.origin_ns, limit),
            limit,
            alive: Rc::default(),
            keys: Vec::new(),
            waiting: Vec::new(),
            now_ns: self.origin_ns,
            placed: 0,
            is_past: false,
        };
        for step in self.steps {
            pair.step(step);
            pair.check();
        }
        pair.check_keys();
        pair.advance(u64::MAX);
        assert!(pair.wheel.is_empty(), "everything is due at the end of time");
        assert_eq!(pair.alive.get(), 0, "payloads alive");
    }
}

fn when(bytes: &mut Unstructured<'_>) -> When {
    match below(bytes, 8) {
        0..=4 => When::In(magnitude(bytes)),
        5 => When::In(next::<u32>(bytes).into()),
        6 => When::Ago(magnitude(bytes)),
        _ => When::At(magnitude(bytes)),
    }
}

impl Pair {
    fn step(&mut self, step: Step) {
        match step {
            Step::Insert(when) => self.insert(self.time(when)),
            Step::Remove(pick) => self.remove(pick),
            Step::Reset(pick, when) => self.reset(pick, self.time(when)),
            Step::Advance(when) => drop(self.advance(self.time(when))),
            Step::Sleep => self.sleep(),
        }
    }

    fn time(&self, when: When) -> u64 {
        match when {
            When::In(ns) => self.now_ns.saturating_add(ns),
            When::Ago(ns) => self.now_ns.saturating_sub(ns),
            When::At(ns) => ns,
        }
    }

    fn insert(&mut self, deadline_ns: u64) {
        let id = self.keys.len();
        self.alive.set(self.alive.get() + 1);
        match self.wheel.insert(deadline_ns, Payload(id, Rc::clone(&self.alive))) {
            Ok(key) => {
                assert!(self.waiting.len() < self.limit, "one beyond the limit of {}", self.limit);
                self.keys.push(key);
                self.place(id, deadline_ns);
            }
            Err(Full { payload, limit }) => {
                assert_eq!((self.waiting.len(), limit), (self.limit, self.limit), "refused");
                assert_eq!(payload.0, id, "another payload came back");
            }
        }
    }

    fn remove(&mut self, pick: u8) {
        let Some((id, key)) = self.pick(pick) else { return };
        let waits = self.take(id);
        let payload = self.wheel.remove(key);
        assert_eq!(payload.map(|payload| payload.0), waits.then_some(id), "timer {id} removed");
    }

    fn reset(&mut self, pick: u8, deadline_ns: u64) {
        let Some((id, key)) = self.pick(pick) else { return };
        let waits = self.take(id);
        if waits {
            self.place(id, deadline_ns);
        }
        assert_eq!(self.wheel.reset(key, deadline_ns), waits, "timer {id} reset");
    }

    fn advance(&mut self, now_ns: u64) -> usize {
        let mut fired = Vec::new();
        self.wheel.advance(now_ns, |payload| fired.push(payload.0));
        self.now_ns = self.now_ns.max(now_ns);
        self.is_past = false;
        let mut due: Vec<Waiting> = self.waiting.clone();
        due.retain(|timer| timer.deadline_ns <= self.now_ns);
        due.sort_unstable_by_key(|timer| timer.order);
        let due: Vec<usize> = due.iter().map(|timer| timer.id).collect();
        assert_eq!(fired, due, "fired at {}", self.now_ns);
        self.waiting.retain(|timer| timer.deadline_ns > self.now_ns);
        fired.len()
    }

    fn sleep(&mut self) {
        let mut wake_ups = 0;
        while let Some(bound) = self.wheel.next_deadline() {
            wake_ups += 1;
            assert!(wake_ups <= 2, "one wake-up for a stale bound, one to fire");
            if self.advance(bound) > 0 {
                break;
            }
        }
    }

    fn check(&mut self) {
        assert_eq!(self.wheel.len(), self.waiting.len());
        assert_eq!(self.wheel.is_empty(), self.waiting.is_empty());
        assert_eq!(self.alive.get(), self.waiting.len(), "payloads alive");
        let earliest = self.waiting.iter().map(|timer| timer.deadline_ns).min();
        let bound = self.wheel.next_deadline();
        assert_eq!(bound.is_some(), earliest.is_some());
        assert!(bound <= earliest, "{bound:?} is later than {earliest:?}");
        if let Some(bound) = bound
            && !self.is_past
        {
            assert!(bound > self.now_ns, "a bound that is past makes the owner spin");
        }
    }

    /// Every key that ever was names its own timer, or none.
    fn check_keys(&mut self) {
        for (id, key) in self.keys.iter().enumerate() {
            let waits = self.waiting.iter().any(|timer| timer.id == id);
            let found = self.wheel.get_mut(*key).map(|payload| payload.0);
            assert_eq!(found, waits.then_some(id), "the key of timer {id}");
        }
    }

    fn pick(&self, pick: u8) -> Option<(usize, TimerKey)> {
        let back = usize::from(pick).checked_rem(self.keys.len())?;
        let id = self.keys.len() - 1 - back;
        Some((id, self.keys[id]))
    }

    fn place(&mut self, id: usize, deadline_ns: u64) {
        let tick = deadline_ns.max(self.now_ns) >> TICK_SHIFT;
        self.waiting.push(Waiting { id, deadline_ns, order: (tick, self.placed) });
        self.placed += 1;
        self.is_past |= deadline_ns <= self.now_ns;
    }

    fn take(&mut self, id: usize) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|timer| timer.id != id);
        self.waiting.len() < before
    }
}
