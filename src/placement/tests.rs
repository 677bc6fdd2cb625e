//! The suite of every placement rule for each of ours, then what ours promise beyond it.

use std::cell::Cell;
use std::sync::Barrier;
use std::thread;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::cursor::split_mix_64;
use super::{LeastLoaded, Load, Loads, Placement, RoundRobin, Wish};
use crate::id::ShardId;
use crate::testing::placement;

const MOST_SHARDS: usize = 33;

/// Where a cursor may have been left, a free-running counter's last values among them.
const POSITIONS: [usize; 7] = [0, 1, 32, 33, usize::MAX - 33, usize::MAX - 1, usize::MAX];

macro_rules! suite {
    ($module:ident $rule:ident $($check:ident)*) => {
        mod $module {
            use super::super::$rule;

            $(#[test]
            fn $check() {
                for position in [0, usize::MAX] {
                    crate::testing::placement::$check(|| $rule::at(position));
                }
            })*

            #[test]
            fn near_a_shard_with_little_to_do_is_that_shard() {
                super::near_a_shard_with_little_to_do_is_that_shard(&$rule::new());
            }

            #[test]
            fn a_key_has_the_same_shard_for_every_value_of_the_rule() {
                super::a_key_has_the_same_shard_for_every_value_of_the_rule($rule::at);
            }

            #[test]
            fn keys_reach_all_shards_evenly() {
                super::keys_reach_all_shards_evenly(&$rule::new());
            }

            #[test]
            fn spread_has_each_shard_once_in_every_stretch_and_position() {
                super::spread_has_each_shard_once_in_every_stretch_and_position($rule::at);
            }

            #[test]
            fn spread_is_exact_over_all_threads() {
                super::spread_is_exact_over_all_threads(&$rule::new());
            }
        }
    };
}

placement::checks!(suite least_loaded LeastLoaded);
placement::checks!(suite round_robin RoundRobin);

#[test]
fn any_among_equals_takes_each_in_turn() {
    equals_take_turns(LeastLoaded::at);
    equals_take_turns(RoundRobin::at);
}

/// How often each of `shards` was answered.
fn tally(shards: usize, answers: impl Iterator<Item = ShardId>) -> Vec<usize> {
    let mut tally = vec![0; shards];
    answers.for_each(|shard| tally[shard.index()] += 1);
    tally
}

fn load() -> impl Strategy<Value = Load> {
    let number = || prop_oneof![0..20_usize, any::<usize>(), Just(usize::MAX)];
    (number(), number(), any::<bool>())
        .prop_map(|(queued, in_flight, running)| Load::new(queued, in_flight, running))
}

fn loads() -> impl Strategy<Value = Vec<Load>> {
    proptest::collection::vec(load(), 1..=MOST_SHARDS)
}

fn check<S: Strategy>(inputs: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&inputs, test).unwrap();
}

fn near_a_shard_with_little_to_do_is_that_shard(rule: &impl Placement) {
    for shards in 1..=MOST_SHARDS {
        for load in [Load::new(0, 0, false), Load::new(0, 500, true), Load::new(3, 0, true)] {
            let read = |_| load;
            let loads = Loads::new(shards, &read);
            for shard in (0..shards).map(ShardId::from_index) {
                assert_eq!(rule.place(Wish::Near(shard), &loads), shard);
            }
        }
    }
}

fn a_key_has_the_same_shard_for_every_value_of_the_rule<P: Placement>(rule: fn(usize) -> P) {
    check((any::<u64>(), 1..=MOST_SHARDS, any::<usize>()), |(key, shards, position)| {
        let loads = Loads::new(shards, &|_| Load::default());
        let answers = [0, position].map(|at| rule(at).place(Wish::Key(key), &loads));
        assert_eq!(answers[0], answers[1]);
        Ok(())
    });
}

