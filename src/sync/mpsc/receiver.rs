//! The end of a channel that messages come out of.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::primitive::Arc;
use crate::sync::budget;
use crate::sync::mpsc::TryRecvError;
use crate::sync::mpsc::channel::Channel;

/// Receives messages, in the order in which they were sent.
///
/// Also a [`Stream`]. Dropping it drops the messages that are left, and tells the senders.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    /// Of the next message.
    position: u32,
    closed: bool,
}

impl<T> Receiver<T> {
    pub(super) const fn new(channel: Arc<Channel<T>>, first: u32) -> Self {
        Self { channel, position: first, closed: false }
    }

    /// Waits for the next message; `None` if there is none left and all senders are gone, or the
    /// receiver was [closed](Self::close) and no permit is left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Waits until there is a message and takes all that are there, at most `limit`, to the end of
    /// `into`. Says how many; 0 if none will come any more, or `limit` is 0.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message: it takes them when it is ready.
    ///
    /// ```
    /// # async fn example() {
    /// let (sender, mut receiver) = spargio::sync::mpsc::channel(8);
    /// for number in 0..5 {
    ///     sender.send(number).await.unwrap();
    /// }
    /// let mut numbers = Vec::new();
    /// assert_eq!(receiver.recv_many(&mut numbers, 3).await, 3);
    /// assert_eq!(numbers, [0, 1, 2]);
    /// # }
    /// ```
    pub async fn recv_many(&mut self, into: &mut Vec<T>, limit: usize) -> usize {
        poll_fn(|cx| self.poll_recv_many(cx, into, limit)).await
    }

    /// As [`recv`](Self::recv): ready, or the task is woken when to poll again. Only the waker of
    /// the last poll is woken.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.poll_there(cx) {
            Poll::Ready(true) => Poll::Ready(self.take()),
            Poll::Ready(false) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    /// As [`recv_many`](Self::recv_many).
    pub fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        if limit == 0 {
            return Poll::Ready(0);
        }
        match self.poll_there(cx) {
            Poll::Ready(true) => Poll::Ready(self.take_many(into, limit)),
            Poll::Ready(false) => Poll::Ready(0),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Takes the next message if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if there is none now, [`TryRecvError::Closed`] if none will come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.take() {
            Some(message) => Ok(message),
            None if !self.is_over() => Err(TryRecvError::Empty),
            // Sent before the last sender went.
            None => self.take().ok_or(TryRecvError::Closed),
        }
    }

    /// Takes no message that is not sent or reserved already; senders are told. What is there can
    /// still be received, and so can what is sent with a permit that was given out before.
    pub fn close(&mut self) {
        self.closed = true;
        self.channel.close();
    }

    /// How many messages the channel holds at most.
    pub fn max_capacity(&self) -> usize {
        self.channel.capacity()
    }

    /// Whether the next message is there.
    fn poll_there(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if !self.channel.is_there(self.position) && self.channel.wait(self.position, cx.waker()) {
            // Looked at after the waker was left, which whoever is last takes.
            if !self.is_over() {
                return Poll::Pending;
            }
            if !self.channel.is_there(self.position) {
                return Poll::Ready(false);
            }
        }
        if budget::consume() {
            return Poll::Ready(true);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether nothing more will be sent.
    fn is_over(&self) -> bool {
        !self.channel.has_senders() || (self.closed && self.channel.is_drained())
    }

    fn take(&mut self) -> Option<T> {
        if !self.channel.is_there(self.position) {
            return None;
        }
        // SAFETY:
        // - it is there, there is one receiver, and the position moves on.
        let message = unsafe { self.channel.take(self.position) };
        self.position = self.position.wrapping_add(1);
        self.channel.pass(1);
        Some(message)
    }

    fn take_many(&mut self, into: &mut Vec<T>, limit: usize) -> usize {
        // No more than the channel holds: a fast sender does not keep this here for ever.
        let limit = limit.min(self.channel.capacity());
        let mut taken = 0;
        while taken < limit && self.channel.is_there(self.position) {
            // The allocator may refuse; nothing is taken out of its slot then.
            into.reserve(1);
            // SAFETY:
            // - it is there, there is one receiver, and the position moves on.
            into.push(unsafe { self.channel.take(self.position) });
            self.position = self.position.wrapping_add(1);
            taken += 1;
        }
        let passed = u32::try_from(taken).expect("no more than the channel holds");
        self.channel.pass(passed);
        taken
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
        while let Some(message) = self.take() {
            drop(message);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("max_capacity", &self.max_capacity())
            .field("is_closed", &self.channel.is_closed())
            .finish_non_exhaustive()
    }
}
