//! Names on their way to addresses: a few threads, and each name once at a time.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Condvar, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::contain::wake;
use crate::primitive::{Arc, Mutex, lock};

/// Threads that look up names at the same time, at most.
const MAX_THREADS: usize = 8;
/// Names that wait for a thread, at most.
const MAX_WAITING: usize = 1024;
/// How long a thread without a name to look up stays.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What asks for the addresses of a host, and blocks.
type Resolve = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// The threads that look up names, and the names that wait for one.
pub(super) struct Resolver {
    resolve: Resolve,
    desk: Mutex<Desk>,
    /// A name waits.
    work: Condvar,
}

struct Desk {
    threads: usize,
    /// Threads that wait for a name, those among them that have been told of one and did not get to
    /// it yet.
    idle: usize,
    waiting: VecDeque<Arc<Inquiry>>,
    /// What is looked up or waits for that. At most as many as may be.
    under_way: Vec<Weak<Inquiry>>,
}

/// One name that somebody wants looked up.
struct Inquiry {
    host: String,
    port: u16,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answer: Option<Answer>,
    wakers: Vec<(u64, Waker)>,
    next_key: u64,
}

/// Errors are not `Clone`; what is asked by several has the kind and the text.
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// The future of an answer.
pub(super) struct Lookup {
    inquiry: Arc<Inquiry>,
    /// That of the waker which was left.
    key: Option<u64>,
}

impl Resolver {
    /// Without a thread.
    pub(super) const fn new(resolve: Resolve) -> Self {
        let desk = Desk { threads: 0, idle: 0, waiting: VecDeque::new(), under_way: Vec::new() };
        Self { resolve, desk: Mutex::new(desk), work: Condvar::new() }
    }

    /// Begins to look a name up, or joins who does.
    ///
    /// # Errors
    ///
    /// `WouldBlock` at the limit of waiting names; what the system answers when no thread can be
    /// started.
    pub(super) fn look_up(&'static self, host: &str, port: u16) -> io::Result<Lookup> {
        let mut desk = lock(&self.desk);
        desk.under_way.retain(|inquiry| inquiry.strong_count() > 0);
        let same = |inquiry: &Arc<Inquiry>| inquiry.port == port && inquiry.host == host;
        if let Some(inquiry) = desk.under_way.iter().filter_map(Weak::upgrade).find(same) {
            return Ok(Lookup { inquiry, key: None });
        }
        let inquiry = Arc::new(Inquiry { host: host.to_owned(), port, state: Mutex::default() });
        let lookup = Lookup { inquiry: Arc::clone(&inquiry), key: None };
        if desk.idle <= desk.waiting.len() && desk.threads < MAX_THREADS {
            desk.under_way.push(Arc::downgrade(&inquiry));
            desk.threads += 1;
            drop(desk);
            let thread = thread::Builder::new().name("spargio-lookup".to_owned());
            let shared = Arc::clone(&inquiry);
            if let Err(error) = thread.spawn(move || self.serve(shared)) {
                lock(&self.desk).threads -= 1;
                // Others may have joined.
                self.finish(&inquiry, Err((error.kind(), error.to_string())));
                return Err(error);
            }
            return Ok(lookup);
        }
        // Names that nobody waits for any more do not count, and nobody joins them. (They keep no
        // waker, so dropping them here runs nobody's code.)
        let (wanted, unwanted): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut desk.waiting).into_iter().partition(is_wanted);
        desk.waiting = wanted;
        unwanted.iter().for_each(|inquiry| desk.forget(inquiry));
        let result = if desk.waiting.len() == MAX_WAITING {
            Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("host {host:?} not looked up: {MAX_WAITING} names wait already"),
            ))
        } else {
            desk.under_way.push(Arc::downgrade(&inquiry));
            desk.waiting.push_back(inquiry);
            Ok(lookup)
        };
        drop(desk);
        self.work.notify_one();
        result
    }

    /// Looks names up until none has come for a while.
    fn serve(&self, mut inquiry: Arc<Inquiry>) {
        loop {
            self.answer(&inquiry);
            drop(inquiry);
            let mut desk = lock(&self.desk);
            inquiry = loop {
                if let Some(next) = desk.waiting.pop_front() {
                    break next;
                }
                desk.idle += 1;
                let waited = self.work.wait_timeout(desk, KEEP_ALIVE);
                let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                desk = back;
                desk.idle -= 1;
                if timeout.timed_out() && desk.waiting.is_empty() {
                    desk.threads -= 1;
                    return;
                }
            };
        }
    }

    fn answer(&self, inquiry: &Arc<Inquiry>) {
        let mut desk = lock(&self.desk);
        if !is_wanted(inquiry) {
            desk.forget(inquiry);
            return;
        }
        drop(desk);
        let Inquiry { host, port, .. } = &**inquiry;
        let answer = (self.resolve)(host, *port)
            .map_err(|error| (error.kind(), format!("cannot look up host {host:?}: {error}")));
        self.finish(inquiry, answer);
    }

    /// Tells all who asked. Who asks from here on wants to know how it is now.
    fn finish(&self, inquiry: &Arc<Inquiry>, answer: Answer) {
        lock(&self.desk).forget(inquiry);
        let wakers = {
            let mut state = lock(&inquiry.state);
            state.answer = Some(answer);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(|(_, waker)| wake(waker));
    }
}

impl Desk {
    /// Nobody joins this one any more.
    fn forget(&mut self, inquiry: &Arc<Inquiry>) {
        self.under_way.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(inquiry)));
    }
}

/// Whether anybody waits for it besides the thread that has it, or its place in the line. While the
/// desk is locked, nobody joins.
fn is_wanted(inquiry: &Arc<Inquiry>) -> bool {
    Arc::strong_count(inquiry) > 1
}

impl Future for Lookup {
    type Output = io::Result<Vec<SocketAddr>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let Self { inquiry, key } = &mut *self;
        let mut state = lock(&inquiry.state);
        if let Some(answer) = &state.answer {
            let answer = answer.clone();
            return Poll::Ready(answer.map_err(|(kind, text)| io::Error::new(kind, text)));
        }
        let mine = state.wakers.iter_mut().find(|(of, _)| Some(*of) == *key);
        let before = match mine {
            Some((_, place)) => Some(std::mem::replace(place, waker)),
            None => {
                let new = state.next_key;
                state.next_key += 1;
                state.wakers.push((new, waker));
                *key = Some(new);
                None
            }
        };
        drop(state);
        // Dropping a waker may run a task's destructor: only now, when nothing is locked.
        drop(before);
        Poll::Pending
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut state = lock(&self.inquiry.state);
        let at = state.wakers.iter().position(|(of, _)| *of == key);
        let waker = at.map(|at| state.wakers.swap_remove(at));
        drop(state);
        drop(waker);
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("host", &self.inquiry.host).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
