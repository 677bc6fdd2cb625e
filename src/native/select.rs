//! Which shard an operation goes to when it may go to any.

use std::fmt;

use crate::id::ShardId;
use crate::op::Roster;
use crate::primitive::{Arc, AtomicUsize, Ordering};

/// The rule by which [`UringNativeAny`](crate::native::UringNativeAny) chooses a shard: the one
/// with the fewest active operations of this kind, among equals each in turn. A preferred shard is
/// chosen unless it has over one more than the fewest.
///
/// Clones take turns together.
///
/// # Cost
///
/// A look at a counter per shard.
#[derive(Clone)]
pub struct NativeLaneSelector {
    roster: Arc<Roster>,
    shards: usize,
    /// Below the number of shards, so that the turns are exact for every number.
    turn: Arc<AtomicUsize>,
}

impl NativeLaneSelector {
    pub(super) fn new(roster: Arc<Roster>, shards: usize) -> Self {
        Self { roster, shards, turn: Arc::default() }
    }

    pub(super) fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// Chooses a shard. A preferred shard that does not exist is no wish.
    ///
    /// ```
    /// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// let turns: Vec<_> = (0..4).map(|_| native.selector().select(None).get()).collect();
    /// assert_eq!(turns, [0, 1, 0, 1]);
    /// assert_eq!(native.selector().select(Some(1.into())).get(), 1);
    /// ```
    pub fn select(&self, preferred: Option<ShardId>) -> ShardId {
        let preferred = preferred.filter(|shard| shard.index() < self.shards);
        if let Some(preferred) = preferred {
            let most = self.roster.pending(preferred);
            // Up to one it is within reach of the fewest, whatever they are.
            let is_near = |index| self.roster.pending(ShardId::from_index(index)) + 1 >= most;
            if most <= 1 || (0..self.shards).all(is_near) {
                return preferred;
            }
        }
        let start = self.next_turn();
        let turns = (start..self.shards).chain(0..start).map(ShardId::from_index);
        let least = turns.min_by_key(|&shard| self.roster.pending(shard));
        least.unwrap_or(ShardId::new(0))
    }

    fn next_turn(&self) -> usize {
        let after = |turn| Some((turn + 1) % self.shards);
        // Relaxed: the turn orders nothing else.
        let turn = self.turn.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        turn.unwrap_or(0)
    }
}

impl fmt::Debug for NativeLaneSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeLaneSelector").field("shards", &self.shards).finish_non_exhaustive()
    }
}
