//! A request at its handler, and the way back.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use crate::boundary::channel::{Envelope, ReplySender};
use crate::boundary::{BoundaryError, RespondError};
use crate::time::{Sleep, sleep_until};

/// A request that was received. Dropping it without a reply cancels the call: its ticket is ready
/// with [`Canceled`](BoundaryError::Canceled), or [`Timeout`](BoundaryError::Timeout) after the
/// deadline.
#[must_use = "dropping a request cancels the call"]
pub struct BoundaryRequest<Q, R> {
    request: Q,
    reply: BoundaryReply<R>,
}

impl<Q, R> BoundaryRequest<Q, R> {
    pub(super) fn new(envelope: Envelope<Q, R>) -> Self {
        let Envelope { request, deadline, reply } = envelope;
        Self { request, reply: BoundaryReply { sender: reply, deadline } }
    }

    /// The request, to look at.
    pub const fn request(&self) -> &Q {
        &self.request
    }

    /// The request, to change or to take things out of.
    pub const fn request_mut(&mut self) -> &mut Q {
        &mut self.request
    }

    /// Until when a reply is wanted, if the call was made with a deadline.
    pub const fn deadline(&self) -> Option<Instant> {
        self.reply.deadline()
    }

    /// See [`BoundaryReply::is_canceled`].
    pub fn is_canceled(&self) -> bool {
        self.reply.is_canceled()
    }

    /// See [`BoundaryReply::canceled`].
    pub async fn canceled(&mut self) {
        self.reply.canceled().await;
    }

    /// See [`BoundaryReply::respond`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn respond(self, reply: R) -> Result<(), RespondError<R>> {
        self.reply.respond(reply)
    }

    /// The request alone; the call is cancelled.
    pub fn into_request(self) -> Q {
        self.request
    }

    /// The request, to be used up, and the way back.
    ///
    /// ```
    /// # async fn example(server: spargio::boundary::BoundaryServer<Vec<u8>, Vec<u8>>) {
    /// while let Ok(request) = server.recv().await {
    ///     let (mut bytes, reply) = request.into_parts();
    ///     bytes.reverse();
    ///     if let Err(late) = reply.respond(bytes) {
    ///         println!("{}: {} bytes for nobody", late.kind(), late.into_reply().len());
    ///     }
    /// }
    /// # }
    /// ```
    pub fn into_parts(self) -> (Q, BoundaryReply<R>) {
        (self.request, self.reply)
    }
}

impl<Q, R> fmt::Debug for BoundaryRequest<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundaryRequest")
            .field("deadline", &self.deadline())
            .field("is_canceled", &self.is_canceled())
            .finish_non_exhaustive()
    }
}

/// The way back of a request. Dropping it without a reply cancels the call.
#[must_use = "dropping the way back cancels the call"]
pub struct BoundaryReply<R> {
    /// Dropping it tells the ticket.
    sender: ReplySender<R>,
    deadline: Option<Instant>,
}

impl<R> BoundaryReply<R> {
    /// Until when a reply is wanted, if the call was made with a deadline.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether nobody wants a reply any more: the ticket is gone, or the deadline has passed.
    pub fn is_canceled(&self) -> bool {
        self.sender.is_closed() || has_passed(self.deadline)
    }

    /// Waits until nobody wants a reply any more: the ticket is gone, or the deadline has passed.
    ///
    /// For a handler that takes long: with `select` of any crate, it ends the work early.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does nothing.
    pub async fn canceled(&mut self) {
        let sender = &mut self.sender;
        let Some(deadline) = self.deadline else { return sender.closed().await };
        let mut deadline: Sleep = sleep_until(deadline);
        poll_fn(|cx| {
            if sender.poll_closed(cx).is_ready() {
                return Poll::Ready(());
            }
            pin!(&mut deadline).poll(cx)
        })
        .await;
    }

    /// Gives the reply to the ticket. Never waits.
    ///
    /// # Errors
    ///
    /// With the reply: [`Timeout`](BoundaryError::Timeout) if the deadline has passed, which the
    /// ticket is told too, and [`Canceled`](BoundaryError::Canceled) if the ticket is gone.
    pub fn respond(self, reply: R) -> Result<(), RespondError<R>> {
        if has_passed(self.deadline) {
            // An error: the ticket is gone, and knows.
            let _ = self.sender.send(Err(BoundaryError::Timeout)); // See above.
            return Err(RespondError::new(BoundaryError::Timeout, reply));
        }
        match self.sender.send(Ok(reply)) {
            Err(Ok(reply)) => Err(RespondError::new(BoundaryError::Canceled, reply)),
            // What comes back is what was sent.
            Ok(()) | Err(Err(_)) => Ok(()),
        }
    }
}

impl<R> fmt::Debug for BoundaryReply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundaryReply")
            .field("deadline", &self.deadline)
            .field("is_canceled", &self.is_canceled())
            .finish_non_exhaustive()
    }
}

/// Whether a deadline has passed, by the clock of whoever asks.
pub(super) fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| sleep_until(deadline).is_elapsed())
}
