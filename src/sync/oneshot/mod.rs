//! A channel for one value, between any two threads.
//!
//! One allocation for each channel, taken from the free memory of the thread if there is some, and
//! one locked instruction for sending when the receiver does not wait yet.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use spargio::sync::oneshot;
//!
//! let (sender, receiver) = oneshot::channel();
//! let task = spargio::spawn(async move { sender.send(6 * 7) })?;
//! assert_eq!(receiver.await?, 42);
//! assert_eq!(task.await?, Ok(()));
//! # Ok(())
//! # }
//! ```

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::sync::budget;

mod shared;

#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use shared::{ReceiverEnd, SenderEnd, Taken};

/// Makes a channel for one value.
#[inline]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = shared::pair();
    (Sender { end: sender }, Receiver { end: Some(receiver) })
}

/// Sends the value, once.
///
/// Dropping it without having sent tells the receiver so.
pub struct Sender<T> {
    end: SenderEnd<T>,
}

impl<T> Sender<T> {
    /// Sends the value. Never waits.
    ///
    /// # Errors
    ///
    /// The value comes back if the receiver is gone, or was closed. `Ok` means that the receiver
    /// was there; it may still be dropped without a look at the value.
    #[inline]
    pub fn send(self, value: T) -> Result<(), T> {
        self.end.send(value)
    }

    /// Whether the receiver is gone or was closed, so that sending would fail.
    pub fn is_closed(&self) -> bool {
        self.end.is_closed()
    }

    /// Waits until the receiver is gone or is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does nothing.
    ///
    /// ```
    /// # async fn example() {
    /// use spargio::sync::oneshot;
    ///
    /// let (mut sender, receiver) = oneshot::channel::<u64>();
    /// drop(receiver);
    /// sender.closed().await;
    /// assert_eq!(sender.send(7), Err(7));
    /// # }
    /// ```
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// As [`closed`](Self::closed): ready if the receiver is gone or closed; else the task is woken
    /// then. Only the waker of the last poll is woken.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.end.poll_closed(cx.waker()) {
            return Poll::Pending;
        }
        in_budget(cx, ())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// Waits for the value: a future.
///
/// # Cancel safety
///
/// `(&mut receiver).await` may be dropped at any moment and loses nothing. Dropping the receiver
/// drops a value that was sent, and makes later attempts to send fail.
#[must_use = "a receiver does nothing until it is polled"]
pub struct Receiver<T> {
    /// `None` once nothing can come any more.
    end: Option<ReceiverEnd<T>>,
}

impl<T> Receiver<T> {
    /// Takes the value if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if it may still come, [`TryRecvError::Closed`] if it will not: the
    /// sender is gone, this was closed before it sent, or the value was taken before.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let Some(end) = &mut self.end else { return Err(TryRecvError::Closed) };
        match end.take() {
            Taken::Value(value) => {
                self.end = None;
                Ok(value)
            }
            Taken::Nothing => {
                self.end = None;
                Err(TryRecvError::Closed)
            }
            Taken::NotYet => Err(TryRecvError::Empty),
        }
    }

    /// Takes no value any more: an attempt to send fails from now on. One that was sent before can
    /// still be received, and only then is the receiver not [closed](RecvError) afterwards.
    pub fn close(&mut self) {
        if let Some(end) = &mut self.end
            && !end.close()
        {
            self.end = None;
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(end) = &mut self.end else { return Poll::Ready(Err(RecvError(()))) };
        if !end.poll(cx.waker()) {
            return Poll::Pending;
        }
        if in_budget(cx, ()).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(self.try_recv().map_err(|_| RecvError(())))
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("is_over", &self.end.is_none()).finish_non_exhaustive()
    }
}

/// Ready, if the budget of the task allows it; else it is ready in the next poll.
#[inline]
fn in_budget<R>(cx: &Context<'_>, ready: R) -> Poll<R> {
    if budget::consume() {
        return Poll::Ready(ready);
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// No value will come: the sender was dropped, or the receiver was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecvError(());

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no value will come: the sender is gone, or the receiver was closed")
    }
}

impl Error for RecvError {}

/// Why [`Receiver::try_recv`] has no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryRecvError {
    /// None was sent yet.
    Empty,
    /// None will come any more.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no value was sent yet"),
            Self::Closed => RecvError(()).fmt(f),
        }
    }
}

impl Error for TryRecvError {}
