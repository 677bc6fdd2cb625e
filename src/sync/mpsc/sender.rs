//! The end of a channel that messages go into.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::primitive::Arc;
use crate::sync::mpsc::channel::{Channel, Grant, Refusal, Turn};
use crate::sync::mpsc::{OwnedPermit, Permit, SendError, TrySendError};
use crate::sync::{Place, budget, poll_place};

/// Sends messages. Each clone is another sender of the same channel; when the last is gone, the
/// receiver is told.
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    pub(super) const fn new(channel: Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    pub(super) const fn channel(&self) -> &Arc<Channel<T>> {
        &self.channel
    }

    /// Sends a message, and waits for room if there is none.
    ///
    /// # Errors
    ///
    /// The message comes back if the receiver is gone or was closed.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it was ready has not sent the message, which is dropped with
    /// it, and has lost its place in line. To keep the message, [`reserve`](Self::reserve) first.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        poll_fn(in_budget).await;
        match self.channel.try_send(message) {
            Ok(()) => Ok(()),
            Err((Refusal::Closed, message)) => Err(SendError(message)),
            Err((Refusal::Full, message)) => match self.wait_for_room().await {
                Grant::Room => {
                    self.channel.send_reserved(message);
                    Ok(())
                }
                Grant::Closed => Err(SendError(message)),
            },
        }
    }

    /// Sends a message if there is room and nobody waits for it.
    ///
    /// # Errors
    ///
    /// The message comes back, with [`Full`](TrySendError::Full) or
    /// [`Closed`](TrySendError::Closed).
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send(message).map_err(|(refusal, message)| match refusal {
            Refusal::Full => TrySendError::Full { message, capacity: self.max_capacity() },
            Refusal::Closed => TrySendError::Closed { message },
        })
    }

    /// Waits for room for one message and keeps it for this caller.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the receiver is gone or was closed.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped loses its place in line, and room that it was given goes to the
    /// next.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        self.take_room().await?;
        Ok(Permit::new(&self.channel))
    }

    /// As [`reserve`](Self::reserve), and the permit has the sender in it.
    ///
    /// # Errors
    ///
    /// As there; the sender is dropped.
    pub async fn reserve_owned(self) -> Result<OwnedPermit<T>, SendError<()>> {
        self.take_room().await?;
        Ok(OwnedPermit::new(self))
    }

    /// Keeps room for one message if there is some and nobody waits for it.
    ///
    /// # Errors
    ///
    /// [`Full`](TrySendError::Full) or [`Closed`](TrySendError::Closed).
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        match self.channel.try_reserve() {
            Ok(()) => Ok(Permit::new(&self.channel)),
            Err(Refusal::Full) => {
                Err(TrySendError::Full { message: (), capacity: self.max_capacity() })
            }
            Err(Refusal::Closed) => Err(TrySendError::Closed { message: () }),
        }
    }

    /// Waits until the receiver is gone or is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does nothing.
    pub async fn closed(&self) {
        let mut closing = self.channel.closing.notified();
        closing.enable();
        if !self.is_closed() {
            closing.await;
        }
    }

    /// Whether the receiver is gone or was closed.
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    /// Whether both send to the same receiver.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }

    /// For how many messages there is room now. A hint: others send and receive.
    pub fn capacity(&self) -> usize {
        self.channel.free()
    }

    /// For how many messages there is room in an empty channel.
    pub fn max_capacity(&self) -> usize {
        self.channel.capacity()
    }

    async fn take_room(&self) -> Result<(), SendError<()>> {
        poll_fn(in_budget).await;
        let grant = match self.channel.try_reserve() {
            Ok(()) => Grant::Room,
            Err(Refusal::Closed) => Grant::Closed,
            Err(Refusal::Full) => self.wait_for_room().await,
        };
        match grant {
            Grant::Room => Ok(()),
            Grant::Closed => Err(SendError(())),
        }
    }

    const fn wait_for_room(&self) -> ForRoom<'_, T> {
        ForRoom { channel: &self.channel, place: None }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.add_sender();
        Self { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("max_capacity", &self.max_capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Takes one ready operation of the task's budget, or gives way.
fn in_budget(cx: &mut Context<'_>) -> Poll<()> {
    if budget::consume() {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Waits in line.
struct ForRoom<'a, T> {
    channel: &'a Arc<Channel<T>>,
    place: Option<Place>,
}

impl<T> Future for ForRoom<'_, T> {
    type Output = Grant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Grant> {
        let channel = self.channel;
        match &self.place {
            Some(place) => match poll_place(|| channel.room(), place, cx.waker()) {
                Some(grant) => {
                    self.place = None;
                    Poll::Ready(grant)
                }
                None => Poll::Pending,
            },
            None => match channel.queue(cx.waker()) {
                Turn::Now(grant) => Poll::Ready(grant),
                Turn::Waits(place) => {
                    self.place = Some(place);
                    Poll::Pending
                }
            },
        }
    }
}

impl<T> Drop for ForRoom<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.channel.leave(place);
        }
    }
}
