//! A future that is ready when its time has come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::port::{self, Lane, Port};
use crate::primitive::Arc;
use crate::time::{after, now, off_shard};
use crate::timer::TimerKey;

/// Waits for `duration` from now. One that reaches beyond what the clock can show waits for thirty
/// years.
///
/// Works on shards and on any other thread or executor; see [`time`](crate::time).
///
/// # Cancel safety
///
/// Dropping the future removes the timer at once.
///
/// # Examples
///
/// ```
/// # async fn example() {
/// use std::time::Duration;
/// spargio::sleep(Duration::from_micros(250)).await;
/// # }
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(after(duration))
}

/// Waits until `deadline`; one that has passed is ready at once.
///
/// ```
/// # async fn example() {
/// use std::time::{Duration, Instant};
/// let mut next = Instant::now();
/// for _ in 0..10 {
///     next += Duration::from_millis(20);
///     spargio::sleep_until(next).await;
/// }
/// # }
/// ```
pub const fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, timer: None }
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It may be moved between polls, also to another thread: its timer follows to the shard that polls
/// it. After it was ready it stays ready, until [`reset`](Self::reset).
///
/// Never ready early. A poll before the deadline with the waker of the last poll reads the clock
/// and does nothing else.
#[must_use = "a sleep does nothing until it is polled"]
pub struct Sleep {
    deadline: Instant,
    /// Set by a poll before the deadline.
    timer: Option<Timer>,
}

struct Timer {
    waker: Waker,
    place: Place,
}

/// Who keeps the timer.
enum Place {
    /// The wheel of the lane's shard.
    Shard { lane: Arc<dyn Lane>, key: TimerKey },
    /// The helper thread of the process.
    OffShard(TimerKey),
    /// Nobody: the task was woken at once, to look at the clock itself.
    Nowhere,
}

impl Sleep {
    /// When it is ready.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed.
    pub fn is_elapsed(&self) -> bool {
        now() >= self.deadline
    }

    /// Gives it another deadline, sooner or later, whether it was ready or not.
    ///
    /// If it was polled, the task that polled it last is woken at the new deadline instead of the
    /// old one; it need not be polled again for that.
    pub fn reset(&mut self, deadline: Instant) {
        let before = std::mem::replace(&mut self.deadline, deadline);
        if let Some(timer) = self.timer.take()
            && before != deadline
        {
            let Timer { waker, place } = timer;
            self.timer = Some(port::with(|port| set(port, deadline, waker, Some((before, place)))));
        }
    }

    /// Whether the deadline has passed; if not, sees to it that the task is woken then. Ready
    /// operations of the task are not counted.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        port::with(|port| self.poll_on(port, cx.waker()))
    }

    fn poll_on(&mut self, port: Option<&dyn Port>, waker: &Waker) -> Poll<()> {
        let now = port.map_or_else(Instant::now, Port::now);
        if now >= self.deadline {
            if let Some(timer) = self.timer.take() {
                clear(port, self.deadline, timer.place);
            }
            return Poll::Ready(());
        }
        if let Some(timer) = &self.timer
            && timer.waker.will_wake(waker)
            && timer.place.is_best_for(port)
        {
            return Poll::Pending;
        }
        let before = self.timer.take().map(|timer| (self.deadline, timer.place));
        self.timer = Some(set(port, self.deadline, waker.clone(), before));
        Poll::Pending
    }
}

impl Place {
    /// Whether a timer that is polled here is kept where a new one would be.
    fn is_best_for(&self, port: Option<&dyn Port>) -> bool {
        match (self, port) {
            (Self::Shard { lane, .. }, Some(port)) => is_home(port, lane),
            (Self::OffShard(_), None) => true,
            _ => false,
        }
    }
}

fn is_home(port: &dyn Port, lane: &Arc<dyn Lane>) -> bool {
    port.shard() == lane.shard() && port.runtime() == lane.runtime()
}

/// Sets a timer in the best place; in the stead of that in `place`, for the deadline there.
fn set(
    port: Option<&dyn Port>,
    deadline: Instant,
    waker: Waker,
    place: Option<(Instant, Place)>,
) -> Timer {
    if let Some(port) = port {
        let key = match &place {
            Some((_, Place::Shard { lane, key })) if is_home(port, lane) => Some(*key),
            _ => None,
        };
        if let Ok(key_now) = port.set_timer(deadline, &waker, key) {
            // What was elsewhere is removed; what was here was moved.
            let lane = match place {
                Some((_, Place::Shard { lane, .. })) if key.is_some() => lane,
                other => {
                    if let Some((deadline, place)) = other {
                        clear(Some(port), deadline, place);
                    }
                    Arc::clone(port.lane())
                }
            };
            return Timer { waker, place: Place::Shard { lane, key: key_now } };
        }
    }
    // Away from shards, or the shard holds as many timers as it may.
    if let Some((_, Place::OffShard(key))) = place
        && off_shard::reset(key, deadline, &waker)
    {
        return Timer { waker, place: Place::OffShard(key) };
    }
    if let Some((deadline, place)) = place {
        clear(port, deadline, place);
    }
    let place = match off_shard::set(deadline, waker.clone()) {
        Ok(key) => Place::OffShard(key),
        Err(off_shard::NoHelper) => {
            // The process can start no thread: the task looks at the clock again and again.
            std::thread::yield_now();
            waker.wake_by_ref();
            Place::Nowhere
        }
    };
    Timer { waker, place }
}

/// Removes the timer for `deadline`.
fn clear(port: Option<&dyn Port>, deadline: Instant, place: Place) {
    match place {
        Place::Shard { lane, key } => match port {
            Some(port) if is_home(port, &lane) => port.clear_timer(lane.shard(), key),
            // One that is due on another shard fires there by itself about now; that costs less
            // than a letter.
            _ if now() >= deadline => {}
            Some(port) if port.runtime() == lane.runtime() => port.clear_timer(lane.shard(), key),
            _ => lane.clear_timer(lane.shard(), key),
        },
        Place::OffShard(key) => off_shard::clear(key),
        Place::Nowhere => {}
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        port::with(|port| {
            let polled = self.poll_on(port, cx.waker());
            if polled.is_ready() && !port.is_none_or(Port::consume_budget) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            polled
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            port::with(|port| clear(port, self.deadline, timer.place));
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("is_set", &self.timer.is_some())
            .finish()
    }
}
