//! What the placement rules share: an exact turn, and the shard of a key.

use crossbeam_utils::CachePadded;

use super::Loads;
use crate::id::ShardId;
use crate::primitive::{AtomicUsize, Ordering};

/// Whose turn it is.
///
/// The value stays below the number of shards, so each turn is exact for every number of shards; a
/// counter that runs freely would jump when it wraps around. All accesses are relaxed: the turn
/// orders nothing else.
#[derive(Default, Debug)]
pub(super) struct Cursor(CachePadded<AtomicUsize>);

impl Clone for Cursor {
    /// A cursor of its own, left at the same position.
    fn clone(&self) -> Self {
        Self(CachePadded::new(AtomicUsize::new(self.0.load(Ordering::Relaxed))))
    }
}

impl Cursor {
    /// A cursor that was left at `position`, below the number of shards or not.
    #[cfg(all(test, not(loom)))]
    pub(super) fn at(position: usize) -> Self {
        Self(CachePadded::new(AtomicUsize::new(position)))
    }

    /// The shard whose turn it is; the next call answers the one after it.
    pub(super) fn next(&self, loads: &Loads<'_>) -> ShardId {
        let shards = loads.shards();
        let mut position = self.0.load(Ordering::Relaxed);
        // Lock-free: the exchange fails only when another thread took its turn.
        loop {
            let turn = position % shards;
            let after = (turn + 1) % shards;
            match self.0.compare_exchange_weak(
                position,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return ShardId::from_index(turn),
                Err(moved) => position = moved,
            }
        }
    }

    /// Makes it the turn of the shard after this one.
    pub(super) fn continue_after(&self, shard: ShardId) {
        self.0.store(shard.index() + 1, Ordering::Relaxed);
    }
}

/// The shard that a key belongs to: the first output of SplitMix64 seeded with the key, modulo
/// the number of shards.
///
/// SplitMix64 is from G. L. Steele, D. Lea and C. H. Flood, "Fast Splittable Pseudorandom Number
/// Generators" (OOPSLA 2014). Every bit of the key reaches every bit of the output, so keys that
/// count up or differ only in high bits spread as well.
pub(super) fn shard_of_key(key: u64, loads: &Loads<'_>) -> ShardId {
    let index = split_mix_64(key) % loads.shards() as u64;
    ShardId::from_index(index as usize)
}

/// The shard, if the runtime has one of this number.
pub(super) fn existing(shard: ShardId, loads: &Loads<'_>) -> Option<ShardId> {
    (shard.index() < loads.shards()).then_some(shard)
}

/// What SplitMix64 adds to its state from one number to the next.
pub(super) const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The first output of SplitMix64 with this seed.
pub(super) const fn split_mix_64(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
