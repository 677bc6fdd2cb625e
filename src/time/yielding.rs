//! Letting others go first.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Gives way once: to the other tasks that are runnable and, on a shard, to its ring and timers.
///
/// The task goes to the end of its shard's queue, from where other shards may steal it if it is
/// stealable. Works on any executor.
///
/// ```
/// # async fn example(mut rows: impl Iterator<Item = u64>) -> u64 {
/// let mut sum = 0;
/// while let Some(row) = rows.next() {
///     sum += row;
///     if sum % 1_000 == 0 {
///         spargio::yield_now().await;
///     }
/// }
/// # sum
/// # }
/// ```
pub const fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[must_use = "yielding does nothing until it is polled"]
#[derive(Debug)]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
