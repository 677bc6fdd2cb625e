//! Why a message was not sent, or not understood.

use std::fmt;
use std::io;

use crate::id::ShardId;

/// Why a message was not sent.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = spargio::Runtime::builder().shards(1).build()?;
/// let task = runtime.handle().spawn_local_on(0, |ctx| async move {
///     ctx.send_raw_nowait(7, 1, 2)
/// })?;
/// let error = runtime.block_on(task)?.unwrap_err();
/// assert_eq!(error.to_string(), "there is no shard 7: the runtime has 1, counted from 0");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The target is gone, or goes: the runtime is shut down.
    Closed,
    /// As many messages as may wait do wait; send the rest again when the target has read some.
    #[non_exhaustive]
    Backpressure {
        /// How many messages of this call were taken.
        taken: usize,
        /// The first that was not, as tag and value. A call that takes an iterator took it out
        /// of there; those after it are still in the iterator if that was lent (`by_ref`).
        refused: (u16, u32),
        /// How many messages may wait: `msg_ring_queue_capacity`, or for a coalesced tag how much
        /// may be counted.
        limit: u64,
    },
    /// There is no such shard.
    #[non_exhaustive]
    InvalidShard {
        /// The one asked for.
        shard: ShardId,
        /// How many there are; they count from 0.
        shards: usize,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the shard takes no messages any more"),
            Self::Backpressure { taken, refused: (tag, val), limit } => write!(
                f,
                "the message with tag {tag} and value {val} was not taken, and {taken} before it \
                 were: the limit of {limit} that may wait is reached"
            ),
            Self::InvalidShard { shard, shards } => {
                write!(f, "there is no shard {shard}: the runtime has {shards}, counted from 0")
            }
        }
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for io::Error {
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe), [`WouldBlock`](io::ErrorKind::WouldBlock) and
    /// [`NotFound`](io::ErrorKind::NotFound), in the order of the variants.
    fn from(error: SendError) -> Self {
        let kind = match error {
            SendError::Closed => io::ErrorKind::BrokenPipe,
            SendError::Backpressure { .. } => io::ErrorKind::WouldBlock,
            SendError::InvalidShard { .. } => io::ErrorKind::NotFound,
        };
        Self::new(kind, error)
    }
}

/// A message that a [`RingMsg`](crate::RingMsg) does not know.
///
/// ```
/// let error = spargio::UnknownMessage { tag: 9, val: 1 };
/// assert_eq!(error.to_string(), "no message has tag 9 and value 1");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UnknownMessage {
    /// Its tag.
    pub tag: u16,
    /// Its value.
    pub val: u32,
}

impl fmt::Display for UnknownMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no message has tag {} and value {}", self.tag, self.val)
    }
}

impl std::error::Error for UnknownMessage {}

impl From<UnknownMessage> for io::Error {
    /// [`InvalidData`](io::ErrorKind::InvalidData).
    fn from(error: UnknownMessage) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}
