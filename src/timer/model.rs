//! The wheel against a naive model: whatever the sequence, it does what a sorted map would do.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use proptest::{collection, prop_assert, prop_assert_eq};

use crate::timer::place::TICK_SHIFT;
use crate::timer::{TimerKey, Wheel};

const LIMIT: usize = 24;

/// A time relative to the present, or an absolute one.
#[derive(Clone, Copy, Debug)]
enum When {
    In(u64),
    Ago(u64),
    At(u64),
}

impl When {
    fn resolve(self, now_ns: u64) -> u64 {
        match self {
            Self::In(ns) => now_ns.saturating_add(ns),
            Self::Ago(ns) => now_ns.saturating_sub(ns),
            Self::At(ns) => ns,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(When),
    Remove(usize),
    Reset(usize, When),
    Advance(When),
    /// Sleep as an owner would: until the bound, again and again, until something fires.
    Sleep,
}

/// What a sorted map would do: `(tick, sequence)` is the order of firing.
#[derive(Default, Debug)]
struct Model {
    now_ns: u64,
    sequence: u64,
    waiting: BTreeMap<(u64, u64), (u64, usize)>,
}

impl Model {
    fn insert(&mut self, deadline_ns: u64, id: usize) {
        let tick = deadline_ns.max(self.now_ns) >> TICK_SHIFT;
        self.waiting.insert((tick, self.sequence), (deadline_ns, id));
        self.sequence += 1;
    }

    fn remove(&mut self, id: usize) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|_, (_, other)| *other != id);
        self.waiting.len() < before
    }

    fn advance(&mut self, now_ns: u64) -> Vec<usize> {
        self.now_ns = self.now_ns.max(now_ns);
        let mut fired = Vec::new();
        self.waiting.retain(|_, (deadline_ns, id)| {
            let due = *deadline_ns <= self.now_ns;
            if due {
                fired.push(*id);
            }
            !due
        });
        fired
    }

    fn earliest(&self) -> Option<u64> {
        self.waiting.values().map(|(deadline_ns, _)| *deadline_ns).min()
    }
}

/// The wheel, the model, and every key that was ever given out: a payload is an index into them.
struct Pair {
    wheel: Wheel<usize>,
    model: Model,
    keys: Vec<TimerKey>,
}

impl Pair {
    fn new(now_ns: u64) -> Self {
        let model = Model { now_ns, ..Model::default() };
        Self { wheel: Wheel::new(now_ns, LIMIT), model, keys: Vec::new() }
    }

    fn apply(&mut self, step: Step) -> Result<(), TestCaseError> {
        let now_ns = self.model.now_ns;
        match step {
            Step::Insert(when) => self.insert(when.resolve(now_ns)),
            Step::Remove(pick) => self.remove(pick),
            Step::Reset(pick, when) => self.reset(pick, when.resolve(now_ns)),
            Step::Advance(when) => self.advance(when.resolve(now_ns)).map(drop),
            Step::Sleep => self.sleep(),
        }
    }

    fn insert(&mut self, deadline_ns: u64) -> Result<(), TestCaseError> {
        let id = self.keys.len();
        match self.wheel.insert(deadline_ns, id) {
            Ok(key) => {
                prop_assert!(self.model.waiting.len() < LIMIT);
                self.keys.push(key);
                self.model.insert(deadline_ns, id);
            }
            Err(full) => {
                prop_assert_eq!(self.model.waiting.len(), LIMIT);
                prop_assert_eq!((full.payload, full.limit), (id, LIMIT));
            }
        }
        Ok(())
    }

    fn remove(&mut self, pick: usize) -> Result<(), TestCaseError> {
        if let Some(id) = pick.checked_rem(self.keys.len()) {
            let live = self.model.remove(id);
            prop_assert_eq!(self.wheel.remove(self.keys[id]), live.then_some(id));
        }
        Ok(())
    }

    fn reset(&mut self, pick: usize, deadline_ns: u64) -> Result<(), TestCaseError> {
        if let Some(id) = pick.checked_rem(self.keys.len()) {
            let live = self.model.remove(id);
            if live {
                self.model.insert(deadline_ns, id);
            }
            prop_assert_eq!(self.wheel.reset(self.keys[id], deadline_ns), live);
        }
        Ok(())
    }

    fn advance(&mut self, now_ns: u64) -> Result<usize, TestCaseError> {
        let mut fired = Vec::new();
        self.wheel.advance(now_ns, |id| fired.push(id));
        let expected = self.model.advance(now_ns);
        prop_assert_eq!(&fired, &expected);
        if let Some(bound) = self.wheel.next_deadline() {
            prop_assert!(bound > self.model.now_ns, "a bound that is past makes the owner spin");
        }
        Ok(fired.len())
    }

    fn sleep(&mut self) -> Result<(), TestCaseError> {
        let mut wake_ups = 0;
        while let Some(bound) = self.wheel.next_deadline() {
            wake_ups += 1;
            prop_assert!(wake_ups <= 2, "one wake-up for a stale bound, one to fire");
            if self.advance(bound)? > 0 {
                break;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.wheel.len(), self.model.waiting.len());
        prop_assert_eq!(self.wheel.is_empty(), self.model.waiting.is_empty());
        prop_assert!(self.wheel.allocated() <= LIMIT);
        match (self.wheel.next_deadline(), self.model.earliest()) {
            (Some(bound), Some(earliest)) => prop_assert!(bound <= earliest),
            (bound, earliest) => prop_assert_eq!(bound, earliest),
        }
        let live: Vec<usize> = self.model.waiting.values().map(|(_, id)| *id).collect();
        for (id, key) in self.keys.iter().enumerate() {
            let found = self.wheel.get_mut(*key).copied();
            prop_assert_eq!(found, live.contains(&id).then_some(id));
        }
        Ok(())
    }
}

/// Distances of every magnitude, most of them next to a boundary of the wheel.
fn distance() -> impl Strategy<Value = u64> {
    let near_power =
        (0u32..64, -2i64..=2).prop_map(|(exp, by)| (1u64 << exp).saturating_add_signed(by));
    prop_oneof![0u64..5_000, 0u64..10_000_000, near_power, (0u32..64).prop_map(|exp| 1 << exp)]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        8 => distance().prop_map(When::In),
        1 => distance().prop_map(When::Ago),
        1 => any::<u64>().prop_map(When::At),
        1 => (0u64..3_000).prop_map(|back| When::At(u64::MAX - back)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => when().prop_map(Step::Insert),
        2 => any::<usize>().prop_map(Step::Remove),
        2 => (any::<usize>(), when()).prop_map(|(pick, when)| Step::Reset(pick, when)),
        2 => (0u64..200_000).prop_map(|ns| Step::Advance(When::In(ns))),
        1 => distance().prop_map(|ns| Step::Advance(When::Ago(ns))),
        1 => (0u32..40).prop_map(|exp| Step::Advance(When::In(1 << exp))),
        2 => Just(Step::Sleep),
    ]
}

#[test]
fn any_sequence_does_what_a_sorted_map_would_do() {
    let cases = if cfg!(miri) { 8 } else { 600 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let origin = prop_oneof![Just(0), distance(), (0u64..5_000).prop_map(|back| u64::MAX - back)];
    let input = (origin, collection::vec(step(), 1..120));
    let outcome = TestRunner::new(config).run(&input, |(origin, steps)| {
        let mut pair = Pair::new(origin);
        for step in steps {
            pair.apply(step)?;
            pair.check()?;
        }
        pair.advance(u64::MAX)?;
        pair.check()
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
