//! In which order one shard asks the others.

use std::time::{Duration, Instant};

use super::{LONG_POLL, Victims};
use crate::id::ShardId;
use crate::options::StealOptions;

fn victims(me: u16, count: usize, change: impl FnOnce(&mut StealOptions)) -> Victims {
    let mut options = StealOptions::default();
    change(&mut options);
    Victims::new(ShardId::new(me), count, options)
}

/// Whom one search asks.
fn round(victims: &mut Victims) -> Vec<usize> {
    victims.round().map(ShardId::index).collect()
}

fn sorted(mut shards: Vec<usize>) -> Vec<usize> {
    shards.sort_unstable();
    shards
}

#[test]
fn a_search_asks_every_other_shard_once() {
    for count in 2..20 {
        for victim_stride in [1, 2, 3, 4, 5, 7, 16, 1_000] {
            let mut victims = victims(1, count, |options| options.victim_stride = victim_stride);
            let others: Vec<usize> = (0..count).filter(|&shard| shard != 1).collect();
            for _ in 0..10 {
                assert_eq!(sorted(round(&mut victims)), others, "stride {victim_stride}");
            }
        }
    }
}

#[test]
fn a_search_asks_no_more_shards_than_its_probe_count() {
    for victim_probe_count in 1..10 {
        let change = |options: &mut StealOptions| options.victim_probe_count = victim_probe_count;
        let mut victims = victims(0, 8, change);
        for _ in 0..10 {
            assert_eq!(round(&mut victims).len(), victim_probe_count.min(7));
        }
    }
}

#[test]
fn searches_that_ask_one_shard_each_reach_all_in_time() {
    let mut victims = victims(3, 8, |options| options.victim_probe_count = 1);
    let mut asked: Vec<usize> = (0..200).flat_map(|_| round(&mut victims)).collect();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, [0, 1, 2, 4, 5, 6, 7]);
}

#[test]
fn the_stride_is_the_distance_between_two_that_are_asked() {
    let mut victims = victims(0, 9, |options| options.victim_stride = 4);
    let mut by_stride = 0;
    for _ in 0..50 {
        let asked = round(&mut victims);
        // The shard itself is left out, which makes one step in a search twice as long.
        by_stride += asked.windows(2).filter(|pair| (pair[0] + 4) % 9 == pair[1]).count();
    }
    assert!(by_stride >= 50 * 6, "{by_stride} of {} steps", 50 * 7);
}

#[test]
fn a_poll_is_long_when_two_looks_that_far_apart_saw_the_same() {
    let mut victims = victims(0, 2, |_| {});
    let (victim, start) = (ShardId::new(1), Instant::now());
    let mut is_long = |poll, after| victims.is_in_long_poll(victim, poll, start + after);
    assert!(!is_long(1, Duration::ZERO));
    assert!(!is_long(1, LONG_POLL / 2));
    assert!(!is_long(3, LONG_POLL), "another poll began");
    assert!(!is_long(3, LONG_POLL * 2 - Duration::from_nanos(1)));
    assert!(is_long(3, LONG_POLL * 2));
}
