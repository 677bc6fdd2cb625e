//! The shard from the inside: what a task that stays on its shard may do.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use crate::error::RuntimeError;
use crate::id::ShardId;
use crate::port::{self, Lane, ShardLane, ToLane};
use crate::primitive::Arc;
use crate::task::{self, LocalJoinHandle};

/// The shard whose thread this is. Not `Send`: it belongs to the thread.
#[derive(Clone)]
pub struct ShardCtx {
    lane: Arc<dyn Lane>,
    not_send: PhantomData<*const ()>,
}

impl ShardCtx {
    /// On the thread of the lane's shard only.
    pub(super) fn new(lane: Arc<dyn Lane>) -> Self {
        Self { lane, not_send: PhantomData }
    }

    /// The shard whose thread this is; `None` on other threads.
    pub fn current() -> Option<Self> {
        port::with(|port| port.map(|port| Self::new(Arc::clone(port.lane()))))
    }

    /// Which shard this is.
    pub fn shard_id(&self) -> ShardId {
        self.lane.shard()
    }

    /// Spawns a task on this shard that need not be `Send` and never leaves it.
    ///
    /// # Errors
    ///
    /// [`Closed`](RuntimeError::Closed) during shutdown, [`Overloaded`](RuntimeError::Overloaded)
    /// at the limit of live tasks.
    pub fn spawn_local<F>(&self, future: F) -> Result<LocalJoinHandle<F::Output>, RuntimeError>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_local(&self.lane, future)
    }
}

/// As [`ShardCtx::spawn_local`], on the thread of the lane's shard.
pub(super) fn spawn_local<F>(
    lane: &Arc<dyn Lane>,
    future: F,
) -> Result<LocalJoinHandle<F::Output>, RuntimeError>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let (runnable, handle) = task::spawn_local(lane, lane.shard(), future)?;
    runnable.schedule();
    Ok(handle)
}

impl fmt::Debug for ShardCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardCtx").field("shard", &self.shard_id()).finish()
    }
}

impl port::sealed::Sealed for ShardCtx {}

impl ToLane for ShardCtx {
    fn to_lane(&self) -> ShardLane {
        ShardLane(Arc::clone(&self.lane))
    }
}
