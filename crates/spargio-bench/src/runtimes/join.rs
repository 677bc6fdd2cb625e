//! Joins that answer with a result, as joins that answer with the value.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The value of a task whose join says whether there is one.
#[derive(Debug)]
pub(crate) struct Returns<F>(pub(super) F);

impl<F, T, E> Future for Returns<F>
where
    F: Future<Output = Result<T, E>> + Unpin,
    E: Debug,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let result = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(result.expect("the task returns"))
    }
}
