//! Sending messages to a shard.

use std::fmt;

use crate::id::ShardId;
use crate::message::{Direct, RingMsg, SendError};
use crate::port::{self, Lane, Port};
use crate::primitive::Arc;
use crate::runtime::SendTicket;

/// The way to send messages to one shard, from any thread: [`RuntimeHandleOf::remote`].
///
/// A message is a tag and a value. On a thread that is a shard of the runtime it goes on that
/// shard's own lane to the target, and the event says [`from`](crate::Event::RingMsg::from) which
/// shard it came. Other threads share one lane behind a short lock and are
/// [`ShardId::EXTERNAL`].
///
/// # Order
///
/// What one source sends to one target arrives in the order in which it was sent, separately for
/// plain tags, for hot tags, and for messages sent by a `direct` form: these are three lanes. All
/// threads that are no shard are one source. A value that is counted
/// ([`coalesced_hot_msg_tag`](crate::Builder::coalesced_hot_msg_tag)) is in the count before a
/// message that was sent after it arrives.
///
/// What the sender did before it sent is visible to who receives.
///
/// # Limits
///
/// A lane holds as many messages as
/// [`msg_ring_queue_capacity`](crate::Builder::msg_ring_queue_capacity) says. The next one is
/// refused with [`Backpressure`](SendError::Backpressure), which says how many of the call were
/// taken. What was taken arrives, unless the runtime is shut down first: messages that no task has
/// read go with the shard.
///
/// # Cost
///
/// To a shard that is awake no system call and no allocation: some ten nanoseconds and a fence. A
/// shard that sleeps is rung, once for all that is sent until it is awake. The first message of a
/// lane opens it. [`send_many_raw_nowait`](Self::send_many_raw_nowait) pays the fence once for all.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use spargio::{Event, Runtime, ShardId};
///
/// let runtime = Runtime::builder().shards(2).build()?;
/// let sum = runtime.handle().spawn_local_on(1, |ctx| async move {
///     let mut sum = 0;
///     for _ in 0..3 {
///         let Event::RingMsg { from, val, .. } = ctx.next_event().await;
///         assert_eq!(from, ShardId::EXTERNAL);
///         sum += val;
///     }
///     sum
/// })?;
/// let remote = runtime.remote(1).expect("there are two shards");
/// remote.send_raw_nowait(7, 40)?;
/// remote.send_many_raw_nowait([(7, 1), (7, 1)])?;
/// assert_eq!(runtime.block_on(sum)?, 42);
/// # Ok(())
/// # }
/// ```
///
/// [`RuntimeHandleOf::remote`]: crate::RuntimeHandleOf::remote
#[derive(Clone)]
pub struct RemoteShard {
    /// Any lane of the runtime.
    lane: Arc<dyn Lane>,
    target: ShardId,
}

impl RemoteShard {
    pub(super) fn new(lane: Arc<dyn Lane>, target: ShardId) -> Self {
        Self { lane, target }
    }

    /// Which shard.
    pub fn id(&self) -> ShardId {
        self.target
    }

    /// Sends a message, with a receipt: the ticket is ready when the target has taken it into its
    /// events.
    ///
    /// # Errors
    ///
    /// [`Backpressure`](SendError::Backpressure) at the limit, [`Closed`](SendError::Closed) after
    /// the end of the shard.
    pub fn send_raw(&self, tag: u16, val: u32) -> Result<SendTicket, SendError> {
        send(&self.lane, self.target, (tag, val))
    }

