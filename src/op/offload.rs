//! System calls that the ring has no opcode for, on a bounded set of threads of the process.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
// Not from `crate::primitive`: the state is process-wide and made at compile time, which loom's
// locks cannot be; a lock and its condition variable are all there is to check.
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::contain::wake;
use crate::port::Lane;
use crate::primitive::{Arc, AtomicBool, Ordering};

/// Threads of the process that do such work at the same time, at most.
const MAX_THREADS: usize = 64;
/// Jobs that wait for a thread, at most.
const MAX_WAITING: usize = 65_536;
/// A thread ends when it has had no work for so long.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

struct Desk {
    waiting: VecDeque<Job>,
    threads: usize,
    /// Threads that wait for work, those among them that have been told of some and did not get to
    /// it yet.
    idle: usize,
}

static DESK: Mutex<Desk> = Mutex::new(Desk { waiting: VecDeque::new(), threads: 0, idle: 0 });
static WORK: Condvar = Condvar::new();

/// No user code runs while it is held, so what it guards is whole.
fn desk() -> MutexGuard<'static, Desk> {
    DESK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether anybody still waits for the work: for loops to look at between two system calls.
pub(crate) struct Wanted<'j>(&'j AtomicBool);

impl Wanted<'_> {
    /// Whether the future of the work is still there. A hint, so the order does not matter.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Gives work to the pool, at once; `lane` is that of the shard it is counted for. When the future
/// is dropped, work that has not begun is not done, and work that has begun is told.
///
/// # Errors
///
/// The future's: `WouldBlock` at the limit of waiting jobs, and what the system answers when the
/// first thread cannot be started.
///
/// # Panics
///
/// The future passes a panic of the work on.
pub(crate) fn offload<T, W>(lane: &Arc<dyn Lane>, work: W) -> Offload<T>
where
    T: Send + 'static,
    W: FnOnce(&Wanted<'_>) -> T + Send + 'static,
{
    let slot = Arc::new(Slot {
        is_wanted: AtomicBool::new(true),
        state: Mutex::new(State { answer: None, waker: None }),
    });
    let place = Place(Arc::clone(&slot));
    let job = Box::new(move || place.serve(work));
    lane.note_blocking_job();
    Offload { slot, refused: enqueue(job).err() }
}

fn enqueue(job: Job) -> io::Result<()> {
    let mut desk = desk();
    if desk.waiting.len() >= MAX_WAITING {
        return Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            format!("the limit of {MAX_WAITING} jobs that wait for the blocking pool is reached"),
        ));
    }
    desk.waiting.push_back(job);
    if desk.waiting.len() <= desk.idle {
        drop(desk);
        WORK.notify_one();
        return Ok(());
    }
    if desk.threads == MAX_THREADS {
        return Ok(());
    }
    desk.threads += 1;
    drop(desk);
    let spawned = thread::Builder::new().name("spargio-blocking".to_owned()).spawn(work_off);
    let Err(error) = spawned else { return Ok(()) };
    let mut desk = self::desk();
    desk.threads -= 1;
    if desk.threads > 0 {
        // One of the others gets to it.
        return Ok(());
    }
    // Nobody would ever get to any of them; their futures learn it as the jobs are dropped.
    let stranded = std::mem::take(&mut desk.waiting);
    drop(desk);
    drop(stranded);
    Err(error)
}

/// Does what waits, until nothing has come for a while.
fn work_off() {
    let mut desk = desk();
    loop {
        if let Some(job) = desk.waiting.pop_front() {
            drop(desk);
            job();
            desk = self::desk();
            continue;
        }
        desk.idle += 1;
        let (back, timeout) = WORK.wait_timeout(desk, IDLE).unwrap_or_else(PoisonError::into_inner);
        desk = back;
        desk.idle -= 1;
        if timeout.timed_out() && desk.waiting.is_empty() {
            desk.threads -= 1;
            return;
        }
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
    is_wanted: AtomicBool,
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
    fn serve(self, work: impl FnOnce(&Wanted<'_>) -> T) {
        let wanted = Wanted(&self.0.is_wanted);
        if !wanted.is_wanted() {
            return;
        }
        let answer = match catch_unwind(AssertUnwindSafe(|| work(&wanted))) {
            Ok(value) => Answer::Done(value),
            Err(panic) => Answer::Panicked(panic),
        };
        self.0.put(answer);
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        // After an answer nobody looks at another.
        if self.0.is_wanted.load(Ordering::Relaxed) {
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
    refused: Option<io::Error>,
}

impl<T> Future for Offload<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Some(error) = self.refused.take() {
            return Poll::Ready(Err(error));
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
        self.slot.is_wanted.store(false, Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for Offload<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offload").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
