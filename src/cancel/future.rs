//! Waiting for a token.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::cancel::node::Node;
use crate::cancel::{CancellationToken, Key};

/// The future of [`CancellationToken::cancelled`].
///
/// It may be moved between polls, and stays ready after it was ready.
#[must_use = "futures do nothing until they are polled"]
pub struct CancellationFuture<'a> {
    token: &'a CancellationToken,
    entry: Option<Entry>,
}

impl<'a> CancellationFuture<'a> {
    pub(super) const fn new(token: &'a CancellationToken) -> Self {
        Self { token, entry: None }
    }
}

impl Future for CancellationFuture<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let token = self.token;
        poll(token.node(), &mut self.entry, cx.waker())
    }
}

impl Drop for CancellationFuture<'_> {
    fn drop(&mut self) {
        leave(self.token.node(), self.entry.take());
    }
}

impl fmt::Debug for CancellationFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationFuture").field("token", self.token).finish_non_exhaustive()
    }
}

/// The future of [`CancellationToken::cancelled_owned`].
///
/// It may be moved between polls, and stays ready after it was ready.
#[must_use = "futures do nothing until they are polled"]
pub struct CancellationFutureOwned {
    token: CancellationToken,
    entry: Option<Entry>,
}

impl CancellationFutureOwned {
    pub(super) const fn new(token: CancellationToken) -> Self {
        Self { token, entry: None }
    }
}

impl Future for CancellationFutureOwned {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        poll(this.token.node(), &mut this.entry, cx.waker())
    }
}

impl Drop for CancellationFutureOwned {
    fn drop(&mut self) {
        leave(self.token.node(), self.entry.take());
    }
}

impl fmt::Debug for CancellationFutureOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationFutureOwned")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// The future of [`CancellationToken::run_until_cancelled`].
    #[must_use = "futures do nothing until they are polled"]
    #[derive(Debug)]
    pub struct RunUntilCancelled<'a, F> {
        #[pin]
        future: F,
        cancelled: CancellationFuture<'a>,
    }
}

impl<'a, F> RunUntilCancelled<'a, F> {
    pub(super) const fn new(cancelled: CancellationFuture<'a>, future: F) -> Self {
        Self { future, cancelled }
    }
}

impl<F: Future> Future for RunUntilCancelled<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        Pin::new(this.cancelled).poll(cx).map(|()| None)
    }
}

/// A future's place among those who wait.
struct Entry {
    key: Key,
    /// Means something while the token keeps the waker, because its address may be another's
    /// afterwards; then the token is canceled, and nobody compares.
    waker: WakerId,
}

/// Tells wakers apart, as [`Waker::will_wake`] does, without one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct WakerId {
    data: usize,
    vtable: usize,
}

impl WakerId {
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data().addr(), vtable: std::ptr::from_ref(waker.vtable()).addr() }
    }
}

/// Ready if the node is canceled; else the waker is woken when it is.
fn poll(node: &Node, entry: &mut Option<Entry>, waker: &Waker) -> Poll<()> {
    if node.is_canceled() {
        *entry = None;
        return Poll::Ready(());
    }
    if entry.as_ref().is_some_and(|entry| entry.waker == WakerId::of(waker)) {
        return Poll::Pending;
    }
    // Cloned before, and dropped after, the lock: a waker may be anybody's code. What is compared
    // with is the clone, because that is what is kept.
    let waker = waker.clone();
    let id = WakerId::of(&waker);
    match node.wait(entry.as_ref().map(|entry| entry.key), waker) {
        Ok((key, replaced)) => {
            *entry = Some(Entry { key, waker: id });
            drop(replaced);
            Poll::Pending
        }
        Err(unused) => {
            *entry = None;
            drop(unused);
            Poll::Ready(())
        }
    }
}

fn leave(node: &Node, entry: Option<Entry>) {
    if let Some(Entry { key, .. }) = entry {
        // Dropped when the lock is free.
        drop(node.leave(key));
    }
}
