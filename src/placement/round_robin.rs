//! The placement rule that takes each shard in turn.

use super::cursor::{Cursor, existing, shard_of_key};
use super::{Loads, Placement, Wish};
use crate::id::ShardId;

/// Each shard in turn, whatever its load.
///
/// - [`Wish::Any`] and [`Wish::Spread`]: the next shard; each wish keeps a turn of its own, so that
///   a caller who alternates between them does not skip shards.
/// - [`Wish::Near`]: that shard, always. If the runtime has none of that number, as for `Any`.
/// - [`Wish::Key`]: by a fixed hash of the key modulo the number of shards.
///
/// # Cost
///
/// One atomic exchange; it reads no loads.
///
/// ```
/// use spargio::ShardId;
/// use spargio::placement::{Load, Loads, Placement, RoundRobin, Wish};
///
/// let rule = RoundRobin::new();
/// let loads = Loads::new(3, &|_| Load::default());
/// let turns: Vec<_> = (0..4).map(|_| rule.place(Wish::Any, &loads).index()).collect();
/// assert_eq!(turns, [0, 1, 2, 0]);
/// assert_eq!(rule.place(Wish::Near(ShardId::new(2)), &loads), ShardId::new(2));
/// ```
#[derive(Clone, Default, Debug)]
pub struct RoundRobin {
    any: Cursor,
    spread: Cursor,
}

impl RoundRobin {
    /// The rule, with shard 0 first.
    pub fn new() -> Self {
        Self::default()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn at(position: usize) -> Self {
        Self { any: Cursor::at(position), spread: Cursor::at(position) }
    }
}

impl Placement for RoundRobin {
    fn place(&self, wish: Wish, loads: &Loads<'_>) -> ShardId {
        match wish {
            Wish::Any => self.any.next(loads),
            Wish::Near(shard) => existing(shard, loads).unwrap_or_else(|| self.any.next(loads)),
            Wish::Key(key) => shard_of_key(key, loads),
            Wish::Spread => self.spread.next(loads),
        }
    }
}
