//! A future with a deadline.

use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::port::{self, Port};
use crate::time::{Sleep, after, sleep_until};

/// Waits for `future`, at most for `duration` from now.
///
/// The future is polled first: one that is ready wins, however late it is, and costs no timer.
///
/// # Errors
///
/// [`TimeoutError`] if the time is up first. The future is dropped together with the [`Timeout`];
/// use [`Timeout::into_inner`], or time out a `&mut` reference, to go on with it.
///
/// # Cancel safety
///
/// As for the future. Dropping removes the timer at once.
///
/// # Examples
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use std::time::Duration;
///
/// let answer = spargio::timeout(Duration::from_secs(1), async { 42 }).await?;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    timeout_at(after(duration), future)
}

/// Waits for `future`, at most until `deadline`. See [`timeout`].
///
/// ```
/// # async fn example() {
/// use std::time::{Duration, Instant};
///
/// let deadline = Instant::now() + Duration::from_millis(5);
/// let never = spargio::timeout_at(deadline, std::future::pending::<()>()).await;
/// assert!(never.is_err());
/// # }
/// ```
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), deadline: sleep_until(deadline), gave_way: false }
}

pin_project_lite::pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[must_use = "a timeout does nothing until it is polled"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        deadline: Sleep,
        // It has been pending, so that others have had their turn since it was made.
        gave_way: bool,
    }
}

impl<F> Timeout<F> {
    /// When the time is up.
    pub const fn deadline(&self) -> Instant {
        self.deadline.deadline()
    }

    /// The future, to look at.
    pub const fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future, to change.
    pub const fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// The future without a deadline.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let expired = this.deadline.poll_deadline(cx).is_ready();
        // A timeout that is over when it is made counts as a ready operation, or a loop of those
        // would keep the shard for itself. One that has been pending does not: a future that uses
        // up the operations of each poll would never run out of time.
        if expired && (*this.gave_way || port::with(|port| port.is_none_or(Port::consume_budget))) {
            return Poll::Ready(Err(TimeoutError(())));
        }
        *this.gave_way = true;
        if expired {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// The time was up before the future was ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeoutError(());

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was up before the future was ready")
    }
}

impl Error for TimeoutError {}

impl From<TimeoutError> for io::Error {
    fn from(error: TimeoutError) -> Self {
        Self::new(io::ErrorKind::TimedOut, error)
    }
}
