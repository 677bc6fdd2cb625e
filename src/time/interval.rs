//! A clock that ticks: one timer that is set anew after each tick.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::time::{MissedTickBehavior, Sleep, after, now, sleep_until};

/// Ticks now, and then once every `period`.
///
/// # Panics
///
/// If the period is 0.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # spargio::Runtime::builder().shards(1).build()?.block_on(async {
/// use std::time::Duration;
///
/// let mut interval = spargio::interval(Duration::from_millis(2));
/// let first = interval.tick().await;
/// let second = interval.tick().await;
/// assert_eq!(second - first, Duration::from_millis(2));
/// # });
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// Ticks at `start`, and then once every `period`. If `start` has passed, the first tick is ready
/// at once.
///
/// # Panics
///
/// If the period is 0.
///
/// ```
/// # async fn example() {
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now() + Duration::from_secs(1);
/// let mut interval = spargio::interval_at(start, Duration::from_secs(10));
/// assert_eq!(interval.tick().await, start);
/// # }
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval is {period:?}, it must be above 0");
    Interval { next: sleep_until(start), period, behavior: MissedTickBehavior::default() }
}

/// A clock that ticks, made by [`interval`] and [`interval_at`].
///
/// It is `Send`, works on shards and on any other thread or executor, and may move between them
/// from one tick to the next: its timer follows. A tick allocates nothing, and costs what a
/// [`sleep_until`](crate::sleep_until) does.
///
/// What happens after a tick that was taken late is told by [`MissedTickBehavior`].
///
/// A clone has the same schedule and a timer of its own.
///
/// ```
/// # async fn example(mut flush: impl FnMut()) {
/// use std::time::Duration;
/// use spargio::MissedTickBehavior;
///
/// let mut interval = spargio::interval(Duration::from_secs(1));
/// // If a flush takes three seconds, two are left out.
/// interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
/// loop {
///     interval.tick().await;
///     flush();
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Interval {
    next: Sleep,
    period: Duration,
    behavior: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick; the instant it was due, which is not the one that it is taken at.
    ///
    /// A task that is late gets a tick without waiting. Such ticks count as ready operations of the
    /// task (see [`consume_budget`](crate::consume_budget)), so that catching up starves nobody.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no tick.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`tick`](Self::tick), for a future or a stream written by hand: if no tick is due, the
    /// task is woken when one is.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let due = self.next.deadline();
        let ready = Pin::new(&mut self.next).poll(cx);
        ready.map(|()| {
            let taken = match self.behavior {
                // Of no account, so that the clock need not be read.
                MissedTickBehavior::Burst => due,
                _ => now(),
            };
            self.next.reset(self.behavior.next(due, taken, self.period));
            due
        })
    }

    /// Has the next tick be due one period from now, and the others follow from there.
    ///
    /// A task that waits in [`poll_tick`](Self::poll_tick) is woken at the new time, here as with
    /// the other resets.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// Has the next tick be due now.
    pub fn reset_immediately(&mut self) {
        self.reset_at(now());
    }

    /// Has the next tick be due `duration` from now. One that reaches beyond what the clock can
    /// show is due in thirty years.
    ///
    /// ```
    /// # async fn example() {
    /// use std::time::Duration;
    ///
    /// let mut interval = spargio::interval(Duration::from_secs(60));
    /// interval.tick().await;
    /// // The next tick sooner for once; those behind it come a minute apart again.
    /// interval.reset_after(Duration::from_secs(5));
    /// interval.tick().await;
    /// # }
    /// ```
    pub fn reset_after(&mut self, duration: Duration) {
        self.reset_at(after(duration));
    }

    /// Has the next tick be due at `due`, and the others follow from there.
    pub fn reset_at(&mut self, due: Instant) {
        self.next.reset(due);
    }

    /// Decides what happens after ticks that are taken late from now on.
    pub const fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }

    /// What happens after a tick that is taken late.
    pub const fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// The span between two ticks.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// When the next tick is due.
    pub const fn next_tick(&self) -> Instant {
        self.next.deadline()
    }
}

impl Clone for Interval {
    fn clone(&self) -> Self {
        let next = sleep_until(self.next.deadline());
        Self { next, period: self.period, behavior: self.behavior }
    }
}
