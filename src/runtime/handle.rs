//! Handles: the way into a runtime from anywhere.

use std::any::Any;
use std::fmt;
use std::future::Future;

use crate::assembly::Assembly;
use crate::cancel::CancellationToken;
use crate::error::RuntimeError;
use crate::id::ShardId;
use crate::placement::Wish;
use crate::port::{self, Lane, ShardLane, ToLane};
use crate::primitive::Arc;
use crate::runtime::block_on::block_on;
use crate::runtime::{Outposts, RemoteShard};
use crate::shard::{Core, Outpost};
use crate::stats::RuntimeStats;

/// A handle of a runtime of any assembly; [`RuntimeHandle`](crate::RuntimeHandle) is that of the
/// default parts.
///
/// Cheap to clone, `Send + Sync`, usable from every thread and every executor. A handle does not
/// keep the runtime running; after its shutdown the methods answer
/// [`Closed`](RuntimeError::Closed).
pub struct RuntimeHandleOf<A: Assembly> {
    core: Arc<Core<A>>,
    outposts: Outposts<A>,
}

impl<A: Assembly> RuntimeHandleOf<A> {
    pub(super) fn new(core: Arc<Core<A>>, outposts: Outposts<A>) -> Self {
        Self { core, outposts }
    }

    /// The handle of the runtime that this thread belongs to, as a shard or inside of
    /// [`block_on`](Self::block_on) or [`enter`](Self::enter). `None` if there is none, or if it is
    /// of another assembly.
    pub fn current() -> Option<Self> {
        let lane: Arc<dyn Any + Send + Sync> = port::current_lane()?.into_any();
        let outpost = lane.downcast::<Outpost<A>>().ok()?;
        let core = Arc::clone(outpost.core());
        let outposts = core.outposts()?;
        Some(Self { core, outposts })
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.core.shards.len()
    }

    /// The handle narrowed to one shard: what is made through it belongs there.
    ///
    /// # Errors
    ///
    /// [`InvalidShard`](RuntimeError::InvalidShard) if there is no such shard.
    pub fn on(&self, shard: impl Into<ShardId>) -> Result<ShardHandleOf<A>, RuntimeError> {
        let shard = self.check(shard.into())?;
        Ok(ShardHandleOf { handle: self.clone(), shard })
    }

    /// The way to send messages to a shard, from any thread; `None` if there is no such shard.
    pub fn remote(&self, shard: impl Into<ShardId>) -> Option<RemoteShard> {
        let shard = self.check(shard.into()).ok()?;
        Some(RemoteShard::new(Arc::clone(self.outpost(shard)) as Arc<dyn Lane>, shard))
    }

    /// Makes this runtime the ambient one while `body` runs on this thread.
    pub fn enter<R>(&self, body: impl FnOnce() -> R) -> R {
        port::enter_lane(self.to_lane().0, body)
    }

