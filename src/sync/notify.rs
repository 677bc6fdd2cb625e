//! A flag that tasks wait for: wakes one, or all who wait.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::contain;
use crate::primitive::{AtomicU64, Mutex, Ordering, lock};
use crate::sync::{Granted, Look, Place, WaitList, budget, poll_place};

#[cfg(test)]
#[cfg(not(loom))]
mod tests;

/// Nobody waits and nothing is stored.
const EMPTY: u64 = 0;
/// Somebody waits. Set and cleared under the lock only.
const WAITING: u64 = 1;
/// A permit is stored.
const STORED: u64 = 2;
/// The part of the word with the three above. The rest counts calls of `notify_waiters`, under the
/// lock.
const STATE: u64 = 3;
const ROUND: u64 = STATE + 1;

/// Wakes tasks without telling them anything.
///
/// [`notify_one`](Self::notify_one) wakes one task that waits; if none does, a permit is stored,
/// and the next task that waits does not. There is at most one stored permit. So a task that looks
/// at some shared state and then waits misses no change, if whoever changes the state notifies
/// afterwards.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::{Arc, Mutex};
/// use spargio::sync::Notify;
///
/// let (jobs, changed) = (Arc::new(Mutex::new(vec![])), Arc::new(Notify::new()));
/// let worker = spargio::spawn({
///     let (jobs, changed) = (Arc::clone(&jobs), Arc::clone(&changed));
///     async move {
///         loop {
///             if let Some(job) = jobs.lock().unwrap().pop() {
///                 return job;
///             }
///             changed.notified().await;
///         }
///     }
/// })?;
/// jobs.lock().unwrap().push(7);
/// changed.notify_one();
/// assert_eq!(worker.await?, 7);
/// # Ok(())
/// # }
/// ```
pub struct Notify {
    word: AtomicU64,
    waiters: Mutex<WaitList<Chosen>>,
}

/// How a waiting task was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chosen {
    /// As the first of those who wait.
    First,
    /// As the last of those who wait.
    Last,
    /// With all others.
    All,
}

impl Notify {
    /// Without a permit.
    pub fn new() -> Self {
        Self { word: AtomicU64::new(EMPTY), waiters: Mutex::new(WaitList::new()) }
    }

