//! The obligations of a [`Placement`], as checks that run for any rule.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use crate::id::ShardId;
use crate::placement::{Load, Loads, Placement, Wish};
use crate::testing::{broken, demand};

/// Hands the names of all checks to a macro.
macro_rules! checks {
    ($each:ident $($arguments:tt)*) => {
        $each! { $($arguments)*
            o1_the_answer_is_a_shard_whatever_the_loads
            o2_near_a_shard_without_work_is_that_shard
            o3_a_key_keeps_its_shard
            o4_spread_is_uniform_for_every_number_of_shards
            o4_spread_is_uniform_between_other_wishes
            o5_no_caller_waits_for_another
        }
    };
}
pub(crate) use checks;

/// The checks go from one shard to so many.
const MOST_SHARDS: usize = 33;

/// How long a caller that does not wait may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn wish() -> impl Strategy<Value = Wish> {
    let near = prop_oneof![(0..40_u16).prop_map(ShardId::new), Just(ShardId::EXTERNAL)];
    prop_oneof![
        Just(Wish::Any),
        near.prop_map(Wish::Near),
        key().prop_map(Wish::Key),
        Just(Wish::Spread),
    ]
}

/// Keys that programs count up, and hashes.
fn key() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, any::<u64>(), Just(u64::MAX)]
}

fn load() -> impl Strategy<Value = Load> {
    let number = || prop_oneof![0..20_usize, any::<usize>(), Just(usize::MAX)];
    (number(), number(), any::<bool>())
        .prop_map(|(queued, in_flight, running)| Load::new(queued, in_flight, running))
}

/// The loads of 1 to 33 shards.
fn loads() -> impl Strategy<Value = Vec<Load>> {
    proptest::collection::vec(load(), 1..=MOST_SHARDS)
}

/// Runs `test` on 256 random inputs, and ends the check with the smallest found that fails.
fn check<P, S>(obligation: &str, inputs: S, test: impl Fn(S::Value) -> Result<(), String>)
where
    P: Placement,
    S: Strategy,
{
    let config = Config { failure_persistence: None, ..Config::default() };
    let test = |input| test(input).map_err(TestCaseError::fail);
    match TestRunner::new(config).run(&inputs, test) {
        Ok(()) => {}
        Err(TestError::Fail(reason, input)) => {
            broken::<P>(obligation, format_args!("{reason}; with {input:?}"));
        }
        Err(TestError::Abort(reason)) => panic!("the inputs could not be made up: {reason}"),
    }
}

fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen()) }
}

/// How often each of `shards` was answered.
fn tally<P: Placement>(shards: usize, answers: impl Iterator<Item = ShardId>) -> Vec<usize> {
    let mut tally = vec![0; shards];
    for shard in answers {
        let known = shard.index() < shards;
        demand!(P, "O1", known, "shard {shard} was answered, and there are {shards}");
        tally[shard.index()] += 1;
    }
    tally
}

/// **O1**: whatever was asked before and whatever the loads, up to the largest numbers, the answer
/// is one of the shards.
///
/// # Panics
///
/// With the smallest question found that is answered otherwise.
pub fn o1_the_answer_is_a_shard_whatever_the_loads<P: Placement>(make: impl Fn() -> P) {
    let wishes = proptest::collection::vec(wish(), 1..80);
    check::<P, _>("O1", (loads(), wishes), |(numbers, wishes)| {
        let rule = make();
        let read = |shard: ShardId| numbers[shard.index()];
        let loads = Loads::new(numbers.len(), &read);
        for wish in wishes {
            let answer = rule.place(wish, &loads);
            ensure(answer.index() < numbers.len(), || {
                format!("{wish:?} of {} shards was answered with {answer}", numbers.len())
            })?;
        }
        Ok(())
    });
}

/// **O2**: near a shard that has nothing to do is that shard, whatever the others do. When a busy
/// shard is passed over is for the rule to say, and for its author to test.
///
/// # Panics
///
/// If another shard is answered.
pub fn o2_near_a_shard_without_work_is_that_shard<P: Placement>(make: impl Fn() -> P) {
    check::<P, _>("O2", (loads(), any::<usize>(), any::<bool>()), |(mut numbers, at, running)| {
        let rule = make();
        let near = at % numbers.len();
        numbers[near] = Load::new(0, 0, running);
        let read = |shard: ShardId| numbers[shard.index()];
        let answer = rule
            .place(Wish::Near(ShardId::from_index(near)), &Loads::new(numbers.len(), &read))
            .index();
        ensure(answer == near, || {
            format!("near shard {near}, which has nothing to do, was answered with {answer}")
        })
    });
}

