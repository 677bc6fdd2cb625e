//! The side that asks.

use std::fmt;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::boundary::channel::{Channel, ForRoom, ReplyReceiver, Room};
use crate::boundary::stats::Ledger;
use crate::boundary::{BoundaryError, BoundaryStats, BoundaryTicket, CallError};
use crate::port::{self, Port};
use crate::primitive::Arc;
use crate::sync::Key;
use crate::time::{sleep, timeout_at};

/// Sends requests. Each clone is a client of the same channel; when the last is gone, the servers
/// are told as soon as the queue is empty.
pub struct BoundaryClient<Q, R> {
    channel: Arc<Channel<Q, R>>,
}

impl<Q, R> BoundaryClient<Q, R> {
    pub(super) const fn new(channel: Arc<Channel<Q, R>>) -> Self {
        Self { channel }
    }

    /// How many requests the queue holds.
    pub fn capacity(&self) -> usize {
        self.channel.capacity()
    }

    /// How many requests are in the queue now.
    pub fn queued(&self) -> usize {
        self.channel.queued()
    }

    /// Whether all servers are gone, so that every call is refused.
    pub fn is_closed(&self) -> bool {
        self.channel.servers_gone()
    }

    /// What became of the calls of this channel.
    pub fn stats(&self) -> BoundaryStats {
        self.channel.ledger.snapshot()
    }
}

impl<Q: Send + 'static, R: Send + 'static> BoundaryClient<Q, R> {
    /// Sends a request, and waits for room in the queue if there is none. Callers that wait are
    /// served in the order in which they came.
    ///
    /// The ticket waits for the reply as long as it takes; see
    /// [`BoundaryTicket::wait_timeout`] and [`call_with_timeout`](Self::call_with_timeout).
    ///
    /// # Errors
    ///
    /// [`Closed`](BoundaryError::Closed), with the request, if the servers are gone or go.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it was ready has not sent the request, which is dropped with
    /// it; room that it was granted goes to the next.
    pub async fn call(&self, request: Q) -> Result<BoundaryTicket<R>, CallError<Q>> {
        self.enter(request, None).await
    }

    /// As [`call`](Self::call), with a deadline that is `timeout` from now: for the wait for room,
    /// for the handler, which sees it, and for the ticket.
    ///
    /// # Errors
    ///
    /// With the request: [`Timeout`](BoundaryError::Timeout) if there was no room in time,
    /// [`Closed`](BoundaryError::Closed) if the servers are gone or go.
    ///
    /// # Cancel safety
    ///
    /// As of [`call`](Self::call).
    pub async fn call_with_timeout(
        &self,
        request: Q,
        timeout: Duration,
    ) -> Result<BoundaryTicket<R>, CallError<Q>> {
        self.enter(request, Some(sleep(timeout).deadline())).await
    }

    /// As [`call_with_timeout`](Self::call_with_timeout), with the deadline itself.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As of [`call`](Self::call).
    pub async fn call_with_deadline(
        &self,
        request: Q,
        deadline: Instant,
    ) -> Result<BoundaryTicket<R>, CallError<Q>> {
        self.enter(request, Some(deadline)).await
    }

    /// Sends a request if there is room in the queue and nobody waits for it.
    ///
    /// # Errors
    ///
    /// With the request: [`Overloaded`](BoundaryError::Overloaded), or
    /// [`Closed`](BoundaryError::Closed) if the servers are gone.
    pub fn try_call(&self, request: Q) -> Result<BoundaryTicket<R>, CallError<Q>> {
        self.try_enter(request, None)
    }

    /// As [`try_call`](Self::try_call), with a deadline that is `timeout` from now, for the handler
    /// and the ticket.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_call_with_timeout(
        &self,
        request: Q,
        timeout: Duration,
    ) -> Result<BoundaryTicket<R>, CallError<Q>> {
        self.try_enter(request, Some(sleep(timeout).deadline()))
    }

    fn try_enter(
        &self,
        request: Q,
        deadline: Option<Instant>,
    ) -> Result<BoundaryTicket<R>, CallError<Q>> {
        let attempt = Attempt::new(&self.channel.ledger);
        match self.channel.try_enter(request, deadline) {
            Ok(entered) => Ok(self.entered(attempt, entered, deadline)),
            Err(refused) => Err(self.refused(attempt, refused)),
        }
    }

    async fn enter(
        &self,
        request: Q,
        deadline: Option<Instant>,
    ) -> Result<BoundaryTicket<R>, CallError<Q>> {
        let attempt = Attempt::new(&self.channel.ledger);
        poll_fn(|cx| {
            if port::with(|port| port.is_none_or(Port::consume_budget)) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        let request = match self.channel.try_enter(request, deadline) {
            Ok(entered) => return Ok(self.entered(attempt, entered, deadline)),
            Err((BoundaryError::Overloaded, request)) => request,
            Err(refused) => return Err(self.refused(attempt, refused)),
        };
        let for_room = ForRoom::new(&self.channel);
        let room = match deadline {
            None => Ok(for_room.await),
            Some(deadline) => timeout_at(deadline, for_room).await,
        };
        let entered = match room {
            Ok(Room::Granted) => self.channel.enter_granted(request, deadline),
            Ok(Room::Closed) => Err((BoundaryError::Closed, request)),
            Err(_) => Err((BoundaryError::Timeout, request)),
        };
        match entered {
            Ok(entered) => Ok(self.entered(attempt, entered, deadline)),
            Err(refused) => Err(self.refused(attempt, refused)),
        }
    }

    fn entered(
        &self,
        attempt: Attempt<'_>,
        (key, reply): (Key, ReplyReceiver<R>),
        deadline: Option<Instant>,
    ) -> BoundaryTicket<R> {
        attempt.end();
        let channel = Arc::clone(&self.channel);
        BoundaryTicket::new(reply, deadline, channel, key)
    }

    fn refused(&self, attempt: Attempt<'_>, (kind, request): (BoundaryError, Q)) -> CallError<Q> {
        self.channel.ledger.ended(Some(kind));
        attempt.end();
        CallError::new(kind, self.capacity(), request)
    }
}

impl<Q, R> Clone for BoundaryClient<Q, R> {
    fn clone(&self) -> Self {
        self.channel.add_client();
        Self { channel: Arc::clone(&self.channel) }
    }
}

impl<Q, R> Drop for BoundaryClient<Q, R> {
    fn drop(&mut self) {
        self.channel.remove_client();
    }
}

impl<Q, R> fmt::Debug for BoundaryClient<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundaryClient")
            .field("capacity", &self.capacity())
            .field("queued", &self.queued())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A call that has begun and not entered the queue: dropping it is one of its ends.
struct Attempt<'a>(Option<&'a Ledger>);

impl<'a> Attempt<'a> {
    fn new(ledger: &'a Ledger) -> Self {
        ledger.called();
        Self(Some(ledger))
    }

    /// It has entered, or its end was counted.
    fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(ledger) = self.0 {
            ledger.ended(Some(BoundaryError::Canceled));
        }
    }
}