    /// Waits for a notification, or takes the stored permit.
    ///
    /// The future waits from its first poll on, or from [`Notified::enable`]. A call of
    /// [`notify_waiters`](Self::notify_waiters) reaches it from the moment it is made, polled or
    /// not.
    ///
    /// # Cancel safety
    ///
    /// A future that was chosen by [`notify_one`](Self::notify_one) and is dropped before it is
    /// ready passes the notification on. A dropped future loses its place in line.
    pub fn notified(&self) -> Notified<'_> {
        // Acquire pairs with `notify_waiters`, whose callers before this are none of our business.
        let round = self.word.load(Ordering::Acquire) / ROUND;
        Notified { notify: self, round, stage: Stage::New }
    }

    /// Wakes the task that has waited longest; if none waits, stores a permit.
    ///
    /// What was done before this call is visible to the task that it wakes.
    pub fn notify_one(&self) {
        self.notify(Chosen::First);
    }

    /// Wakes the task that came last to wait, whose data may still be in the cache; if none waits,
    /// stores a permit.
    pub fn notify_last(&self) {
        self.notify(Chosen::Last);
    }

    /// Wakes all tasks that wait, and stores no permit.
    ///
    /// Takes time and, if somebody waits, memory in proportion to their number.
    pub fn notify_waiters(&self) {
        let mut wakers = Vec::new();
        let mut waiters = lock(&self.waiters);
        wakers.reserve_exact(waiters.len());
        while let Ok(granted) = waiters.grant_first(Chosen::All) {
            wakers.push(granted);
        }
        let mut now = self.word.load(Ordering::Relaxed);
        loop {
            let state = if now & STATE == WAITING { EMPTY } else { now & STATE };
            let next = (now & !STATE).wrapping_add(ROUND) | state;
            // Release pairs with the loads in `notified` and `Notified::choose`.
            match self.word.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(other) => now = other,
            }
        }
        drop(waiters);
        wakers.into_iter().for_each(Granted::wake);
    }

    fn notify(&self, chosen: Chosen) {
        if self.store() {
            return;
        }
        let mut waiters = lock(&self.waiters);
        let granted = match chosen {
            Chosen::Last => waiters.grant_last(chosen),
            Chosen::First | Chosen::All => waiters.grant_first(chosen),
        };
        match granted {
            Ok(granted) => {
                if waiters.is_empty() {
                    self.nobody_waits();
                }
                drop(waiters);
                granted.wake();
            }
            // They left meanwhile, and said so under the lock.
            Err(_) => {
                let stored = self.store();
                debug_assert!(stored, "nobody waits, and the lock is held");
            }
        }
    }

    /// Stores a permit, unless somebody waits.
    fn store(&self) -> bool {
        let mut now = self.word.load(Ordering::Relaxed);
        while now & STATE != WAITING {
            let next = (now & !STATE) | STORED;
            // Release pairs with `take`, also where a permit was stored before.
            match self.word.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }

    /// Takes the stored permit.
    fn take(&self) -> bool {
        let mut now = self.word.load(Ordering::Relaxed);
        while now & STATE == STORED {
            let next = now & !STATE;
            // Acquire pairs with `store`.
            match self.word.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }

    /// The last in line is gone. Under the lock.
    fn nobody_waits(&self) {
        // Relaxed: who waits or notifies next takes the lock, or stores a permit of its own.
        self.word.fetch_and(!WAITING, Ordering::Relaxed);
    }

    /// Says that somebody waits; `false` if a permit was there to be taken, or the round is over.
    /// Under the lock.
    fn somebody_waits(&self, round: u64) -> bool {
        let mut now = self.word.load(Ordering::Relaxed);
        loop {
            if now / ROUND != round || now & STATE == STORED {
                return false;
            }
            if now & STATE == WAITING {
                return true;
            }
            let next = now | WAITING;
            match self.word.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_stored = self.word.load(Ordering::Relaxed) & STATE == STORED;
        f.debug_struct("Notify").field("is_stored", &is_stored).finish_non_exhaustive()
    }
}

/// The future of [`Notify::notified`]. It may be moved between polls.
#[must_use = "it waits from its first poll on, or from `enable`"]
pub struct Notified<'a> {
    notify: &'a Notify,
    /// Calls of `notify_waiters` before this was made.
    round: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    New,
    Waits(Place),
    /// Chosen, and not ready yet: the budget of the task was used up, or it was only enabled.
    Chosen(Chosen),
    Done,
}

impl Notified<'_> {
    /// Begins to wait without a poll. Whether a notification is there already; the next poll is
    /// ready then.
    ///
    /// For a task that must be in line before it looks at what it waits for.
    pub fn enable(&mut self) -> bool {
        self.begin(None);
        if let Stage::Waits(place) = &self.stage {
            // Only a look: the waker of a poll stays where it is.
            let look = lock(&self.notify.waiters).look(place, Waker::noop());
            if let Look::Granted(chosen) = look {
                self.stage = Stage::Chosen(chosen);
            }
        }
        !matches!(self.stage, Stage::Waits(_))
    }

    /// Is chosen at once, or goes to the end of the line.
    fn begin(&mut self, waker: Option<&Waker>) {
        if !matches!(self.stage, Stage::New) {
            return;
        }
        if let Some(chosen) = self.choose() {
            self.stage = Stage::Chosen(chosen);
            return;
        }
        let waker = waker.cloned();
        let mut waiters = lock(&self.notify.waiters);
        loop {
            if let Some(chosen) = self.choose() {
                drop(waiters);
                drop(waker);
                self.stage = Stage::Chosen(chosen);
                return;
            }
            if self.notify.somebody_waits(self.round) {
                self.stage = Stage::Waits(waiters.join(waker));
                return;
            }
        }
    }

    fn choose(&self) -> Option<Chosen> {
        // Acquire pairs with `notify_waiters`.
        if self.notify.word.load(Ordering::Acquire) / ROUND != self.round {
            return Some(Chosen::All);
        }
        self.notify.take().then_some(Chosen::First)
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Stage::Waits(place) = &this.stage {
            let lock = || lock(&this.notify.waiters);
            let Some(chosen) = poll_place(lock, place, cx.waker()) else { return Poll::Pending };
            this.stage = Stage::Chosen(chosen);
        }
        this.begin(Some(cx.waker()));
        match this.stage {
            Stage::Waits(_) => Poll::Pending,
            _ if !budget::consume() => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => {
                this.stage = Stage::Done;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let chosen = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::New | Stage::Done => return,
            Stage::Chosen(chosen) => Some(chosen),
            Stage::Waits(place) => {
                let mut waiters = lock(&self.notify.waiters);
                let (chosen, waker) = waiters.leave(place);
                // Who was chosen has left the line before.
                if chosen.is_none() && waiters.is_empty() {
                    self.notify.nobody_waits();
                }
                drop(waiters);
                contain::guard(|| drop(waker));
                chosen
            }
        };
        // What all got is nobody else's.
        if let Some(chosen @ (Chosen::First | Chosen::Last)) = chosen {
            self.notify.notify(chosen);
        }
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified").field("stage", &self.stage).finish_non_exhaustive()
    }
}
