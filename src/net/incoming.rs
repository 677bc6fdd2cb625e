//! The connections of a listener, one after the other.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::net::family::Family;
use crate::net::listener::{Accept, Listener};
use crate::net::session::StreamSessionPolicy;
use crate::net::stream::Stream;

/// The connections of a listener: [`Listener::incoming`].
///
/// It is a [`Stream`](futures_core::Stream) that never ends; after an error the next connection may
/// well come.
///
/// # Cancel safety
///
/// No connection is lost when it is dropped: the listener's next `accept` gets it.
#[must_use = "connections are accepted when they are asked for"]
pub struct Incoming<'l, F: Family> {
    accept: Accept<'l, F>,
}

impl<'l, F: Family> Incoming<'l, F> {
    pub(super) fn new(listener: &'l Listener<F>) -> Self {
        Self { accept: listener.accept() }
    }

    /// Connections belong to shards as this policy says.
    pub fn session_policy(self, policy: StreamSessionPolicy) -> Self {
        Self { accept: self.accept.placed(policy) }
    }

    /// The next connection, and the address of its other end.
    ///
    /// # Errors
    ///
    /// As [`Listener::accept`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn next(&mut self) -> io::Result<(Stream<F>, F::Addr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`next`](Self::next), for futures written by hand. The last waker is the one that is
    /// woken.
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream<F>, F::Addr)>> {
        self.accept.poll_next(cx)
    }
}

impl<F: Family> futures_core::Stream for Incoming<'_, F> {
    type Item = io::Result<(Stream<F>, F::Addr)>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_accept(cx).map(Some)
    }
}

impl<F: Family> fmt::Debug for Incoming<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("accept", &self.accept).finish()
    }
}
