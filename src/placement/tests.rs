//! The suite of every placement rule for each of ours, then what ours promise beyond it.

use std::cell::{Cell, RefCell};
use std::sync::Barrier;
use std::thread;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::cursor::split_mix_64;
use super::sticky_hash::jump_hash;
use super::{LeastLoaded, Load, Loads, Placement, PowerOfTwo, RoundRobin, StickyHash, Wish};
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
placement::checks!(suite power_of_two PowerOfTwo);
placement::checks!(suite round_robin RoundRobin);
placement::checks!(suite sticky_hash StickyHash);

#[test]
fn any_among_equals_takes_each_in_turn() {
    equals_take_turns(LeastLoaded::at);
    equals_take_turns(RoundRobin::at);
    equals_take_turns(StickyHash::at);
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

#[test]
fn power_of_two_asks_every_pair_as_often_as_any_other() {
    for shards in 2..=MOST_SHARDS {
        let asked = RefCell::new(Vec::new());
        let read = |shard: ShardId| {
            asked.borrow_mut().push(shard.index());
            Load::default()
        };
        let rule = PowerOfTwo::new();
        let loads = Loads::new(shards, &read);
        let pairs = shards * (shards - 1);
        let mut counts = vec![0_usize; shards * shards];
        for _ in 0..100 * pairs {
            asked.borrow_mut().clear();
            rule.place(Wish::Any, &loads);
            let [two, one] = asked.borrow()[..] else { panic!("asked {asked:?}") };
            assert_ne!(one, two, "the same shard twice");
            counts[one * shards + two] += 1;
        }
        for (index, &count) in counts.iter().enumerate() {
            let fair = if index % (shards + 1) == 0 { 0..1 } else { 50..150 };
            assert!(
                fair.contains(&count),
                "pair {index} of {shards} shards: {count}, not {fair:?}"
            );
        }
    }
}

#[test]
fn power_of_two_is_uniform_among_equals_for_every_number_of_shards() {
    const EACH: usize = 2_000;
    for shards in 1..=MOST_SHARDS {
        for load in [Load::default(), Load::new(3, 20, true)] {
            let read = |_| load;
            let (rule, loads) = (PowerOfTwo::with_seed(7), Loads::new(shards, &read));
            let answers = (0..EACH * shards).map(|_| rule.place(Wish::Any, &loads));
            for count in tally(shards, answers) {
                assert!(count.abs_diff(EACH) < EACH / 8, "{count} of {EACH} for {shards} shards");
            }
        }
    }
}

#[test]
fn power_of_two_keeps_the_fullest_shard_close_to_the_others() {
    const EACH: usize = 200;
    for shards in 2..=MOST_SHARDS {
        let queued: Vec<Cell<usize>> = vec![Cell::new(0); shards];
        let read = |shard: ShardId| Load::new(queued[shard.index()].get(), 0, true);
        let (rule, loads) = (PowerOfTwo::new(), Loads::new(shards, &read));
        for _ in 0..EACH * shards {
            let queue = &queued[rule.place(Wish::Any, &loads).index()];
            queue.set(queue.get() + 1);
        }
        // One choice at random would be off by about 35 with 33 shards.
        let fullest = queued.iter().map(Cell::get).max().unwrap();
        assert!(fullest <= EACH + 5, "{fullest} on one of {shards} shards, {EACH} would be fair");
    }
}

#[test]
fn power_of_two_goes_away_from_a_busy_shard_to_one_that_has_less() {
    for (queued, other, stays) in [(8, 0, true), (9, 0, false), (20, 12, true), (20, 11, false)] {
        for running in [true, false] {
            let read = |shard: ShardId| {
                if shard.index() == 1 {
                    Load::new(queued, 0, running)
                } else {
                    Load::new(other, 0, true)
                }
            };
            let loads = Loads::new(4, &read);
            let answer = PowerOfTwo::new().place(Wish::Near(ShardId::new(1)), &loads);
            assert_eq!(answer.index() == 1, stays || !running, "{queued} beside {other}");
        }
    }
}

#[test]
fn power_of_two_reads_two_loads_at_most() {
    let reads = Cell::new(0);
    let read = |_| {
        reads.set(reads.get() + 1);
        Load::new(50, 0, true)
    };
    let loads = Loads::new(8, &read);
    let rule = PowerOfTwo::new();
    for (wish, needed) in
        [(Wish::Any, 2), (Wish::Near(ShardId::new(3)), 2), (Wish::Key(3), 0), (Wish::Spread, 0)]
    {
        reads.set(0);
        rule.place(wish, &loads);
        assert_eq!(reads.get(), needed, "{wish:?}");
    }
}

#[test]
fn the_sticky_hash_is_the_jump_hash() {
    // From the tests of other implementations of the same paper.
    let known = [(1, 1, 0), (42, 57, 43), (0xdead_10cc, 666, 361), (256, 1_024, 520)];
    for (hash, buckets, bucket) in known {
        assert_eq!(jump_hash(hash, buckets), bucket, "{hash} among {buckets}");
    }
    assert!((0..1_000).all(|hash| jump_hash(hash << 54, 65_535) < 65_535));
}

#[test]
fn a_new_shard_takes_its_share_of_the_sticky_keys_and_moves_no_other() {
    const KEYS: u64 = 20_000;
    let rule = StickyHash::new();
    let place =
        |key, shards| rule.place(Wish::Key(key), &Loads::new(shards, &|_| Load::default())).index();
    for shards in 1..MOST_SHARDS {
        let mut moved = 0;
        for key in 0..KEYS {
            let (before, after) = (place(key, shards), place(key, shards + 1));
            assert!(after == before || after == shards, "key {key} moved to an old shard");
            moved += usize::from(after != before);
        }
        let fair = KEYS as usize / (shards + 1);
        assert!(moved.abs_diff(fair) < fair / 5, "{moved} keys moved, {fair} would be fair");
    }
}
