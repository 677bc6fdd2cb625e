//! Looking up host names: on a few short-lived threads, never on a shard.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::contain::wake;
use crate::net::address::ToAddrs;
use crate::net::address::sealed::Wanted;
use crate::primitive::{Arc, Mutex, lock};

/// Threads that look up names at the same time, at most.
const MAX_THREADS: usize = 8;
/// Names that wait for a thread, at most.
const MAX_WAITING: usize = 1024;

/// The addresses that something names.
///
/// Addresses are given back as they are; a host name is looked up by the system's resolver
/// (`getaddrinfo(3)`) on a thread of its own, so the shard goes on. At most 8 names of a process
/// are looked up at the same time, and at most 1024 more wait for their turn.
///
/// # Errors
///
/// `InvalidInput` for text without host and port, `NotFound` for a list without addresses,
/// `WouldBlock` at the limit of waiting names, else what the resolver answers; the error names the
/// host.
///
/// # Cancel safety
///
/// When the future is dropped its name is not looked up any more, or its answer is dropped.
///
/// # Examples
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut addrs = spargio::net::lookup_host("localhost:80").await?;
/// assert!(addrs.any(|addr| addr.ip().is_loopback()));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn lookup_host(host: impl ToAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(addresses(host.wanted()).await?.into_iter())
}

/// The addresses that are wanted; at least one.
pub(super) async fn addresses(wanted: io::Result<Wanted>) -> io::Result<Vec<SocketAddr>> {
    let (addrs, host) = match wanted? {
        Wanted::Known(addrs) => (addrs, None),
        Wanted::Host(host, port) => (Lookup::start(&host, port)?.await?, Some(host)),
    };
    if addrs.is_empty() {
        let what = host.map_or("the list of addresses is empty".to_owned(), |host| {
            format!("host {host:?} has no address")
        });
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    Ok(addrs)
}

/// The threads that look up names, and the names that wait for one.
#[derive(Debug, Default)]
struct Desk {
    threads: usize,
    waiting: VecDeque<Job>,
}

static DESK: LazyLock<Mutex<Desk>> = LazyLock::new(|| Mutex::new(Desk::default()));

/// A name to look up, and where its answer goes.
#[derive(Debug)]
struct Job {
    host: String,
    port: u16,
    slot: Arc<Mutex<Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    answer: Option<io::Result<Vec<SocketAddr>>>,
    waker: Option<Waker>,
}

/// The future of an answer.
struct Lookup(Arc<Mutex<Slot>>);

impl Lookup {
    fn start(host: &str, port: u16) -> io::Result<Self> {
        let slot = Arc::<Mutex<Slot>>::default();
        let job = Job { host: host.to_owned(), port, slot: Arc::clone(&slot) };
        // Dropped after the lock: a name that nobody waits for keeps a waker, which is anybody's.
        let _unwanted: VecDeque<Job>;
        let mut desk = lock(&DESK);
        if desk.threads == MAX_THREADS {
            // Names that nobody waits for any more do not count.
            let waiting = std::mem::take(&mut desk.waiting);
            (desk.waiting, _unwanted) = waiting.into_iter().partition(Job::is_wanted);
            if desk.waiting.len() == MAX_WAITING {
                return Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    format!("host {host:?} not looked up: {MAX_WAITING} names wait already"),
                ));
            }
            desk.waiting.push_back(job);
            return Ok(Self(slot));
        }
        desk.threads += 1;
        drop(desk);
        let thread = thread::Builder::new().name("spargio-lookup".to_owned());
        match thread.spawn(move || serve(job)) {
            // It ends by itself, when no name waits.
            Ok(_) => Ok(Self(slot)),
            Err(error) => {
                lock(&DESK).threads -= 1;
                Err(error)
            }
        }
    }
}

impl Job {
    fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.slot) > 1
    }

    fn run(self) {
        if !self.is_wanted() {
            return;
        }
        let answer = (self.host.as_str(), self.port).to_socket_addrs();
        let answer = answer.map(Iterator::collect).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot look up host {:?}: {error}", self.host))
        });
        let waker = {
            let mut slot = lock(&self.slot);
            slot.answer = Some(answer);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            wake(waker);
        }
    }
}

/// Looks names up until none waits.
fn serve(mut job: Job) {
    loop {
        job.run();
        let mut desk = lock(&DESK);
        match desk.waiting.pop_front() {
            Some(next) => job = next,
            None => {
                desk.threads -= 1;
                return;
            }
        }
    }
}

impl Future for Lookup {
    type Output = io::Result<Vec<SocketAddr>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let mut slot = lock(&self.0);
        if let Some(answer) = slot.answer.take() {
            return Poll::Ready(answer);
        }
        let before = slot.waker.replace(waker);
        drop(slot);
        // Dropping a waker may run a task's destructor: only now, when nothing is locked.
        drop(before);
        Poll::Pending
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
