//! A call that was accepted: the wait for its reply.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::boundary::BoundaryError;
use crate::boundary::channel::{ReplyReceiver, Withdraw};
use crate::primitive::Arc;
use crate::sync::Key;
use crate::time::{Sleep, sleep, sleep_until};

/// The reply of a call that was accepted: a future.
///
/// Ready with the reply, or with
///
/// - [`Timeout`](BoundaryError::Timeout) when the deadline of the call has passed,
/// - [`Canceled`](BoundaryError::Canceled) if the handler dropped the request before the deadline,
///   which it does also when it panics,
/// - [`Closed`](BoundaryError::Closed) if the last server left the request in the queue.
///
/// # Cancel safety
///
/// `(&mut ticket).await` may be dropped at any moment and loses nothing. Dropping the ticket gives
/// the call up: the request is taken out of the queue if it is still there, and else its handler is
/// told.
#[must_use = "dropping a ticket gives the call up"]
pub struct BoundaryTicket<R> {
    reply: ReplyReceiver<R>,
    /// Ready when the deadline has passed.
    deadline: Option<Sleep>,
    channel: Arc<dyn Withdraw>,
    key: Key,
    /// The call has ended, and was counted.
    ended: bool,
}

impl<R> BoundaryTicket<R> {
    pub(super) fn new(
        reply: ReplyReceiver<R>,
        deadline: Option<Instant>,
        channel: Arc<dyn Withdraw>,
        key: Key,
    ) -> Self {
        let deadline = deadline.map(sleep_until);
        Self { reply, deadline, channel, key, ended: false }
    }

    /// When the call ends without a reply, if it was made with a deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.as_ref().map(Sleep::deadline)
    }

    /// Waits for the reply, at most for `timeout` from now, and at most until the deadline that the
    /// request carries.
    ///
    /// # Errors
    ///
    /// As of the ticket itself; after [`Timeout`](BoundaryError::Timeout) the call is given up. To
    /// wait once more, use [`timeout`](crate::timeout) on `&mut ticket` instead.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the call up.
    pub async fn wait_timeout(mut self, timeout: Duration) -> Result<R, BoundaryError> {
        let mut until = sleep(timeout);
        if let Some(deadline) = self.deadline()
            && deadline < until.deadline()
        {
            until.reset(deadline);
        }
        self.deadline = Some(until);
        self.await
    }

    /// The call ends without a reply, unless one is there: then it is returned.
    fn give_up(&mut self, why: BoundaryError) -> Option<Result<R, BoundaryError>> {
        self.reply.close();
        let reply = self.reply.try_recv().ok();
        self.end(reply.as_ref().unwrap_or(&Err(why)));
        if reply.is_none() {
            self.channel.withdraw(self.key);
        }
        reply
    }

    /// Why there is no reply: the handler dropped the request without a word, which it may well do
    /// because the deadline has passed; or the ticket was ready before.
    fn unanswered(&self) -> BoundaryError {
        match &self.deadline {
            Some(deadline) if deadline.is_elapsed() => BoundaryError::Timeout,
            _ => BoundaryError::Canceled,
        }
    }

    /// Counts the call, once.
    fn end(&mut self, reply: &Result<R, BoundaryError>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.channel.ledger().ended(reply.as_ref().err().copied());
        }
    }
}

impl<R> Future for BoundaryTicket<R> {
    type Output = Result<R, BoundaryError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Poll::Ready(received) = Pin::new(&mut this.reply).poll(cx) {
            let reply = received.unwrap_or_else(|_| Err(this.unanswered()));
            this.end(&reply);
            return Poll::Ready(reply);
        }
        let Some(deadline) = &mut this.deadline else { return Poll::Pending };
        if Pin::new(deadline).poll(cx).is_pending() {
            return Poll::Pending;
        }
        let reply = this.give_up(BoundaryError::Timeout);
        Poll::Ready(reply.unwrap_or(Err(BoundaryError::Timeout)))
    }
}

impl<R> Drop for BoundaryTicket<R> {
    fn drop(&mut self) {
        if !self.ended {
            // A reply that nobody has looked at.
            drop(self.give_up(BoundaryError::Canceled));
        }
    }
}

impl<R> fmt::Debug for BoundaryTicket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundaryTicket")
            .field("deadline", &self.deadline())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
