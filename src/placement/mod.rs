//! Which shard a submission goes to.

use std::fmt;

use crate::id::ShardId;

mod burden;
mod cursor;
mod least_loaded;
mod power_of_two;
mod round_robin;
mod sticky_hash;
#[cfg(not(loom))]
#[cfg(test)]
mod tests;

pub use least_loaded::LeastLoaded;
pub use power_of_two::PowerOfTwo;
pub use round_robin::RoundRobin;
pub use sticky_hash::StickyHash;

/// Which shard a submission goes to.
///
/// One value per runtime, called by whatever thread submits, once per submission that leaves the
/// choice open. The trait is safe to implement: a bad answer costs balance. An implementation
/// promises:
///
/// - **O1** The answer names one of the shards in `loads`; one that does not is taken modulo the
///   number of shards and counted in the statistics.
/// - **O2** [`Wish::Near`] answers that shard unless the rule's page says when it does not.
/// - **O3** [`Wish::Key`] answers the same shard for the same key and the same number of shards.
/// - **O4** [`Wish::Spread`] is uniform: over `n * k` calls from one thread each of `n` shards is
///   answered `k` times, give or take one.
/// - **O5** It does not block and calls nothing of the runtime.
pub trait Placement: fmt::Debug + Send + Sync + 'static {
    /// Chooses a shard.
    fn place(&self, wish: Wish, loads: &Loads<'_>) -> ShardId;
}

/// What the caller asks of a placement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Wish {
    /// Any shard: the rule decides.
    Any,
    /// This shard if possible.
    Near(ShardId),
    /// The shard that the key belongs to.
    Key(u64),
    /// Each shard in turn.
    Spread,
}

/// How busy a shard is, as others see it; out of date by what happens at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Load {
    /// Runnable tasks that wait, stealable and pinned, and letters in the mailbox. The one that the
    /// shard runs just now is not among them.
    pub queued: usize,
    /// Operations that the kernel works on.
    pub in_flight: usize,
    /// The shard is running, not parked.
    pub running: bool,
    /// The shard has been in one and the same poll of a task for over 100 us, as far as those know
    /// who ask for loads: at least three of them must have asked during the poll. Nobody knows how
    /// long it still lasts.
    pub long_poll: bool,
}

impl Load {
    /// A load of these numbers.
    pub const fn new(queued: usize, in_flight: usize, running: bool) -> Self {
        Self { queued, in_flight, running, long_poll: false }
    }

    /// The load with [`long_poll`](Self::long_poll) set so.
    pub const fn with_long_poll(self, long_poll: bool) -> Self {
        Self { long_poll, ..self }
    }
}

/// The loads of all shards of a runtime. Reading one costs a few relaxed loads, no lock.
#[derive(Clone, Copy)]
pub struct Loads<'a> {
    shards: usize,
    read: &'a dyn Fn(ShardId) -> Load,
}

impl<'a> Loads<'a> {
    /// The loads of `shards` shards, each read by `read` when asked for.
    ///
    /// # Panics
    ///
    /// If `shards` is 0.
    pub fn new(shards: usize, read: &'a dyn Fn(ShardId) -> Load) -> Self {
        assert!(shards > 0, "a runtime has at least one shard");
        Self { shards, read }
    }

    /// How many shards there are; at least 1.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The load of one shard.
    pub fn of(&self, shard: ShardId) -> Load {
        (self.read)(shard)
    }

    /// All shards, in order.
    pub fn iter(&self) -> impl Iterator<Item = (ShardId, Load)> + '_ {
        (0..self.shards).map(ShardId::from_index).map(|shard| (shard, self.of(shard)))
    }
}

impl fmt::Debug for Loads<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
