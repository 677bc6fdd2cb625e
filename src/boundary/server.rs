//! The side that answers.

use std::fmt;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::boundary::channel::{Channel, Envelope, ForRequests};
use crate::boundary::request::has_passed;
use crate::boundary::{BoundaryError, BoundaryRequest, BoundaryStats};
use crate::primitive::Arc;

/// Receives requests, in the order in which they entered the queue.
///
/// Each clone is a server of the same channel: a request goes to one of them. When the last is
/// gone, what is in the queue and every later call ends with [`BoundaryError::Closed`]; requests
/// that were received before can still be answered.
pub struct BoundaryServer<Q, R> {
    channel: Arc<Channel<Q, R>>,
}

impl<Q, R> BoundaryServer<Q, R> {
    pub(super) const fn new(channel: Arc<Channel<Q, R>>) -> Self {
        Self { channel }
    }

    /// Waits for a request.
    ///
    /// One whose deadline has passed, or whose ticket is gone, is not handed out: its client is
    /// told, and it is dropped here.
    ///
    /// # Errors
    ///
    /// [`Closed`](BoundaryError::Closed) if all clients are gone and the queue is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no request.
    pub async fn recv(&self) -> Result<BoundaryRequest<Q, R>, BoundaryError> {
        let mut waiting = ForRequests::new(&self.channel);
        poll_fn(|cx| {
            loop {
                let mut taken = None;
                let polled = waiting.poll_take(cx, 1, |envelope| taken = Some(envelope));
                match polled {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(closed)) => return Poll::Ready(Err(closed)),
                    Poll::Pending => return Poll::Pending,
                }
                if let Some(request) = taken.and_then(|envelope| Self::admit(envelope)) {
                    return Poll::Ready(Ok(request));
                }
            }
        })
        .await
    }

    /// Waits for a request, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](BoundaryError::Timeout) if none came in time, and as [`recv`](Self::recv). It is
    /// no event of the statistics: no call has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no request.
    pub async fn recv_timeout(
        &self,
        timeout: Duration,
    ) -> Result<BoundaryRequest<Q, R>, BoundaryError> {
        crate::time::timeout(timeout, self.recv()).await.unwrap_or(Err(BoundaryError::Timeout))
    }

    /// Takes a request if there is one.
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<BoundaryRequest<Q, R>>, BoundaryError> {
        loop {
            match self.channel.take() {
                Some(envelope) => {
                    if let Some(request) = Self::admit(envelope) {
                        return Ok(Some(request));
                    }
                }
                None if self.channel.is_over() => return Err(BoundaryError::Closed),
                None => return Ok(None),
            }
        }
    }

    /// Waits until there are requests, and takes all that are there, at most `limit`, to the end of
    /// `into`. Says how many: at least one, unless `limit` is 0.
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no request: it takes them when it is ready.
    pub async fn recv_batch(
        &self,
        into: &mut Vec<BoundaryRequest<Q, R>>,
        limit: usize,
    ) -> Result<usize, BoundaryError> {
        if limit == 0 {
            return Ok(0);
        }
        let mut waiting = ForRequests::new(&self.channel);
        let mut taken = Vec::new();
        poll_fn(|cx| {
            loop {
                match waiting.poll_take(cx, limit, |envelope| taken.push(envelope)) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(closed)) => return Poll::Ready(Err(closed)),
                    Poll::Pending => return Poll::Pending,
                }
                let before = into.len();
                into.extend(taken.drain(..).filter_map(|envelope| Self::admit(envelope)));
                if into.len() > before {
                    return Poll::Ready(Ok(into.len() - before));
                }
            }
        })
        .await
    }

    /// How many requests the queue holds.
    pub fn capacity(&self) -> usize {
        self.channel.capacity()
    }

    /// How many requests are in the queue now.
    pub fn queued(&self) -> usize {
        self.channel.queued()
    }

    /// What became of the calls of this channel.
    pub fn stats(&self) -> BoundaryStats {
        self.channel.ledger.snapshot()
    }

    /// A request for a handler, unless it has ended.
    fn admit(envelope: Envelope<Q, R>) -> Option<BoundaryRequest<Q, R>> {
        if envelope.reply.is_closed() || has_passed(envelope.deadline) {
            Channel::reject(envelope, BoundaryError::Timeout);
            return None;
        }
        Some(BoundaryRequest::new(envelope))
    }
}

impl<Q, R> Clone for BoundaryServer<Q, R> {
    fn clone(&self) -> Self {
        self.channel.add_server();
        Self { channel: Arc::clone(&self.channel) }
    }
}

impl<Q, R> Drop for BoundaryServer<Q, R> {
    fn drop(&mut self) {
        self.channel.remove_server();
    }
}

impl<Q, R> fmt::Debug for BoundaryServer<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundaryServer")
            .field("capacity", &self.capacity())
            .field("queued", &self.queued())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
