//! Letting others go first, for runtimes that bring nothing of their own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Pending once, with the task woken already.
#[derive(Debug, Default)]
pub(crate) struct Yield {
    done: bool,
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.done {
            return Poll::Ready(());
        }
        self.done = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