/// **O3**: a key keeps its shard, whatever the loads are and whatever else is asked meanwhile.
///
/// # Panics
///
/// If its shard changes.
pub fn o3_a_key_keeps_its_shard<P: Placement>(make: impl Fn() -> P) {
    let others = proptest::collection::vec(wish(), 0..10);
    check::<P, _>("O3", (key(), loads(), load(), others), |(key, numbers, load, others)| {
        let rule = make();
        let read = |shard: ShardId| numbers[shard.index()];
        let loads = Loads::new(numbers.len(), &read);
        let answer = rule.place(Wish::Key(key), &loads);
        for wish in others {
            rule.place(wish, &loads);
            let read = |_| load;
            for loads in [loads, Loads::new(numbers.len(), &read)] {
                let again = rule.place(Wish::Key(key), &loads);
                ensure(again == answer, || {
                    format!("key {key} went to shard {answer} and, after {wish:?}, to {again}")
                })?;
            }
        }
        Ok(())
    });
}

/// **O4**: for 1 to 33 shards of unlike loads each is answered as often as the others, give or take
/// one, after every full round.
///
/// # Panics
///
/// If one is answered more or less often.
pub fn o4_spread_is_uniform_for_every_number_of_shards<P: Placement>(make: impl Fn() -> P) {
    for shards in 1..=MOST_SHARDS {
        let read = |shard: ShardId| Load::new(shard.index(), 7, shard.index().is_multiple_of(2));
        let loads = Loads::new(shards, &read);
        let rule = make();
        let mut total = vec![0_usize; shards];
        for rounds in 1..=20 {
            let answers = (0..shards).map(|_| rule.place(Wish::Spread, &loads));
            let counted = tally::<P>(shards, answers);
            total.iter_mut().zip(counted).for_each(|(sum, count)| *sum += count);
            let even = total.iter().all(|count| count.abs_diff(rounds) <= 1);
            demand!(P, "O4", even, "after {rounds} rounds the shards were answered {total:?}");
        }
    }
}

/// **O4**: the same with other wishes between those for a spread.
///
/// # Panics
///
/// If one is answered more or less often.
pub fn o4_spread_is_uniform_between_other_wishes<P: Placement>(make: impl Fn() -> P) {
    const ROUNDS: usize = 4;
    for shards in 1..=MOST_SHARDS {
        let rule = make();
        let loads = Loads::new(shards, &|_| Load::default());
        let answers = (0..ROUNDS * shards).map(|call| {
            for _ in 0..call % 3 {
                rule.place(Wish::Any, &loads);
            }
            rule.place(Wish::Near(ShardId::EXTERNAL), &loads);
            rule.place(Wish::Key(call as u64), &loads);
            rule.place(Wish::Spread, &loads)
        });
        let counted = tally::<P>(shards, answers);
        let even = counted.iter().all(|count| count.abs_diff(ROUNDS) <= 1);
        demand!(P, "O4", even, "after {ROUNDS} rounds the shards were answered {counted:?}");
    }
}

/// **O5**: a caller that is stopped in the middle of its question, while it reads a load, stops no
/// other.
///
/// # Panics
///
/// If another caller waits for it.
pub fn o5_no_caller_waits_for_another<P: Placement>(make: impl Fn() -> P) {
    no_caller_waits(make, PATIENCE);
}

pub(super) fn no_caller_waits<P: Placement>(make: impl Fn() -> P, patience: Duration) {
    let key = Wish::Key(1);
    for stopped in [Wish::Any, Wish::Near(ShardId::new(1)), key, Wish::Spread] {
        let rule = &make();
        let waits = thread::scope(|scope| {
            let (reached, at_read) = mpsc::channel::<()>();
            let (go_on, stop) = mpsc::channel::<()>();
            scope.spawn(move || {
                let read = |_| {
                    // Nobody listens any more when a rule reads again; then it is not stopped.
                    if reached.send(()).is_ok() {
                        stop.recv().ok();
                    }
                    Load::new(20, 20, true)
                };
                rule.place(stopped, &Loads::new(3, &read));
            });
            // A rule that reads no load hangs up instead.
            at_read.recv().ok();
            let (answered, answer) = mpsc::channel();
            scope.spawn(move || {
                let loads = Loads::new(3, &|_| Load::new(20, 20, true));
                for wish in [Wish::Any, Wish::Near(ShardId::new(1)), key, Wish::Spread] {
                    rule.place(wish, &loads);
                }
                answered.send(()).ok();
            });
            let waits = answer.recv_timeout(patience).is_err();
            drop((go_on, at_read));
            waits
        });
        demand!(
            P,
            "O5",
            !waits,
            "callers wait for one that is stopped in the middle of {stopped:?}"
        );
    }
}