fn keys_reach_all_shards_evenly(rule: &impl Placement) {
    const KEYS: u64 = 60_000;
    for shards in 1..=MOST_SHARDS {
        let loads = Loads::new(shards, &|_| Load::default());
        // Keys that count up, and keys that differ in their high bits only.
        for shift in [0, 3, 48] {
            let answers = (0..KEYS).map(|key| rule.place(Wish::Key(key << shift), &loads));
            let fair = KEYS as usize / shards;
            for count in tally(shards, answers) {
                assert!(count.abs_diff(fair) < fair / 8, "{count}, {fair} would be fair");
            }
        }
    }
}

fn spread_has_each_shard_once_in_every_stretch_and_position<P: Placement>(rule: fn(usize) -> P) {
    for shards in 1..=MOST_SHARDS {
        let read = |shard: ShardId| Load::new(shard.index(), 7, shard.index().is_multiple_of(2));
        let loads = Loads::new(shards, &read);
        for position in POSITIONS {
            let rule = rule(position);
            let answers: Vec<_> =
                (0..3 * shards).map(|_| rule.place(Wish::Spread, &loads)).collect();
            // Each stretch as long as there are shards has each shard once.
            for stretch in answers.windows(shards) {
                assert_eq!(tally(shards, stretch.iter().copied()), vec![1; shards]);
            }
        }
    }
}

fn spread_is_exact_over_all_threads(rule: &impl Placement) {
    const THREADS: usize = 4;
    const ROUNDS: usize = 2_000;
    for shards in [1, 3, 7] {
        let start = Barrier::new(THREADS);
        let loads = Loads::new(shards, &|_| Load::default());
        let mut total = vec![0; shards];
        thread::scope(|scope| {
            let threads = [(); THREADS].map(|()| {
                scope.spawn(|| {
                    let loads = Loads::new(shards, &|_| Load::default());
                    start.wait();
                    let calls = 0..ROUNDS * shards;
                    tally(shards, calls.map(|_| rule.place(Wish::Spread, &loads)))
                })
            });
            for counted in threads.map(|thread| thread.join().unwrap()) {
                total.iter_mut().zip(counted).for_each(|(sum, count)| *sum += count);
            }
        });
        assert_eq!(total, vec![THREADS * ROUNDS; shards]);
        assert!(rule.place(Wish::Spread, &loads).index() < shards);
    }
}

fn equals_take_turns<P: Placement>(rule: fn(usize) -> P) {
    for load in [Load::default(), Load::new(3, 20, true), Load::new(usize::MAX, usize::MAX, true)] {
        let read = |_| load;
        for shards in 1..=MOST_SHARDS {
            let loads = Loads::new(shards, &read);
            for position in POSITIONS {
                let rule = rule(position);
                let answers = (0..5 * shards).map(|_| rule.place(Wish::Any, &loads));
                assert_eq!(tally(shards, answers), vec![5; shards]);
            }
        }
    }
}

#[test]
fn the_key_hash_is_split_mix_64() {
    // The generator's published first outputs for the seeds 0 and 1234567.
    assert_eq!(split_mix_64(0), 0xe220_a839_7b1d_cdaf);
    assert_eq!(split_mix_64(1_234_567), 6_457_827_717_110_365_317);
}

#[test]
fn round_robin_is_near_a_shard_however_busy() {
    let read = |shard: ShardId| Load::new(1_000 * shard.index(), 0, true);
    let loads = Loads::new(3, &read);
    let rule = RoundRobin::new();
    assert_eq!(rule.place(Wish::Near(ShardId::new(2)), &loads), ShardId::new(2));
}

#[test]
fn a_shard_that_does_not_exist_is_placed_as_any() {
    let read = |shard: ShardId| Load::new(5 - shard.index(), 0, true);
    let loads = Loads::new(3, &read);
    assert_eq!(LeastLoaded::new().place(Wish::Near(ShardId::new(3)), &loads), ShardId::new(2));
    let rule = RoundRobin::at(1);
    assert_eq!(rule.place(Wish::Near(ShardId::EXTERNAL), &loads), ShardId::new(1));
    assert_eq!(rule.place(Wish::Any, &loads), ShardId::new(2));
}

