//! Random calls on two queues against a model that knows only what goes in and comes out.

use std::collections::BTreeSet;

use proptest::prelude::{Strategy, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use super::drain;
use crate::queue::{LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};
use crate::testing::broken;

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

fn calls() -> impl Strategy<Value = (usize, Vec<Call>)> {
    let side = || 0..2_usize;
    let call = prop_oneof![
        4 => side().prop_map(Call::Push),
        4 => side().prop_map(Call::Inject),
        2 => side().prop_map(Call::Pop),
        1 => side().prop_map(Call::PopInjected),
        2 => (side(), 0..40_usize, proptest::bool::weighted(0.2))
            .prop_map(|(side, max, itself)| Call::Steal { side, max, itself }),
    ];
    // Long enough for a list of blocks to need a second one and for a ring to grow.
    (1..20_usize, proptest::collection::vec(call, 0..600))
}

/// **O1, O3, O6, O7**: for 200 random sequences of up to 600 calls on two queues that steal from
/// each other and from themselves, what comes out, what is left and what the lengths say agrees
/// with what went in.
///
/// # Panics
///
/// With the shortest sequence of calls found that disagrees.
pub fn o1_o3_o6_o7_any_sequence_of_calls_agrees_with_the_model<Q: StealQueue>() {
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let run = |(capacity, calls): (usize, Vec<Call>)| {
        run::<Q>(capacity, &calls).map_err(TestCaseError::fail)
    };
    match TestRunner::new(config).run(&calls(), run) {
        Ok(()) => {}
        Err(TestError::Fail(reason, (capacity, calls))) => broken::<Q>(
            reason.message().split(':').next().unwrap_or("O1"),
            format_args!("{reason}; with `initial_capacity` {capacity}, after {calls:?}"),
        ),
        Err(TestError::Abort(reason)) => panic!("the calls could not be made up: {reason}"),
    }
}

/// What two queues hold.
struct Model {
    inside: BTreeSet<usize>,
    /// How many items each queue holds.
    held: [usize; 2],
}

impl Model {
    fn enter(&mut self, side: usize, item: usize) {
        self.inside.insert(item);
        self.held[side] += 1;
    }

    fn leave(&mut self, side: usize, item: usize) -> Result<(), String> {
        self.held[side] -= 1;
        ensure(self.inside.remove(&item), || format!("O1: item {item} was handed out twice"))
    }
}

fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen()) }
}

fn run<Q: StealQueue>(initial_capacity: usize, calls: &[Call]) -> Result<(), String> {
    let options = QueueOptions { initial_capacity };
    let (mut locals, shareds): (Vec<_>, Vec<_>) =
        (0..2).map(|_| Q::pair::<usize>(&options)).unzip();
    let mut model = Model { inside: BTreeSet::new(), held: [0, 0] };
    for (item, &call) in calls.iter().enumerate() {
        step::<Q>(&mut locals, &shareds, &mut model, item, call)?;
        for (side, (local, shared)) in locals.iter().zip(&shareds).enumerate() {
            let held = model.held[side];
            let (len, hint) = (local.len(), shared.len_hint());
            ensure(hint == held, || format!("O7: the hint says {hint}, there are {held}"))?;
            ensure(len <= held, || format!("O7: the owner's length is {len} of {held}"))?;
            ensure(local.has_injected() == (len < held), || {
                format!("O7: `has_injected` is {}, {len} of {held} are not", local.has_injected())
            })?;
            ensure(local.is_empty() == (len == 0), || {
                format!("O7: `is_empty` is {} at a length of {len}", local.is_empty())
            })?;
        }
    }
    for (side, local) in locals.iter_mut().enumerate() {
        for item in drain(local) {
            model.leave(side, item)?;
        }
    }
    let lost = model.inside;
    ensure(lost.is_empty(), || format!("O3: lost are the items of the calls {lost:?}"))
}

fn step<Q: StealQueue>(
    locals: &mut [Q::Local<usize>],
    shareds: &[Q::Shared<usize>],
    model: &mut Model,
    item: usize,
    call: Call,
) -> Result<(), String> {
    match call {
        Call::Push(side) => {
            locals[side].push(item);
            model.enter(side, item);
        }
        Call::Inject(side) => {
            shareds[side].inject(item);
            model.enter(side, item);
        }
        Call::Pop(side) => {
            let len = locals[side].len();
            match locals[side].pop() {
                Some(_) if model.held[side] == 0 => return Err("O1: an item of none".to_owned()),
                Some(item) => model.leave(side, item)?,
                None => ensure(len == 0, || format!("O3: `pop` missed all {len} items"))?,
            }
        }
        Call::PopInjected(side) => {
            let had = locals[side].has_injected();
            match locals[side].pop_injected() {
                Some(_) if model.held[side] == 0 => return Err("O1: an item of none".to_owned()),
                Some(item) => model.leave(side, item)?,
                None => ensure(!had, || "O3: `pop_injected` missed an item".to_owned())?,
            }
        }
        Call::Steal { side, max, itself } => {
            let victim = if itself { side } else { 1 - side };
            let (there, before) = (model.held[victim], locals[side].len());
            match locals[side].steal_from(&shareds[victim], max) {
                Stolen::Took { first, moved } => {
                    let took = moved + 1;
                    ensure(took <= max, || format!("O6: took {took} of at most {max}"))?;
                    ensure(took <= there, || format!("O1: took {took} of {there}"))?;
                    model.leave(victim, first)?;
                    if victim != side {
                        model.held[victim] -= moved;
                        model.held[side] += moved;
                        let got = locals[side].len() - before;
                        ensure(got == moved, || format!("O6: moved {got} and says {moved}"))?;
                    }
                }
                Stolen::Empty => {
                    ensure(there == 0 || max == 0, || format!("O6: missed all {there} items"))?;
                }
                Stolen::Retry => return Err("O6: `Retry`, and nobody else was there".to_owned()),
            }
        }
    }
    Ok(())
}
