//! The placement rule by which a key keeps its shard, also from one number of shards to the next.

use super::cursor::{Cursor, existing, split_mix_64};
use super::{Loads, Placement, Wish};
use crate::id::ShardId;

/// The shard of the key, of as few keys as possible another when the number of shards changes.
///
/// Every rule gives a key the same shard each time; this one also agrees with itself across
/// machines and restarts with another number of shards. When `n` shards become `n + 1`, one key in
/// `n + 1` moves, always to the new shard, and the others stay; a hash modulo the number of shards
/// would move nearly all. So it is the rule for state that outlives the process and is laid out by
/// shard: logs, caches on disk, listeners that a load balancer addresses by key.
///
/// It is the jump consistent hash of J. Lamping and E. Veach, "A Fast, Minimal Memory, Consistent
/// Hash Algorithm" (2014), behind one round of SplitMix64, so that keys which count up spread as
/// well. Each shard gets the same share of the keys. The mapping is part of the interface: it does
/// not change from version to version.
///
/// - [`Wish::Key`]: the shard of the key, whatever the loads.
/// - [`Wish::Near`]: that shard, always. If the runtime has none of that number, as for `Any`.
/// - [`Wish::Any`] and [`Wish::Spread`]: each shard in turn, with a turn of its own per wish.
///
/// # Cost
///
/// `Key` takes about `ln n` divisions, 4 for 33 shards, and reads no loads. The others are one
/// atomic exchange.
///
/// ```
/// use spargio::placement::{Load, Loads, Placement, StickyHash, Wish};
///
/// let rule = StickyHash::new();
/// let (four, five) = (Loads::new(4, &|_| Load::default()), Loads::new(5, &|_| Load::default()));
/// let moved = (0..1_000).filter(|&key| {
///     rule.place(Wish::Key(key), &four) != rule.place(Wish::Key(key), &five)
/// });
/// assert!((150..250).contains(&moved.count()));
/// ```
#[derive(Clone, Default, Debug)]
pub struct StickyHash {
    any: Cursor,
    spread: Cursor,
}

impl StickyHash {
    /// The rule, with shard 0 first in turn.
    pub fn new() -> Self {
        Self::default()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn at(position: usize) -> Self {
        Self { any: Cursor::at(position), spread: Cursor::at(position) }
    }
}

impl Placement for StickyHash {
    fn place(&self, wish: Wish, loads: &Loads<'_>) -> ShardId {
        match wish {
            Wish::Any => self.any.next(loads),
            Wish::Near(shard) => existing(shard, loads).unwrap_or_else(|| self.any.next(loads)),
            Wish::Key(key) => ShardId::from_index(jump_hash(split_mix_64(key), loads.shards())),
            Wish::Spread => self.spread.next(loads),
        }
    }
}

/// The bucket of a hash among `buckets`, at least one.
///
/// The hash seeds a generator of numbers in (0, 1]; from bucket `b` the walk goes on to the next
/// number of buckets at which this hash would move, `(b + 1) / number`, and the last such below
/// `buckets` is where it belongs.
pub(super) fn jump_hash(mut hash: u64, buckets: usize) -> usize {
    let mut bucket = 0;
    let mut next = 0.0;
    while next < buckets as f64 {
        bucket = next as usize;
        // The generator of the paper, a linear congruential one.
        hash = hash.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let number = ((hash >> 33) + 1) as f64 / (1_u64 << 31) as f64;
        next = ((bucket as f64 + 1.0) / number).floor();
    }
    bucket
}