/// The answer of a fresh rule for shards with these loads, wherever its turn starts.
fn least_of(numbers: &[Load]) -> ShardId {
    let read = |shard: ShardId| numbers[shard.index()];
    let loads = Loads::new(numbers.len(), &read);
    let answers: Vec<_> = (0..numbers.len())
        .map(|position| LeastLoaded::at(position).place(Wish::Any, &loads))
        .collect();
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "depends on the turn: {answers:?}");
    answers[0]
}

#[test]
fn least_loaded_prefers_a_parked_shard_with_nothing_queued() {
    let parked = Load::new(0, 900, false);
    assert_eq!(least_of(&[Load::new(0, 0, true), parked, Load::new(1, 0, false)]).index(), 1);
}

#[test]
fn least_loaded_weighs_a_queued_task_as_eight_operations() {
    assert_eq!(least_of(&[Load::new(1, 0, true), Load::new(0, 7, true)]).index(), 1);
    assert_eq!(least_of(&[Load::new(1, 0, true), Load::new(0, 9, true)]).index(), 0);
}

#[test]
fn least_loaded_any_answers_no_shard_with_more_than_another() {
    check((any::<usize>(), loads()), |(position, numbers)| {
        let read = |shard: ShardId| numbers[shard.index()];
        let loads = Loads::new(numbers.len(), &read);
        let chosen = numbers[LeastLoaded::at(position).place(Wish::Any, &loads).index()];
        for other in numbers {
            let less = other.queued < chosen.queued && other.in_flight < chosen.in_flight;
            let chosen_waits = chosen.running || chosen.queued > 0;
            assert!(!(less && chosen_waits), "{chosen:?} beside {other:?}");
        }
        Ok(())
    });
}

#[test]
fn least_loaded_gives_equals_among_others_their_turns_alike() {
    let busy = Load::new(9, 0, true);
    let numbers = [Load::default(), busy, busy, Load::default(), busy];
    let read = |shard: ShardId| numbers[shard.index()];
    let loads = Loads::new(numbers.len(), &read);
    let rule = LeastLoaded::new();
    let answers = (0..20).map(|_| rule.place(Wish::Any, &loads));
    assert_eq!(tally(5, answers), [10, 0, 0, 10, 0]);
}

#[test]
fn least_loaded_stays_near_up_to_the_margin() {
    for least in [0, 5, 1_000] {
        for (more, stays) in [(0, true), (8, true), (9, false), (500, false)] {
            let read = |shard: ShardId| match shard.index() {
                1 => Load::new(least + more, 0, true),
                2 => Load::new(least, 0, true),
                _ => Load::new(least + 600, 0, true),
            };
            let answer =
                LeastLoaded::new().place(Wish::Near(ShardId::new(1)), &Loads::new(4, &read));
            assert_eq!(answer.index(), if stays { 1 } else { 2 }, "{more} more than {least}");
        }
    }
}

#[test]
fn least_loaded_is_near_a_parked_shard_whatever_it_has_queued() {
    let read = |shard: ShardId| Load::new(100 * shard.index(), 0, false);
    let answer = LeastLoaded::new().place(Wish::Near(ShardId::new(1)), &Loads::new(2, &read));
    assert_eq!(answer, ShardId::new(1));
}

#[test]
fn least_loaded_reads_no_more_loads_than_it_needs() {
    let reads = Cell::new(0);
    let read = |_| {
        reads.set(reads.get() + 1);
        Load::default()
    };
    let loads = Loads::new(8, &read);
    let rule = LeastLoaded::new();
    for (wish, needed) in
        [(Wish::Any, 1), (Wish::Near(ShardId::new(3)), 1), (Wish::Key(3), 0), (Wish::Spread, 0)]
    {
        reads.set(0);
        rule.place(wish, &loads);
        assert_eq!(reads.get(), needed, "{wish:?}");
    }
}
