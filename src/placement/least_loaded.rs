//! The default placement rule: the shard that has the least to do.

use super::burden::{Burden, is_too_busy, may_be_too_busy};
use super::cursor::{Cursor, existing, shard_of_key};
use super::{Load, Loads, Placement, Wish};
use crate::id::ShardId;

/// The shard with the least load.
///
/// - [`Wish::Any`]: a parked shard with nothing queued, if there is one; otherwise the shard with
///   the lowest load, where one queued task weighs as much as 8 operations in flight, and a long
///   poll as much as 100 queued tasks. Among equal loads each shard in turn.
/// - [`Wish::Near`]: that shard, unless it is running and has over 8 tasks more queued than the
///   least loaded shard; then the latter. A long poll alone is no reason, because what waits behind
///   it can be stolen. If the runtime has no shard of that number, as for `Any`.
/// - [`Wish::Key`]: by a fixed hash of the key modulo the number of shards, whatever the loads.
/// - [`Wish::Spread`]: each shard in turn, whatever the loads.
///
/// # Cost
///
/// `Any` reads the loads until it finds a shard with nothing to do at all, so under light load one
/// or two and at worst all. `Near` reads one load unless that shard is busy.
///
/// ```
/// use spargio::ShardId;
/// use spargio::placement::{LeastLoaded, Load, Loads, Placement, Wish};
///
/// let rule = LeastLoaded::new();
/// let queued = [5, 2, 40];
/// let read = |shard: ShardId| Load::new(queued[shard.index()], 0, true);
/// let loads = Loads::new(3, &read);
/// assert_eq!(rule.place(Wish::Any, &loads), ShardId::new(1));
/// assert_eq!(rule.place(Wish::Near(ShardId::new(0)), &loads), ShardId::new(0));
/// assert_eq!(rule.place(Wish::Near(ShardId::new(2)), &loads), ShardId::new(1));
/// ```
#[derive(Clone, Default, Debug)]
pub struct LeastLoaded {
    any: Cursor,
    spread: Cursor,
}

impl LeastLoaded {
    /// The rule, with shard 0 first among equals.
    pub fn new() -> Self {
        Self::default()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn at(position: usize) -> Self {
        Self { any: Cursor::at(position), spread: Cursor::at(position) }
    }

    /// The shard with the least load, the first of equals from the turn on.
    fn least(&self, loads: &Loads<'_>) -> (ShardId, Load) {
        let turn = self.any.next(loads);
        let mut least = (turn, loads.of(turn));
        let others = (turn.index() + 1..loads.shards()).chain(0..turn.index());
        for shard in others.map(ShardId::from_index) {
            if Burden::of(least.1) == Burden::NOTHING {
                break;
            }
            let load = loads.of(shard);
            if Burden::of(load) < Burden::of(least.1) {
                least = (shard, load);
            }
        }
        if least.0 != turn {
            // The shards in between were not equals; starting with them again would give the one
            // behind them their turns too.
            self.any.continue_after(least.0);
        }
        least
    }

    fn near(&self, shard: ShardId, loads: &Loads<'_>) -> ShardId {
        let load = loads.of(shard);
        if !may_be_too_busy(load) {
            return shard;
        }
        let (least, least_load) = self.least(loads);
        if is_too_busy(load, least_load.queued) { least } else { shard }
    }
}

impl Placement for LeastLoaded {
    fn place(&self, wish: Wish, loads: &Loads<'_>) -> ShardId {
        match wish {
            Wish::Any => self.least(loads).0,
            Wish::Near(shard) => match existing(shard, loads) {
                Some(shard) => self.near(shard, loads),
                None => self.least(loads).0,
            },
            Wish::Key(key) => shard_of_key(key, loads),
            Wish::Spread => self.spread.next(loads),
        }
    }
}
