//! The placement rule that asks two shards and takes the one with less to do.

use crossbeam_utils::CachePadded;

use super::burden::{Burden, is_too_busy, may_be_too_busy};
use super::cursor::{Cursor, GAMMA, existing, shard_of_key, split_mix_64};
use super::{Loads, Placement, Wish};
use crate::id::ShardId;
use crate::primitive::{AtomicU64, Ordering};

/// The less loaded of two shards chosen at random.
///
/// With one random choice per task the fullest of `n` shards gets far ahead of the others; with the
/// better of two it stays ahead by about `log log n`, and a third choice adds little: M.
/// Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (IEEE Transactions on
/// Parallel and Distributed Systems 12(10), 2001). So it balances nearly as well as
/// [`LeastLoaded`](super::LeastLoaded) and reads two loads instead of up to all of them, and many
/// threads that submit at the same moment, with the same view of the loads, do not all choose the
/// same shard. With two shards the choice is between both.
///
/// - [`Wish::Any`]: two different shards at random; of these a parked one with nothing queued, else
///   the one with the lower load, where one queued task weighs as much as 8 operations in flight,
///   and a long poll as much as 100 queued tasks. Among equals either.
/// - [`Wish::Near`]: that shard, unless it is running and has over 8 tasks more queued than one
///   other shard chosen at random; then the latter. If the runtime has no shard of that number, as
///   for `Any`.
/// - [`Wish::Key`]: by a fixed hash of the key modulo the number of shards, whatever the loads.
/// - [`Wish::Spread`]: each shard in turn, whatever the loads.
///
/// The random numbers are those of SplitMix64; a rule made with the same seed makes the same
/// choices from the same loads.
///
/// # Cost
///
/// `Any` is one atomic addition and reads two loads. `Near` reads one load unless that shard is
/// busy.
///
/// ```
/// use spargio::ShardId;
/// use spargio::placement::{Load, Loads, Placement, PowerOfTwo, Wish};
///
/// let rule = PowerOfTwo::new();
/// let queued = [5, 9, 40];
/// let read = |shard: ShardId| Load::new(queued[shard.index()], 0, true);
/// let loads = Loads::new(3, &read);
/// // Whichever two are asked, the fullest is not the better one.
/// assert!((0..100).all(|_| rule.place(Wish::Any, &loads) != ShardId::new(2)));
/// ```
#[derive(Debug)]
pub struct PowerOfTwo {
    /// The state of SplitMix64. All accesses are relaxed: the numbers order nothing else.
    random: CachePadded<AtomicU64>,
    spread: Cursor,
}

impl Default for PowerOfTwo {
    fn default() -> Self {
        Self::with_seed(0)
    }
}

impl Clone for PowerOfTwo {
    /// A rule of its own that goes on with the same choices.
    fn clone(&self) -> Self {
        let random = AtomicU64::new(self.random.load(Ordering::Relaxed));
        Self { random: CachePadded::new(random), spread: self.spread.clone() }
    }
}

impl PowerOfTwo {
    /// The rule with seed 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rule with another sequence of choices.
    pub fn with_seed(seed: u64) -> Self {
        Self { random: CachePadded::new(AtomicU64::new(seed)), spread: Cursor::default() }
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn at(position: usize) -> Self {
        Self { spread: Cursor::at(position), ..Self::with_seed(position as u64) }
    }

    /// Two independent numbers, each below `limits`.
    fn two_below(&self, limits: [usize; 2]) -> [usize; 2] {
        let bits = split_mix_64(self.random.fetch_add(GAMMA, Ordering::Relaxed));
        // A limit is below 2^16, so of the 2^32 values of a half each number gets the same share
        // but for one in 2^16 of it.
        let below = |half: u64, limit: usize| ((half * limit as u64) >> 32) as usize;
        [below(bits >> 32, limits[0]), below(bits & u64::from(u32::MAX), limits[1])]
    }

    /// Two different shards, each pair as often as any other; the same twice if there is but one.
    fn two_shards(&self, shards: usize) -> [ShardId; 2] {
        let [first, step] = self.two_below([shards, (shards - 1).max(1)]);
        [first, (first + 1 + step) % shards].map(ShardId::from_index)
    }

    fn any(&self, loads: &Loads<'_>) -> ShardId {
        let [one, two] = self.two_shards(loads.shards());
        let is_better = one != two && Burden::of(loads.of(two)) < Burden::of(loads.of(one));
        if is_better { two } else { one }
    }

    fn near(&self, shard: ShardId, loads: &Loads<'_>) -> ShardId {
        let load = loads.of(shard);
        if !may_be_too_busy(load) || loads.shards() == 1 {
            return shard;
        }
        let [step, _] = self.two_below([loads.shards() - 1, 1]);
        let other = ShardId::from_index((shard.index() + 1 + step) % loads.shards());
        if is_too_busy(load, loads.of(other).queued) { other } else { shard }
    }
}

impl Placement for PowerOfTwo {
    fn place(&self, wish: Wish, loads: &Loads<'_>) -> ShardId {
        match wish {
            Wish::Any => self.any(loads),
            Wish::Near(shard) => match existing(shard, loads) {
                Some(shard) => self.near(shard, loads),
                None => self.any(loads),
            },
            Wish::Key(key) => shard_of_key(key, loads),
            Wish::Spread => self.spread.next(loads),
        }
    }
}
