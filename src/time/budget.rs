//! The budget of a poll: how many ready operations a task may have before it gives way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::port::{self, Port};

/// More than any poll uses up.
const UNLIMITED: i64 = i64::MAX;

/// Takes one of the 128 ready operations that a poll of a task may have, and gives way when they
/// are used up.
///
/// An operation that is ready at once does not give way, so a loop over such operations would keep
/// the shard for itself. Those of this crate count, each as one of the 128 of a poll: what sockets
/// have, timers, connections, messages, and handles of tasks that have ended; a file's cached pages
/// or metadata, of which there are always more, count for eight. The one beyond the 128 wakes its
/// task and is ready in the next poll, when other tasks, timers and the ring have had their turn; a
/// read or a write goes to the ring instead, which comes to the same. A loop over what is not of
/// this crate, or over a computation, takes part by calling this, which costs some nanoseconds,
/// where [`yield_now`](super::yield_now) would give way each time.
///
/// Inside of [`unconstrained`], and on threads that are no shard, it is ready at once: there is no
/// budget.
///
/// # Cancel safety
///
/// Dropping it does nothing.
///
/// ```
/// # async fn example(mut rows: impl Iterator<Item = u64>) -> u64 {
/// let mut sum = 0;
/// for row in rows {
///     sum += row;
///     spargio::consume_budget().await;
/// }
/// # sum
/// # }
/// ```
pub const fn consume_budget() -> ConsumeBudget {
    ConsumeBudget { _private: () }
}

/// The future of [`consume_budget`].
#[must_use = "a budget is consumed when the future is polled"]
#[derive(Debug)]
pub struct ConsumeBudget {
    _private: (),
}

impl Future for ConsumeBudget {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if port::with(|port| port.is_none_or(Port::consume_budget)) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls a future without the budget of [`consume_budget`]: ready operations inside of it never
/// give way.
///
/// While it goes from one ready operation to the next, no other task of its shard runs, no timer
/// fires and no message is taken. It is for what is known to be short, and for code that counts on
/// one poll to do all that is ready. What the task does around it keeps its budget. On threads that
/// are no shard it changes nothing.
///
/// # Cancel safety
///
/// That of the future.
///
/// ```
/// # async fn example(shard: spargio::ShardCtx) {
/// // Takes every message that is there, however many.
/// let all = spargio::unconstrained(async {
///     let mut seen = 0;
///     while seen < 1_000 {
///         shard.next_event().await;
///         seen += 1;
///     }
/// });
/// all.await;
/// # }
/// ```
pub const fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

pin_project_lite::pin_project! {
    /// The future of [`unconstrained`].
    #[must_use = "futures do nothing until they are polled"]
    #[derive(Debug)]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let before = port::with(|port| port.map(|port| port.set_budget(UNLIMITED)));
        let _restore = Restore(before);
        self.project().future.poll(cx)
    }
}

/// Gives the poll its budget back, also when the future panics.
struct Restore(Option<i64>);

impl Drop for Restore {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            port::with(|port| port.map(|port| port.set_budget(before)));
        }
    }
}
