//! Messages between shards: a tag and a value each, through memory and without a system call.
//!
//! ```text
//! source shard            |  shared                          |  target shard
//! Desk -> Outbox          |  Hub: a Door per target          |  Desk -> Inbox
//!   a Sender per target --+--> slots of a lane --------------+--> Receiver -> Events -> tasks
//!                         |    Receipts <- taken ------------+--- tickets
//!   Departures -----------+--> completions (MSG_RING) -------+--> Landing -> Events
//! external threads -------+--> Sender behind a lock ---------+--> Receiver
//! counted tags -----------+--> a counter per tag ------------+--> who takes the count
//! ```
//!
//! # Order
//!
//! A *lane* is what one source has to one target for one kind of message: plain, hot or direct. All
//! threads that are no shard of the runtime are one source together. What one lane takes arrives in
//! the order in which it was sent. Between lanes nothing is promised, but this: a count is there
//! when a message arrives that was sent after it.
//!
//! # Limits
//!
//! A lane holds as many messages as `msg_ring_queue_capacity` says, and so do the events that the
//! target keeps for its tasks, plain and hot ones apart. When they are full the target takes
//! nothing more, the lanes fill, and the senders are told. A direct message is counted from its
//! sending until it is among the events, so completions that are messages have that limit as well.
//!
//! # Why no message is slept on
//!
//! After a message was written its sender posts the gate of the target (W1..W5 of
//! `doorbell/README.md`). [`Desk::has_signal`] is the target's part of the last look S3: lanes that
//! were opened and not adopted, the next slot of each lane, counters that somebody waits for, and
//! questions for receipts. A lane that has no room to go to is no signal; room is made by a task of
//! this very shard, which looks again after it.

use crate::id::ShardId;

mod desk;
mod direct;
mod error;
mod hub;
mod inbox;
mod lane;
mod lookout;
mod outbox;
mod receipts;
mod tags;
mod ticket;
mod waiters;

pub use error::{SendError, UnknownMessage};

pub(crate) use desk::{Desk, Direct};
pub(crate) use direct::Rider;
pub(crate) use hub::{Hub, Kind};
pub(crate) use receipts::Closed;
pub(crate) use ticket::{Look, Pending};

/// A message with a type: how it becomes a tag and a value, and back.
///
/// ```
/// use spargio::{RingMsg, UnknownMessage};
///
/// #[derive(Clone, Copy, PartialEq, Debug)]
/// enum Job {
///     Start(u32),
///     Stop,
/// }
///
/// impl RingMsg for Job {
///     fn encode(self) -> (u16, u32) {
///         match self {
///             Self::Start(number) => (1, number),
///             Self::Stop => (2, 0),
///         }
///     }
///
///     fn try_decode(tag: u16, val: u32) -> Result<Self, UnknownMessage> {
///         match (tag, val) {
///             (1, number) => Ok(Self::Start(number)),
///             (2, 0) => Ok(Self::Stop),
///             _ => Err(UnknownMessage { tag, val }),
///         }
///     }
/// }
///
/// let (tag, val) = Job::Start(7).encode();
/// assert_eq!(Job::try_decode(tag, val), Ok(Job::Start(7)));
/// assert!(Job::try_decode(3, 0).is_err());
/// ```
pub trait RingMsg: Copy + Send + 'static {
    /// The tag and the value. Every tag may be used, `0xFFFF` too.
    fn encode(self) -> (u16, u32);

    /// The message of this tag and value.
    ///
    /// # Errors
    ///
    /// [`UnknownMessage`] if there is none: whoever has the shard's number may send it anything.
    fn try_decode(tag: u16, val: u32) -> Result<Self, UnknownMessage>;
}

/// What a shard has received.
///
/// ```
/// use spargio::{Event, ShardId};
/// let event = Event::RingMsg { from: ShardId::new(1), tag: 7, val: 42 };
/// let Event::RingMsg { from, val, .. } = event;
/// assert_eq!((from.get(), val), (1, 42));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A message.
    RingMsg {
        /// The shard that sent it; [`ShardId::EXTERNAL`] for a thread that is no shard of the
        /// runtime.
        from: ShardId,
        /// Its tag.
        tag: u16,
        /// Its value.
        val: u32,
    },
}

impl Event {
    /// Who sent the message, and the message as its type.
    ///
    /// # Errors
    ///
    /// [`UnknownMessage`] if the type knows no such message.
    pub fn decode<M: RingMsg>(self) -> Result<(ShardId, M), UnknownMessage> {
        let Self::RingMsg { from, tag, val } = self;
        Ok((from, M::try_decode(tag, val)?))
    }
}
