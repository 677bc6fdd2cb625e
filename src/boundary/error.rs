//! Why there is no reply.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a call has no reply, or a reply nobody who takes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum BoundaryError {
    /// The other side is gone: all servers, or all clients and nothing is left in the queue.
    Closed,
    /// The queue is full.
    Overloaded,
    /// The deadline has passed.
    Timeout,
    /// The other side gave this request up: the ticket, or the request, was dropped.
    Canceled,
}

impl fmt::Display for BoundaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the other side of the boundary is gone",
            Self::Overloaded => "the queue of the boundary is full",
            Self::Timeout => "the deadline of the request has passed",
            Self::Canceled => "the other side of the boundary gave the request up",
        })
    }
}

impl Error for BoundaryError {}

impl From<BoundaryError> for io::Error {
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe), [`WouldBlock`](io::ErrorKind::WouldBlock),
    /// [`TimedOut`](io::ErrorKind::TimedOut) and
    /// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted), in the order of the variants.
    fn from(error: BoundaryError) -> Self {
        let kind = match error {
            BoundaryError::Closed => io::ErrorKind::BrokenPipe,
            BoundaryError::Overloaded => io::ErrorKind::WouldBlock,
            BoundaryError::Timeout => io::ErrorKind::TimedOut,
            BoundaryError::Canceled => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}

/// A call that was refused, with the request.
///
/// ```
/// let (client, _server) = spargio::boundary::channel::<&str, ()>(1);
/// let _first = client.try_call("first").unwrap();
/// let error = client.try_call("second").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the queue of the boundary is full: 1 request waits in it, which is its limit"
/// );
/// assert_eq!(error.into_request(), "second");
/// ```
pub struct CallError<Q> {
    kind: BoundaryError,
    capacity: usize,
    request: Q,
}

impl<Q> CallError<Q> {
    pub(super) const fn new(kind: BoundaryError, capacity: usize, request: Q) -> Self {
        Self { kind, capacity, request }
    }

    /// Why it was refused.
    pub const fn kind(&self) -> BoundaryError {
        self.kind
    }

    /// The request, to look at.
    pub const fn request(&self) -> &Q {
        &self.request
    }

    /// The request.
    pub fn into_request(self) -> Q {
        self.request
    }

    /// Why it was refused, and the request.
    pub fn into_parts(self) -> (BoundaryError, Q) {
        (self.kind, self.request)
    }
}

impl<Q> fmt::Debug for CallError<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallError")
            .field("kind", &self.kind)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<Q> fmt::Display for CallError<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match (self.kind, self.capacity) {
            (BoundaryError::Overloaded, 1) => {
                f.write_str(": 1 request waits in it, which is its limit")
            }
            (BoundaryError::Overloaded, capacity) => {
                write!(f, ": {capacity} requests wait in it, which is its limit")
            }
            _ => Ok(()),
        }
    }
}

impl<Q> Error for CallError<Q> {}

impl<Q> From<CallError<Q>> for BoundaryError {
    fn from(error: CallError<Q>) -> Self {
        error.kind
    }
}

impl<Q> From<CallError<Q>> for io::Error {
    /// As of the [`BoundaryError`], without the request.
    fn from(error: CallError<Q>) -> Self {
        error.kind.into()
    }
}

/// A reply that nobody takes, with the reply.
pub struct RespondError<R> {
    kind: BoundaryError,
    reply: R,
}

impl<R> RespondError<R> {
    pub(super) const fn new(kind: BoundaryError, reply: R) -> Self {
        Self { kind, reply }
    }

    /// [`Timeout`](BoundaryError::Timeout) if the deadline has passed,
    /// [`Canceled`](BoundaryError::Canceled) if the ticket is gone.
    pub const fn kind(&self) -> BoundaryError {
        self.kind
    }

    /// The reply.
    pub fn into_reply(self) -> R {
        self.reply
    }
}

impl<R> fmt::Debug for RespondError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RespondError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<R> fmt::Display for RespondError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl<R> Error for RespondError<R> {}

impl<R> From<RespondError<R>> for BoundaryError {
    fn from(error: RespondError<R>) -> Self {
        error.kind
    }
}
