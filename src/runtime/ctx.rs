//! The shard from the inside: what a task that stays on its shard may do.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use crate::error::RuntimeError;
use crate::id::ShardId;
use crate::message::{Kind, RingMsg, SendError};
use crate::port::{self, Lane, ShardLane, ToLane};
use crate::primitive::Arc;
use crate::runtime::remote::{self, RemoteShard};
use crate::runtime::{NextEvent, NextHotCount, SendTicket, SpawnOptions};
use crate::task::{self, Label, LocalJoinHandle, Unnamed};

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
        spawn_local(&self.lane, Unnamed, future)
    }

    /// As [`spawn_local`](Self::spawn_local), with options; a placement among them does not count.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_local_with<F>(
        &self,
        options: SpawnOptions,
        future: F,
    ) -> Result<LocalJoinHandle<F::Output>, RuntimeError>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        match options.into_label() {
            Some(label) => spawn_local(&self.lane, label, future),
            None => self.spawn_local(future),
        }
    }

    /// The way to send messages to a shard of this runtime; `None` if there is no such shard.
    pub fn remote(&self, shard: impl Into<ShardId>) -> Option<RemoteShard> {
        let shard = shard.into();
        self.lane.hub().check(shard).ok()?;
        Some(RemoteShard::new(Arc::clone(&self.lane), shard))
    }

    /// As [`RemoteShard::send_raw`].
    ///
    /// # Errors
    ///
    /// As there, and [`InvalidShard`](SendError::InvalidShard).
    pub fn send_raw(
        &self,
        to: impl Into<ShardId>,
        tag: u16,
        val: u32,
    ) -> Result<SendTicket, SendError> {
        remote::send(&self.lane, to.into(), (tag, val))
    }

    /// As [`RemoteShard::send`].
    ///
    /// # Errors
    ///
    /// As [`send_raw`](Self::send_raw).
    pub fn send<M: RingMsg>(
        &self,
        to: impl Into<ShardId>,
        message: M,
    ) -> Result<SendTicket, SendError> {
        remote::send(&self.lane, to.into(), message.encode())
    }

    /// As [`RemoteShard::send_raw_nowait`].
    ///
    /// # Errors
    ///
    /// As [`send_raw`](Self::send_raw).
    pub fn send_raw_nowait(
        &self,
        to: impl Into<ShardId>,
        tag: u16,
        val: u32,
    ) -> Result<(), SendError> {
        remote::send_nowait(&self.lane, to.into(), (tag, val))
    }

    /// As [`RemoteShard::send_nowait`].
    ///
    /// # Errors
    ///
    /// As [`send_raw`](Self::send_raw).
    pub fn send_nowait<M: RingMsg>(
        &self,
        to: impl Into<ShardId>,
        message: M,
    ) -> Result<(), SendError> {
        remote::send_nowait(&self.lane, to.into(), message.encode())
    }

    /// As [`RemoteShard::send_many_raw_nowait`].
    ///
    /// # Errors
    ///
    /// As there, and [`InvalidShard`](SendError::InvalidShard).
    pub fn send_many_raw_nowait(
        &self,
        to: impl Into<ShardId>,
        messages: impl IntoIterator<Item = (u16, u32)>,
    ) -> Result<(), SendError> {
        remote::send_many_nowait(&self.lane, to.into(), messages)
    }

    /// As [`RemoteShard::send_many_nowait`].
    ///
    /// # Errors
    ///
    /// As [`send_many_raw_nowait`](Self::send_many_raw_nowait).
    pub fn send_many_nowait<M: RingMsg>(
        &self,
        to: impl Into<ShardId>,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), SendError> {
        remote::send_many_nowait(&self.lane, to.into(), messages.into_iter().map(M::encode))
    }

    /// As [`RemoteShard::send_raw_direct_nowait`].
    ///
    /// # Errors
    ///
    /// As there, and [`InvalidShard`](SendError::InvalidShard).
    pub fn send_raw_direct_nowait(
        &self,
        to: impl Into<ShardId>,
        tag: u16,
        val: u32,
    ) -> Result<(), SendError> {
        remote::send_many_direct_nowait(&self.lane, to.into(), [(tag, val)])
    }

    /// As [`RemoteShard::send_many_raw_direct_nowait`].
    ///
    /// # Errors
    ///
    /// As there, and [`InvalidShard`](SendError::InvalidShard).
    pub fn send_many_raw_direct_nowait(
        &self,
        to: impl Into<ShardId>,
        messages: impl IntoIterator<Item = (u16, u32)>,
    ) -> Result<(), SendError> {
        remote::send_many_direct_nowait(&self.lane, to.into(), messages)
    }

    /// Hands direct messages to the kernel now, and gives a ticket for all that this shard has sent
    /// so far, to whomever.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn flush(&self) -> Result<SendTicket, SendError> {
        let pending = remote::on_shard(&self.lane, |port| {
            port.map_or_else(Vec::new, |port| {
                port.flush();
                port.desk().pending(None)
            })
        });
        Ok(SendTicket::for_all(Arc::clone(&self.lane), pending))
    }

    /// Waits for the next message to this shard whose tag is neither hot nor counted.
    ///
    /// Messages that came before anybody asked are kept, up to the limit of
    /// [`msg_ring_queue_capacity`](crate::Builder::msg_ring_queue_capacity).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use spargio::{Event, Runtime, ShardCtx};
    ///
    /// let runtime = Runtime::builder().shards(2).build()?;
    /// let echo = runtime.handle().spawn_local_on(1, |ctx| async move {
    ///     let Event::RingMsg { from, tag, val } = ctx.next_event().await;
    ///     ctx.send_raw_nowait(from, tag, val + 1)
    /// })?;
    /// let ask = runtime.handle().spawn_local_on(0, |ctx| async move {
    ///     ctx.send_raw_nowait(1, 7, 41)?;
    ///     let Event::RingMsg { val, .. } = ctx.next_event().await;
    ///     Ok::<_, spargio::SendError>(val)
    /// })?;
    /// assert_eq!(runtime.block_on(ask)??, 42);
    /// runtime.block_on(echo)??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_event(&self) -> NextEvent {
        NextEvent::new(Kind::Plain)
    }

    /// Waits for the next message to this shard whose tag is hot
    /// ([`hot_msg_tag`](crate::Builder::hot_msg_tag)).
    ///
    /// Hot messages have lanes and a limit of their own, so that plain ones which nobody reads do
    /// not hold them up.
    pub fn next_hot_event(&self) -> NextEvent {
        NextEvent::new(Kind::Hot)
    }

    /// Waits until something was counted of a tag
    /// ([`coalesced_hot_msg_tag`](crate::Builder::coalesced_hot_msg_tag)), takes it all and starts
    /// again with 0. The result is never 0.
    ///
    /// When several tasks wait for one tag, one of them gets it.
    ///
    /// # Panics
    ///
    /// If the tag is not counted: nothing would ever come.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// const CREDITS: u16 = 5;
    /// let builder = spargio::Runtime::builder().shards(2).coalesced_hot_msg_tag(CREDITS);
    /// let runtime = builder.build()?;
    /// let remote = runtime.remote(1).expect("there are two shards");
    /// remote.send_many_raw_nowait([(CREDITS, 1), (CREDITS, 2), (CREDITS, 3)])?;
    /// let count = runtime
    ///     .handle()
    ///     .spawn_local_on(1, |ctx| async move { ctx.next_hot_count(CREDITS).await })?;
    /// assert_eq!(runtime.block_on(count)?, 6);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn next_hot_count(&self, tag: u16) -> NextHotCount {
        NextHotCount::new(tag)
    }

    /// Takes what was counted of a tag, without waiting; `None` if that is nothing, or if the tag
    /// is not counted.
    pub fn try_take_hot_count(&self, tag: u16) -> Option<u64> {
        port::with(|port| port?.desk().take_count(tag))
    }
}

/// As [`ShardCtx::spawn_local`], on the thread of the lane's shard.
pub(super) fn spawn_local<F, L>(
    lane: &Arc<dyn Lane>,
    label: L,
    future: F,
) -> Result<LocalJoinHandle<F::Output>, RuntimeError>
where
    F: Future + 'static,
    F::Output: 'static,
    L: Label,
{
    let (runnable, handle) = task::spawn_local(lane, lane.shard(), label, future)?;
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
