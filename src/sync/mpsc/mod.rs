//! A bounded queue from many senders to one receiver, between any threads.
//!
//! A message goes into a slot of a ring that is allocated once. Sending takes two locked
//! instructions and receiving one, no lock is taken while there is room and the receiver is awake,
//! and nothing is allocated. The receiver is woken only by the message that it waits for.
//!
//! Senders that find no room wait in line, first come first served: room that becomes free is
//! theirs before anybody else's.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use spargio::sync::mpsc;
//!
//! let (sender, mut receiver) = mpsc::channel(64);
//! for number in 0..4 {
//!     let sender = sender.clone();
//!     spargio::spawn(async move { sender.send(number).await })?;
//! }
//! drop(sender);
//! let mut sum = 0;
//! while let Some(number) = receiver.recv().await {
//!     sum += number;
//! }
//! assert_eq!(sum, 6);
//! # Ok(())
//! # }
//! ```

mod channel;
mod error;
mod permit;
mod receiver;
mod sender;

#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use error::{SendError, TryRecvError, TrySendError};
pub use permit::{OwnedPermit, Permit};
pub use receiver::Receiver;
pub use sender::Sender;

use crate::primitive::Arc;
use crate::sync::mpsc::channel::Channel;

/// Messages that a channel may hold at most.
pub const MAX_CAPACITY: usize = 1 << 30;

/// Makes a channel that holds `capacity` messages, or 1 if that is 0.
///
/// The memory for all of them is allocated now: for each the size of a `T` and a word, and their
/// number rounded up to a power of two.
///
/// # Panics
///
/// If `capacity` is greater than [`MAX_CAPACITY`].
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity <= MAX_CAPACITY,
        "a channel of {capacity} messages was asked for, and the limit is {MAX_CAPACITY}"
    );
    channel_from(capacity, 0)
}

/// As [`channel`], and positions begin with `first`.
fn channel_from<T>(capacity: usize, first: u32) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(capacity.max(1), first));
    (Sender::new(Arc::clone(&channel)), Receiver::new(channel, first))
}