    /// As [`send_raw`](Self::send_raw), of a type.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<M: RingMsg>(&self, message: M) -> Result<SendTicket, SendError> {
        send(&self.lane, self.target, message.encode())
    }

    /// Sends a message, without a receipt.
    ///
    /// # Errors
    ///
    /// As [`send_raw`](Self::send_raw).
    pub fn send_raw_nowait(&self, tag: u16, val: u32) -> Result<(), SendError> {
        send_nowait(&self.lane, self.target, (tag, val))
    }

    /// As [`send_raw_nowait`](Self::send_raw_nowait), of a type.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_nowait<M: RingMsg>(&self, message: M) -> Result<(), SendError> {
        send_nowait(&self.lane, self.target, message.encode())
    }

    /// Sends messages until one is refused. The target is rung, if at all, after the last one.
    ///
    /// # Errors
    ///
    /// As [`send_raw`](Self::send_raw); [`Backpressure`](SendError::Backpressure) says how many
    /// were taken and which was the first that was not. Those after it are left in the iterator:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use spargio::SendError;
    ///
    /// let builder = spargio::Runtime::builder().shards(1).msg_ring_queue_capacity(2);
    /// let sent = builder.build()?.handle().spawn_local_on(0, |ctx| async move {
    ///     let mut values = (0..100).map(|val| (7, val));
    ///     let mut refusals = 0;
    ///     let mut again = None;
    ///     loop {
    ///         let batch = again.take().into_iter().chain(values.by_ref());
    ///         match ctx.send_many_raw_nowait(0, batch) {
    ///             Ok(()) => return Ok(refusals),
    ///             Err(SendError::Backpressure { refused, .. }) => again = Some(refused),
    ///             Err(error) => return Err(error),
    ///         }
    ///         refusals += 1;
    ///         // Makes room: these messages are for this very shard.
    ///         ctx.next_event().await;
    ///     }
    /// })?;
    /// # drop(sent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_many_raw_nowait(
        &self,
        messages: impl IntoIterator<Item = (u16, u32)>,
    ) -> Result<(), SendError> {
        send_many_nowait(&self.lane, self.target, messages)
    }

    /// As [`send_many_raw_nowait`](Self::send_many_raw_nowait), of a type.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_many_nowait<M: RingMsg>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), SendError> {
        send_many_nowait(&self.lane, self.target, messages.into_iter().map(M::encode))
    }

    /// Sends a message that is a completion on the ring of the target (`IORING_OP_MSG_RING`), on a
    /// lane of its own. It leaves when the task gives way, or with [`flush`](Self::flush).
    ///
    /// Where that does not go, it takes the way of the other forms and keeps its place in the
    /// order: from a thread that is no shard, to the own shard, with a doorbell that carries no
    /// messages ([`EventFd`](crate::doorbell::EventFd)), with 128 on the way already, which would
    /// fill the completion queue of the target, or when the kernel refuses it. A tag that is
    /// counted is counted. From a thread that is no shard it is a message as of
    /// [`send_raw_nowait`](Self::send_raw_nowait).
    ///
    /// Between running shards this costs a system call on both sides, and is slower than the other
    /// forms. It is for a target that waits in its ring anyway.
    ///
    /// # Errors
    ///
    /// As [`send_raw`](Self::send_raw); at most 8,192 direct messages of one source are on the way
    /// to a target, if the limit of a lane is higher.
    pub fn send_raw_direct_nowait(&self, tag: u16, val: u32) -> Result<(), SendError> {
        send_many_direct_nowait(&self.lane, self.target, [(tag, val)])
    }

    /// As [`send_raw_direct_nowait`](Self::send_raw_direct_nowait), for each of these.
    ///
    /// # Errors
    ///
    /// As [`send_many_raw_nowait`](Self::send_many_raw_nowait).
    pub fn send_many_raw_direct_nowait(
        &self,
        messages: impl IntoIterator<Item = (u16, u32)>,
    ) -> Result<(), SendError> {
        send_many_direct_nowait(&self.lane, self.target, messages)
    }

    /// Hands direct messages to the kernel now, and gives a ticket for all that this thread's shard
    /// has sent to the target so far; on a thread that is no shard, for all that such threads have.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn flush(&self) -> Result<SendTicket, SendError> {
        let pending = on_shard(&self.lane, |port| match port {
            Some(port) => {
                port.flush();
                Ok(port.desk().pending(Some(self.target)))
            }
            None => self.lane.hub().pending(self.target),
        })?;
        Ok(SendTicket::for_all(Arc::clone(&self.lane), pending))
    }
}

impl fmt::Debug for RemoteShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteShard").field("id", &self.target).finish_non_exhaustive()
    }
}

/// Calls `body` with the shard of the lane's runtime whose thread this is.
#[inline]
pub(super) fn on_shard<R>(lane: &Arc<dyn Lane>, body: impl FnOnce(Option<&dyn Port>) -> R) -> R {
    port::with(|port| body(port.filter(|port| port.runtime() == lane.runtime())))
}

/// Sends one message with a receipt.
pub(super) fn send(
    lane: &Arc<dyn Lane>,
    to: ShardId,
    message: (u16, u32),
) -> Result<SendTicket, SendError> {
    let (wake, pending) = on_shard(lane, |port| match port {
        Some(port) => port.desk().send_pending(to, message),
        None => lane.hub().send_pending(to, message),
    })?;
    if wake {
        lane.wake_shard(to);
    }
    Ok(SendTicket::for_one(Arc::clone(lane), pending))
}

/// Sends one message.
#[inline]
pub(super) fn send_nowait(
    lane: &Arc<dyn Lane>,
    to: ShardId,
    message: (u16, u32),
) -> Result<(), SendError> {
    on_shard(lane, |port| {
        if let Some(port) = port {
            return port.send_message(to, message);
        }
        if lane.hub().send(to, message, 0)? {
            lane.wake_shard(to);
        }
        Ok(())
    })
}

/// Sends messages until one is refused.
pub(super) fn send_many_nowait(
    lane: &Arc<dyn Lane>,
    to: ShardId,
    messages: impl IntoIterator<Item = (u16, u32)>,
) -> Result<(), SendError> {
    on_shard(lane, |port| {
        let mut end = WakeAtEnd { lane, port, to, wake: false };
        let desk = port.map(Port::desk);
        for (taken, message) in messages.into_iter().enumerate() {
            end.wake |= match desk {
                Some(desk) => desk.send(to, message, taken)?,
                None => lane.hub().send(to, message, taken)?,
            };
        }
        Ok(())
    })
}

/// Sends messages as completions until one is refused.
pub(super) fn send_many_direct_nowait(
    lane: &Arc<dyn Lane>,
    to: ShardId,
    messages: impl IntoIterator<Item = (u16, u32)>,
) -> Result<(), SendError> {
    on_shard(lane, |port| {
        let Some(port) = port else { return send_many_nowait(lane, to, messages) };
        let mut end = WakeAtEnd { lane, port: Some(port), to, wake: false };
        for (taken, message) in messages.into_iter().enumerate() {
            match port.desk().send_direct(to, message, taken)? {
                Direct::Push(rider) => port.ride(to, rider),
                Direct::Wake => end.wake = true,
                Direct::Done => {}
            }
        }
        Ok(())
    })
}

/// Wakes the target when the last message lies in its lane, also if the iterator panics.
struct WakeAtEnd<'a> {
    lane: &'a Arc<dyn Lane>,
    port: Option<&'a dyn Port>,
    to: ShardId,
    wake: bool,
}

impl Drop for WakeAtEnd<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.wake {
            match self.port {
                Some(port) => port.wake_shard(self.to),
                None => self.lane.wake_shard(self.to),
            }
        }
    }
}