    /// As [`RuntimeOf::block_on`](super::RuntimeOf::block_on).
    ///
    /// # Panics
    ///
    /// As there.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.enter(|| block_on(future))
    }

    /// A token that is canceled as soon as the runtime begins to end: for tasks that want to come
    /// to an end by themselves, within the time that
    /// [`shutdown_graceful`](super::RuntimeOf::shutdown_graceful) gives them. Canceling it concerns
    /// its own copies only.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// let runtime = spargio::Runtime::builder().shards(1).build()?;
    /// let stop = runtime.handle().shutdown_token();
    /// let served = runtime.handle().spawn_stealable(async move {
    ///     stop.cancelled().await;
    ///     "said goodbye"
    /// })?;
    /// let report = runtime.shutdown_graceful(Duration::from_secs(5), Duration::from_secs(1));
    /// assert_eq!((report.tasks_finished, report.tasks_dropped), (1, 0));
    /// # drop(served);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown_token(&self) -> CancellationToken {
        self.core.shutdown_token()
    }

    /// What the shards counted so far. Cheap: one relaxed load per counter.
    pub fn stats_snapshot(&self) -> RuntimeStats {
        let shards = self.core.shards.iter().enumerate().map(|(index, public)| {
            let mut stats = public.counters.snapshot();
            stats.polls = public.polls();
            stats.blocking_jobs = public.blocking_jobs.get();
            stats.recv_buffers_leased = public.leases.leased();
            stats.doorbells_coalesced = public.coalesced.get();
            stats.doorbells_sent += public.rung_from_outside.get();
            stats.spawned = public.registry.spawned();
            stats.spawned_pinned = public.registry.spawned_pinned();
            stats.spawns_refused = public.refused.get() + public.registry.refused();
            stats.called_for_help = public.called.get();
            stats.live_tasks = public.registry.len() as u64;
            let (own, others) = self.core.hub.tallies(ShardId::from_index(index));
            stats.ring_msgs_submitted = own.sent.get() + others.sent.get();
            stats.ring_msgs_direct = own.direct.get();
            stats.ring_msgs_completed = own.received.get();
            stats.ring_msgs_hot = own.hot.get();
            stats.ring_msgs_failed = own.failed.get();
            stats.ring_msgs_backpressure = own.refused.get() + others.refused.get();
            stats.queued = self.core.queued(ShardId::from_index(index)) as u64;
            if index == 0 {
                stats.misplaced = self.core.misplaced();
            }
            stats
        });
        RuntimeStats {
            shards: shards.collect(),
            steal: self.core.options.steal,
            poll_histograms: self.core.options.poll_histograms,
            blocking: self.core.blocking.stats(),
        }
    }

    pub(super) fn core(&self) -> &Core<A> {
        &self.core
    }

    pub(super) fn share_core(&self) -> Arc<Core<A>> {
        Arc::clone(&self.core)
    }

    pub(super) fn outpost(&self, shard: ShardId) -> &Arc<Outpost<A>> {
        &self.outposts[shard.index()]
    }

    pub(super) fn check(&self, shard: ShardId) -> Result<ShardId, RuntimeError> {
        let shards = self.shard_count();
        if shard.index() < shards {
            Ok(shard)
        } else {
            Err(RuntimeError::InvalidShard { shard, shards })
        }
    }

    /// The shard of this runtime whose thread this is.
    pub(super) fn here(&self) -> Option<ShardId> {
        let runtime = self.core.runtime();
        port::with(|port| port.filter(|port| port.runtime() == runtime).map(|port| port.shard()))
    }
}

impl<A: Assembly> Clone for RuntimeHandleOf<A> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), outposts: Arc::clone(&self.outposts) }
    }
}

impl<A: Assembly> fmt::Debug for RuntimeHandleOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeHandle").field("core", &self.core).finish()
    }
}

impl<A: Assembly> port::sealed::Sealed for RuntimeHandleOf<A> {}

impl<A: Assembly> ToLane for RuntimeHandleOf<A> {
    fn to_lane(&self) -> ShardLane {
        let shard = self.here().unwrap_or_else(|| self.core.place(Wish::Any));
        ShardLane(Arc::clone(self.outpost(shard)) as Arc<dyn Lane>)
    }
}

/// A handle narrowed to one shard: [`RuntimeHandleOf::on`].
pub struct ShardHandleOf<A: Assembly> {
    handle: RuntimeHandleOf<A>,
    shard: ShardId,
}

impl<A: Assembly> ShardHandleOf<A> {
    /// Which shard.
    pub fn shard_id(&self) -> ShardId {
        self.shard
    }

    /// The handle of the whole runtime.
    pub fn runtime(&self) -> &RuntimeHandleOf<A> {
        &self.handle
    }
}

impl<A: Assembly> Clone for ShardHandleOf<A> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), shard: self.shard }
    }
}

impl<A: Assembly> fmt::Debug for ShardHandleOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardHandle").field("shard", &self.shard).finish_non_exhaustive()
    }
}

impl<A: Assembly> port::sealed::Sealed for ShardHandleOf<A> {}

impl<A: Assembly> ToLane for ShardHandleOf<A> {
    fn to_lane(&self) -> ShardLane {
        ShardLane(Arc::clone(self.handle.outpost(self.shard)) as Arc<dyn Lane>)
    }
}
