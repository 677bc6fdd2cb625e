//! A future that is ready when its time has come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::port::{self, Lane, Port};
use crate::primitive::{Arc, AtomicUsize, Ordering};
use crate::time::{after, now, off_shard};
use crate::timer::TimerKey;

/// A deadline that is further than this from the shard's last look at its timers is not compared
/// with the clock when it is set: it is due in a later turn, or fires in the next one.
const FAR: Duration = Duration::from_millis(1);

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
    /// Who is woken. Who keeps the timer keeps the waker. `None`: nobody knows whether it fired, or
    /// the waker that is kept cannot be told from others.
    woken: Option<WakerId>,
    place: Place,
}

/// Tells wakers apart, as [`Waker::will_wake`] does, without one. Means something while the waker
/// is kept elsewhere, because its address may be another's afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
struct WakerId {
    data: usize,
    vtable: usize,
}

impl WakerId {
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data().addr(), vtable: std::ptr::from_ref(waker.vtable()).addr() }
    }

    /// As [`of`](Self::of), for a clone of this waker that is kept. `None` if the two differ, as
    /// where an executor polls with a waker on its stack: the next one may lie in the same place.
    fn of_kept(waker: &Waker) -> Option<Self> {
        /// The table of functions of the last waker that was like its clone. Tables are static, so
        /// that the address is never another's.
        static ALIKE: AtomicUsize = AtomicUsize::new(0);
        let id = Self::of(waker);
        // Relaxed: the address says all.
        if ALIKE.load(Ordering::Relaxed) == id.vtable {
            return Some(id);
        }
        if Self::of(&waker.clone()) != id {
            return None;
        }
        ALIKE.store(id.vtable, Ordering::Relaxed);
        Some(id)
    }
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

/// Whether a timer was moved to another deadline.
enum Moved {
    /// It is set.
    Surely,
    /// Its shard was asked to, and it may have fired before.
    Perhaps,
    /// It had fired.
    No,
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
    /// If it was polled and its time had not come, the task that polled it last is woken at the new
    /// deadline instead of the old one; it need not be polled again for that.
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        let Some(timer) = &mut self.timer else { return };
        match port::with(|port| timer.place.reset(port, deadline)) {
            Moved::Surely => {}
            // If it has fired, its task was woken to poll it, and sets it anew.
            Moved::Perhaps => timer.woken = None,
            Moved::No => self.timer = None,
        }
    }

    /// Whether the deadline has passed; if not, sees to it that the task is woken then. Ready
    /// operations of the task are not counted.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        port::with(|port| self.poll_on(port, cx.waker()))
    }

    fn poll_on(&mut self, port: Option<&dyn Port>, waker: &Waker) -> Poll<()> {
        if self.timer.is_some() || !self.is_far(port) {
            // What the shard has just fired was due at its last look.
            if self.was_due(port) || port.map_or_else(Instant::now, Port::look) >= self.deadline {
                if let Some(timer) = self.timer.take() {
                    clear(port, self.deadline, timer.place);
                }
                return Poll::Ready(());
            }
        }
        if let Some(timer) = &self.timer
            && timer.woken == Some(WakerId::of(waker))
            && timer.place.is_best_for(port)
        {
            // Its time has not come, so it has not fired, and the waker is the same one.
            return Poll::Pending;
        }
        let before = self.timer.take().map(|timer| timer.place);
        let place = set(port, self.deadline, waker, before);
        self.timer = Some(Timer { woken: WakerId::of_kept(waker), place });
        Poll::Pending
    }

    /// Whether the deadline had passed when the shard looked last.
    fn was_due(&self, port: Option<&dyn Port>) -> bool {
        port.and_then(Port::looked).is_some_and(|looked| looked >= self.deadline)
    }

    /// Whether the deadline is so far away that a shard which looks at its timers every turn will
    /// be there in time, without a look at the clock now.
    fn is_far(&self, port: Option<&dyn Port>) -> bool {
        let looked = port.and_then(Port::looked);
        looked.is_some_and(|looked| self.deadline.saturating_duration_since(looked) > FAR)
    }
}

impl Place {
    /// Moves the timer, if it has not fired.
    fn reset(&self, port: Option<&dyn Port>, deadline: Instant) -> Moved {
        let here = |is_set| if is_set { Moved::Surely } else { Moved::No };
        match (self, port) {
            (Self::Shard { lane, key }, Some(port)) if is_home(port, lane) => {
                here(port.reset_timer(port.shard(), *key, deadline))
            }
            (Self::Shard { lane, key }, Some(port)) if port.runtime() == lane.runtime() => {
                port.reset_timer(lane.shard(), *key, deadline);
                Moved::Perhaps
            }
            (Self::Shard { lane, key }, _) => {
                lane.reset_timer(lane.shard(), *key, deadline);
                Moved::Perhaps
            }
            (Self::OffShard(key), _) => here(off_shard::reset(*key, deadline, None)),
            (Self::Nowhere, _) => Moved::Perhaps,
        }
    }

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

/// Sets a timer in the best place, in the stead of that in `place`.
fn set(port: Option<&dyn Port>, deadline: Instant, waker: &Waker, before: Option<Place>) -> Place {
    if let Some(port) = port {
        let key = match &before {
            Some(Place::Shard { lane, key }) if is_home(port, lane) => Some(*key),
            _ => None,
        };
        if let Ok(key_now) = port.set_timer(deadline, waker, key) {
            // What was elsewhere is removed; what was here was moved.
            let lane = match before {
                Some(Place::Shard { lane, .. }) if key.is_some() => lane,
                other => {
                    if let Some(place) = other {
                        clear(Some(port), deadline, place);
                    }
                    port.share_lane()
                }
            };
            return Place::Shard { lane, key: key_now };
        }
    }
    // Away from shards, or the shard holds as many timers as it may.
    if let Some(Place::OffShard(key)) = before
        && off_shard::reset(key, deadline, Some(waker))
    {
        return Place::OffShard(key);
    }
    if let Some(place) = before {
        clear(port, deadline, place);
    }
    match off_shard::set(deadline, waker.clone()) {
        Ok(key) => Place::OffShard(key),
        Err(off_shard::NoHelper) => {
            // The process can start no thread: the task looks at the clock again and again.
            std::thread::yield_now();
            waker.wake_by_ref();
            Place::Nowhere
        }
    }
}

/// Removes the timer for `deadline`.
fn clear(port: Option<&dyn Port>, deadline: Instant, place: Place) {
    match place {
        Place::Shard { lane, key } => match port {
            Some(port) if is_home(port, &lane) => {
                port.clear_timer(port.shard(), key);
                port.keep_lane(lane);
            }
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
