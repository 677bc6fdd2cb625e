//! Room for one message.

use std::fmt;

use crate::primitive::Arc;
use crate::sync::mpsc::Sender;
use crate::sync::mpsc::channel::Channel;

/// Room for one message, of [`Sender::reserve`]. Dropping it gives the room back.
#[must_use = "a permit that is dropped gives its room back"]
pub struct Permit<'a, T> {
    channel: &'a Arc<Channel<T>>,
}

impl<'a, T> Permit<'a, T> {
    pub(super) const fn new(channel: &'a Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    /// Sends the message, at once and in any case.
    ///
    /// If the receiver is gone the message is dropped with the channel; one that was only closed
    /// still takes it.
    pub fn send(self, message: T) {
        // Not dropped: the room is used.
        let this = std::mem::ManuallyDrop::new(self);
        this.channel.send_reserved(message);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.channel.release();
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// Room for one message, and the sender, of [`Sender::reserve_owned`]. Dropping it gives the room
/// back.
#[must_use = "a permit that is dropped gives its room back"]
pub struct OwnedPermit<T> {
    /// `None` once the room is used or given back.
    sender: Option<Sender<T>>,
}

impl<T> OwnedPermit<T> {
    pub(super) const fn new(sender: Sender<T>) -> Self {
        Self { sender: Some(sender) }
    }

    /// Sends the message, at once and in any case, and returns the sender. See [`Permit::send`].
    pub fn send(mut self, message: T) -> Sender<T> {
        let sender = self.sender.take().expect("a permit has its sender until it is used");
        sender.channel().send_reserved(message);
        sender
    }

    /// Gives the room back, and returns the sender.
    pub fn release(mut self) -> Sender<T> {
        let sender = self.sender.take().expect("a permit has its sender until it is used");
        sender.channel().release();
        sender
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            sender.channel().release();
        }
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").finish_non_exhaustive()
    }
}
