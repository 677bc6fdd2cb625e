//! Why a message was not sent or not received.

use std::error::Error;
use std::fmt;
use std::io;

/// The message was not sent: the receiver is gone or was closed. The message is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the receiver of the channel is gone")
    }
}

impl<T> Error for SendError<T> {}

impl<T> From<SendError<T>> for io::Error {
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe), without the message.
    fn from(_: SendError<T>) -> Self {
        Self::new(io::ErrorKind::BrokenPipe, SendError(()))
    }
}

/// The message was not sent at once. It is in the error.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError<T> {
    /// There is no room now.
    #[non_exhaustive]
    Full {
        /// The message.
        message: T,
        /// How many messages the channel holds, reserved ones included.
        capacity: usize,
    },
    /// The receiver is gone or was closed.
    #[non_exhaustive]
    Closed {
        /// The message.
        message: T,
    },
}

impl<T> TrySendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full { message, .. } | Self::Closed { message } => message,
        }
    }

    /// Whether there is no room now.
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the receiver is gone or was closed.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity, .. } => {
                f.debug_struct("Full").field("capacity", capacity).finish_non_exhaustive()
            }
            Self::Closed { .. } => f.debug_struct("Closed").finish_non_exhaustive(),
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity, .. } => {
                write!(f, "the channel is full: it holds its limit of {capacity} messages")
            }
            Self::Closed { .. } => SendError(()).fmt(f),
        }
    }
}

impl<T> Error for TrySendError<T> {}

impl<T> From<TrySendError<T>> for io::Error {
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) and [`BrokenPipe`](io::ErrorKind::BrokenPipe),
    /// without the message.
    fn from(error: TrySendError<T>) -> Self {
        match error {
            TrySendError::Full { capacity, .. } => {
                Self::new(io::ErrorKind::WouldBlock, TrySendError::Full { message: (), capacity })
            }
            TrySendError::Closed { .. } => SendError(()).into(),
        }
    }
}

/// Why [`Receiver::try_recv`](super::Receiver::try_recv) has no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryRecvError {
    /// There is none now.
    Empty,
    /// None will come: all senders are gone, or the receiver was closed, and there is none left.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there is no message in the channel now",
            Self::Closed => "no message will come: the channel is closed",
        })
    }
}

impl Error for TryRecvError {}
