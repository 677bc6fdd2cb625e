//! Several operations of one task at a time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for all futures, each of which is polled whenever one of them is woken.
pub(super) struct All<F: Future> {
    running: Vec<F>,
    results: Vec<F::Output>,
}

impl<F: Future> All<F> {
    pub(super) fn new(futures: impl IntoIterator<Item = F>) -> Self {
        let running: Vec<F> = futures.into_iter().collect();
        Self { results: Vec::with_capacity(running.len()), running }
    }
}

impl<F> Future for All<F>
where
    F: Future + Unpin,
    F::Output: Unpin,
{
    type Output = Vec<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let all = self.get_mut();
        let results = &mut all.results;
        all.running.retain_mut(|future| match Pin::new(future).poll(cx) {
            Poll::Ready(result) => {
                results.push(result);
                false
            }
            Poll::Pending => true,
        });
        if all.running.is_empty() { Poll::Ready(std::mem::take(results)) } else { Poll::Pending }
    }
}
