//! The threads of a runtime that do what blocks: bounded, started when they are needed, ended when
//! they are not.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
// Not from `crate::primitive`: a lock and its condition variable are all there is to check.
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Instant;

use crate::contain::{guard, wake};
use crate::options::BlockingOptions;
use crate::stats::BlockingStats;

/// What a thread does.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Why a job was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// That many wait.
    Full { limit: usize },
    /// The runtime is shutting down.
    Closed,
    /// There is no thread, and none could be started.
    NoThread(io::Error),
}

/// The threads of a runtime that do what blocks.
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    options: BlockingOptions,
    state: Mutex<State>,
    /// There is work, or there will be none any more.
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: usize,
    /// Threads that wait for work, those among them that have been told of some and did not get to
    /// it yet.
    idle: usize,
    taken: u64,
    refused: u64,
    /// No job is taken any more.
    is_closed: bool,
    /// Of the threads that run, and once closed of those that have ended too.
    handles: Vec<JoinHandle<()>>,
    /// Who waits for the end.
    wakers: Vec<Waker>,
}

thread_local! {
    /// The pool that this thread is of.
    static OWN: Cell<*const Shared> = const { Cell::new(std::ptr::null()) };
}

impl Pool {
    /// Without a thread.
    pub(crate) fn new(options: BlockingOptions) -> Self {
        Self(Arc::new(Shared {
            options,
            state: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
        }))
    }

    pub(crate) fn stats(&self) -> BlockingStats {
        let state = self.0.lock();
        BlockingStats {
            threads: state.threads,
            busy: state.threads - state.idle,
            waiting: state.waiting.len(),
            taken: state.taken,
            refused: state.refused,
        }
    }

    /// Gives a job to a thread, or lets it wait for one.
    ///
    /// # Errors
    ///
    /// The job was dropped.
    pub(crate) fn enqueue(&self, job: Job) -> Result<(), Refused> {
        let mut state = self.0.lock();
        let refused = if state.is_closed {
            Some(Refused::Closed)
        } else if state.waiting.len() >= self.0.options.max_waiting {
            Some(Refused::Full { limit: self.0.options.max_waiting })
        } else {
            None
        };
        if let Some(refused) = refused {
            state.refused += 1;
            // A job may be anybody's code.
            drop(state);
            drop(job);
            return Err(refused);
        }
        state.waiting.push_back(job);
        state.taken += 1;
        if state.waiting.len() <= state.idle {
            drop(state);
            self.0.work.notify_one();
            return Ok(());
        }
        if state.threads == self.0.options.max_threads {
            return Ok(());
        }
        // Started under the lock, which the new thread waits for: its handle is there when it ends.
        // It happens as often as threads are started.
        let shared = Arc::clone(&self.0);
        let thread = thread::Builder::new().name("spargio-blocking".to_owned());
        match thread.spawn(move || shared.work_off()) {
            Ok(handle) => {
                state.threads += 1;
                state.handles.push(handle);
                Ok(())
            }
            // One of the others gets to it.
            Err(_) if state.threads > 0 => Ok(()),
            Err(error) => {
                // Only this one waits: those before it found a thread, or failed as it does.
                let stranded = std::mem::take(&mut state.waiting);
                state.taken -= stranded.len() as u64;
                state.refused += stranded.len() as u64;
                drop(state);
                drop(stranded);
                Err(Refused::NoThread(error))
            }
        }
    }

    /// Takes no more. The jobs that wait are done.
    pub(crate) fn close(&self) {
        self.0.lock().is_closed = true;
        self.0.work.notify_all();
    }

    /// Waits, once it is closed, until no thread is left but the one that waits.
    pub(crate) async fn ended(&self) {
        poll_fn(|cx| {
            // Cloned before the lock, and dropped after it: a waker may be anybody's code.
            let waker = cx.waker().clone();
            let mut state = self.0.lock();
            if state.threads <= self.0.own_threads() {
                return Poll::Ready(());
            }
            if !state.wakers.iter().any(|stored| stored.will_wake(&waker)) {
                state.wakers.push(waker);
            }
            Poll::Pending
        })
        .await;
        self.join();
    }

    /// As [`ended`](Self::ended), and blocks until then or until the time is over, if it ever is.
    /// How many jobs are at work still.
    pub(crate) fn block_until(&self, deadline: Option<Instant>) -> usize {
        let own = self.0.own_threads();
        let mut state = self.0.lock();
        while state.threads > own {
            let Some(deadline) = deadline else {
                state = self.0.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return state.threads - state.idle - own;
            }
            let waited = self.0.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.join();
        0
    }

    /// Joins the threads, all of which are past their last step.
    fn join(&self) {
        let handles = std::mem::take(&mut self.0.lock().handles);
        let own = thread::current().id();
        for handle in handles {
            if handle.thread().id() != own {
                // Jobs do not panic.
                drop(handle.join());
            }
        }
    }
}

impl Shared {
    /// No user code runs while it is held, so what it guards is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of its threads this one is: one or none.
    fn own_threads(&self) -> usize {
        usize::from(std::ptr::eq(OWN.get(), self))
    }

    /// Does what waits, until nothing has come for a while or will come any more.
    fn work_off(self: Arc<Self>) {
        OWN.set(Arc::as_ptr(&self));
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                drop(state);
                // What it drops may be anybody's, and panic.
                guard(job);
                state = self.lock();
                continue;
            }
            if state.is_closed {
                break;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, self.options.keep_alive);
            let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = back;
            state.idle -= 1;
            if timeout.timed_out() && state.waiting.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        let own = if state.is_closed { None } else { state.forget(thread::current().id()) };
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        drop(own);
        self.ended.notify_all();
        wakers.into_iter().for_each(wake);
    }
}

impl State {
    /// The handle of a thread that nobody is going to join.
    fn forget(&mut self, thread: ThreadId) -> Option<JoinHandle<()>> {
        let at = self.handles.iter().position(|handle| handle.thread().id() == thread)?;
        Some(self.handles.swap_remove(at))
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full { limit } => Self::new(
                io::ErrorKind::WouldBlock,
                format!("the limit of {limit} jobs that wait for the blocking pool is reached"),
            ),
            Refused::Closed => Self::new(io::ErrorKind::BrokenPipe, "the runtime is shut down"),
            Refused::NoThread(error) => error,
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
