//! Placement rules that break one promise each, and what the suite says of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::caught;
use crate::id::ShardId;
use crate::placement::{Load, Loads, Placement, Wish};
use crate::testing;

/// One shard in a thousand keys is the one behind the last.
const OUT_OF_RANGE: u8 = 0;
/// A key goes where it is its turn.
const FORGETS_KEYS: u8 = 1;
/// The turn counts to 7 and starts again, whatever the number of shards.
const UNEVEN: u8 = 2;
/// The lock of the turn is held while loads are read.
const LOCKS: u8 = 3;
/// Near a shard is the one with the least to do.
const NEVER_NEAR: u8 = 4;
/// Nothing is wrong.
const NONE: u8 = 5;

#[derive(Default, Debug)]
struct Faulty<const FAULT: u8> {
    turn: AtomicUsize,
    lock: Mutex<()>,
}

impl<const FAULT: u8> Faulty<FAULT> {
    fn turn(&self, shards: usize) -> usize {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if FAULT == UNEVEN { turn % 7 % shards } else { turn % shards }
    }

    fn least(&self, loads: &Loads<'_>) -> usize {
        let _guard = (FAULT == LOCKS).then(|| self.lock.lock());
        let least = loads.iter().min_by_key(|(_, load): &(ShardId, Load)| load.queued);
        least.map_or(0, |(shard, _)| shard.index())
    }
}

impl<const FAULT: u8> Placement for Faulty<FAULT> {
    fn place(&self, wish: Wish, loads: &Loads<'_>) -> ShardId {
        let shards = loads.shards();
        let index = match wish {
            Wish::Near(shard) if FAULT != NEVER_NEAR && shard.index() < shards => shard.index(),
            Wish::Key(key) if FAULT == OUT_OF_RANGE && key.is_multiple_of(1_000) => shards,
            Wish::Key(key) if FAULT != FORGETS_KEYS => (key % shards as u64) as usize,
            Wish::Spread | Wish::Key(_) => self.turn(shards),
            _ => self.least(loads),
        };
        ShardId::from_index(index)
    }
}

fn make<const FAULT: u8>() -> Faulty<FAULT> {
    Faulty::default()
}

#[test]
fn the_same_rule_without_a_fault_passes() {
    testing::placement(make::<NONE>);
}

#[test]
fn a_rule_that_answers_out_of_range_is_caught() {
    let said = caught(|| testing::placement(make::<OUT_OF_RANGE>));
    assert!(said.contains("breaks O1"), "{said}");
    // Shrunk to the one shard and the one question that matter.
    assert!(said.contains(" of 1 shards was answered with 1; with"), "{said}");
    assert_eq!(said.matches("Key(").count(), 2, "{said}");
}

#[test]
fn a_rule_that_forgets_keys_is_caught() {
    let said = caught(|| testing::placement(make::<FORGETS_KEYS>));
    assert!(said.contains("breaks O3: ") && said.contains("key 0 went to shard 0"), "{said}");
}

#[test]
fn a_rule_whose_turns_do_not_fit_the_number_of_shards_is_caught() {
    let said = caught(|| testing::placement(make::<UNEVEN>));
    assert!(said.contains("breaks O4: after"), "{said}");
}

#[test]
fn a_rule_that_lets_callers_wait_is_caught() {
    let patience = Duration::from_millis(100);
    let said = caught(|| testing::placement::no_caller_waits(make::<LOCKS>, patience));
    assert!(said.contains("breaks O5: callers wait for one that is stopped"), "{said}");
}

#[test]
fn a_rule_that_is_not_near_is_caught() {
    let said = caught(|| testing::placement(make::<NEVER_NEAR>));
    assert!(said.contains("breaks O2: near shard"), "{said}");
}
