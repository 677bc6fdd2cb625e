//! The channel of runtimes that bring none: `async-channel`, the same for all of them.

use super::{Receiver, Sender};

impl<T: Send + 'static> Sender<T> for async_channel::Sender<T> {
    fn send(&self, value: T) {
        assert!(self.try_send(value).is_ok(), "the receiver is gone");
    }
}

impl<T: Send + 'static> Receiver<T> for async_channel::Receiver<T> {
    async fn receive(&mut self) -> Option<T> {
        self.recv().await.ok()
    }
}
