//! One job for the threads that do what blocks, and the future of its answer.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
// Not from `crate::primitive`: a lock is all there is to check.
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::blocking::pool::{Job, Pool, Refused};
use crate::contain::{guard, wake};
use crate::primitive::{Arc, AtomicBool, Ordering};

/// Tells work that blocks whether anybody still waits for it: for loops to look at. It is set when
/// the [`JoinHandle`](crate::JoinHandle) of [`spawn_blocking_with`](crate::spawn_blocking_with) is
/// aborted, and when the runtime shuts down.
#[derive(Debug)]
pub struct CancelFlag<'j>(&'j AtomicBool);

impl CancelFlag<'_> {
    /// Whether what the work returns is dropped unseen. One relaxed load.
    pub fn is_canceled(&self) -> bool {
        // A hint, so the order does not matter.
        self.0.load(Ordering::Relaxed)
    }
}

/// A job for the pool, and the future of its answer. When the future is dropped, work that has not
/// begun is not done, and work that has begun is told.
///
/// # Errors
///
/// The future's, when the job is dropped: `WouldBlock`.
///
/// # Panics
///
/// The future passes a panic of the work on.
pub(crate) fn job<T, W>(work: W) -> (Job, Offload<T>)
where
    T: Send + 'static,
    W: FnOnce(&CancelFlag<'_>) -> T + Send + 'static,
{
    let slot = Arc::new(Slot {
        is_canceled: AtomicBool::new(false),
        state: Mutex::new(State { answer: None, waker: None }),
    });
    let place = Place(Arc::clone(&slot));
    (Box::new(move || place.serve(work)), Offload { slot, refused: None })
}

/// Gives work to the pool, at once, as a [`job`].
///
/// # Errors
///
/// The future's: `WouldBlock` at the limit of waiting jobs, `BrokenPipe` when the runtime is gone,
/// and what the system answers when the first thread cannot be started.
pub(crate) fn give<T, W>(pool: &Pool, work: W) -> Offload<T>
where
    T: Send + 'static,
    W: FnOnce(&CancelFlag<'_>) -> T + Send + 'static,
{
    let (job, mut answer) = job(work);
    answer.refused = pool.enqueue(job).err();
    answer
}

/// Gives work to the pool that nobody waits for. When the pool refuses it, it is done here and now,
/// although it may block: for clearing up, which must not be left undone.
pub(crate) fn clear_up(pool: &Pool, work: impl FnOnce() + Send + 'static) {
    let work = Arc::new(Mutex::new(Some(work)));
    let place = Arc::clone(&work);
    let run = |place: &Mutex<Option<_>>| {
        let work = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            // Its panic is reported by the panic hook, and is nobody's.
            guard(work);
        }
    };
    if pool.enqueue(Box::new(move || run(&place))).is_err() {
        run(&work);
    }
}

/// What became of the work.
enum Answer<T> {
    Done(T),
    Panicked(Box<dyn Any + Send>),
    /// No thread could be started for it.
    Dropped,
}

struct State<T> {
    answer: Option<Answer<T>>,
    waker: Option<Waker>,
}

struct Slot<T> {
    is_canceled: AtomicBool,
    state: Mutex<State<T>>,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, answer: Answer<T>) {
        let waker = {
            let mut state = self.lock();
            state.answer = Some(answer);
            state.waker.take()
        };
        if let Some(waker) = waker {
            wake(waker);
        }
    }
}

/// Where the answer goes: one comes in any case.
struct Place<T>(Arc<Slot<T>>);

impl<T> Place<T> {
    fn serve(self, work: impl FnOnce(&CancelFlag<'_>) -> T) {
        let flag = CancelFlag(&self.0.is_canceled);
        if flag.is_canceled() {
            return;
        }
        let answer = match catch_unwind(AssertUnwindSafe(|| work(&flag))) {
            Ok(value) => Answer::Done(value),
            Err(panic) => Answer::Panicked(panic),
        };
        self.0.put(answer);
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        // After an answer nobody looks at another.
        if !self.0.is_canceled.load(Ordering::Relaxed) {
            let is_open = self.0.lock().answer.is_none();
            if is_open {
                self.0.put(Answer::Dropped);
            }
        }
    }
}

/// The future of work that was given away.
#[must_use = "work that nobody waits for may not be done"]
pub(crate) struct Offload<T> {
    slot: Arc<Slot<T>>,
    refused: Option<Refused>,
}

impl<T> Future for Offload<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Some(refused) = self.refused.take() {
            return Poll::Ready(Err(refused.into()));
        }
        // Cloned and dropped while nothing is locked: a waker may be anybody's code.
        let waker = cx.waker().clone();
        let mut state = self.slot.lock();
        if let Some(answer) = state.answer.take() {
            drop(state);
            return match answer {
                Answer::Done(value) => Poll::Ready(Ok(value)),
                Answer::Panicked(panic) => resume_unwind(panic),
                Answer::Dropped => Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    "no thread of the blocking pool could be started",
                ))),
            };
        }
        let before = state.waker.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl<T> Drop for Offload<T> {
    fn drop(&mut self) {
        self.slot.is_canceled.store(true, Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for Offload<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offload").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
