//! What became of calls, of one channel and of all.

use std::sync::{LazyLock, Mutex};

use crate::boundary::BoundaryError;
use crate::primitive::{Arc, AtomicU64, Ordering, lock};
use crate::sync::{Fifo, Key};

/// What became of the calls of one channel, or of all channels of the process.
///
/// Each call is counted once in `calls`, and once in one of the others when it has ended: when
/// its ticket was ready or is dropped, or when the call itself was refused or dropped. So what a
/// caller has seen is counted, and a reply that lies there for a ticket is not yet.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct BoundaryStats {
    /// Calls, refused ones included.
    pub calls: u64,
    /// Replies that came to a ticket in time.
    pub answered: u64,
    /// Calls that do not wait, and found no room.
    pub overloaded: u64,
    /// Calls whose deadline passed: without room, in the queue, at the handler, or at the ticket.
    pub timed_out: u64,
    /// Calls whose future or ticket was dropped, and requests that were dropped by their handler.
    pub canceled: u64,
    /// Calls that found the servers gone, or whose request was left in the queue by the last one.
    pub closed: u64,
}

impl BoundaryStats {
    /// Calls that have ended.
    pub const fn ended(&self) -> u64 {
        self.answered + self.overloaded + self.timed_out + self.canceled + self.closed
    }

    /// Calls that have not ended. A hint while calls are made: the numbers are read one by one.
    pub const fn in_flight(&self) -> u64 {
        self.calls.saturating_sub(self.ended())
    }

    const fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.overloaded += other.overloaded;
        self.timed_out += other.timed_out;
        self.canceled += other.canceled;
        self.closed += other.closed;
    }
}

/// What became of the calls of all channels of the process, those that are gone included.
///
/// Costs a lock and a look at each channel; the calls themselves count for their channel only.
///
/// ```
/// let before = spargio::boundary::stats_snapshot();
/// let (client, _server) = spargio::boundary::channel::<u8, u8>(1);
/// drop(client.try_call(1));
/// assert!(spargio::boundary::stats_snapshot().canceled > before.canceled);
/// assert_eq!(client.stats().canceled, 1);
/// ```
pub fn stats_snapshot() -> BoundaryStats {
    let registry = lock(&REGISTRY);
    let mut sum = registry.gone;
    registry.channels.iter().for_each(|channel| sum.add(channel.snapshot()));
    sum
}

/// Made at the first channel, which no lock of loom's can be; nothing here is lock-free.
static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    Mutex::new(Registry { channels: Fifo::new(), gone: BoundaryStats::default() })
});

struct Registry {
    channels: Fifo<Arc<Counters>>,
    /// Of channels that are gone.
    gone: BoundaryStats,
}

#[derive(Default)]
struct Counters {
    calls: AtomicU64,
    answered: AtomicU64,
    overloaded: AtomicU64,
    timed_out: AtomicU64,
    canceled: AtomicU64,
    closed: AtomicU64,
}

impl Counters {
    fn snapshot(&self) -> BoundaryStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ended = BoundaryStats {
            calls: 0,
            answered: read(&self.answered),
            overloaded: read(&self.overloaded),
            timed_out: read(&self.timed_out),
            canceled: read(&self.canceled),
            closed: read(&self.closed),
        };
        // Last, so that as a rule no call has ended that was not counted.
        BoundaryStats { calls: read(&self.calls), ..ended }
    }
}

/// The counters of one channel. Everything that counts for it keeps it.
pub(super) struct Ledger {
    counters: Arc<Counters>,
    key: Key,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let counters = Arc::new(Counters::default());
        let key = lock(&REGISTRY).channels.push(Arc::clone(&counters));
        Self { counters, key }
    }

    pub(super) fn snapshot(&self) -> BoundaryStats {
        self.counters.snapshot()
    }

    /// A call begins.
    pub(super) fn called(&self) {
        self.counters.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// A call has ended: with its reply, or by something else.
    pub(super) fn ended(&self, by: Option<BoundaryError>) {
        let counter = match by {
            None => &self.counters.answered,
            Some(BoundaryError::Closed) => &self.counters.closed,
            Some(BoundaryError::Overloaded) => &self.counters.overloaded,
            Some(BoundaryError::Timeout) => &self.counters.timed_out,
            Some(BoundaryError::Canceled) => &self.counters.canceled,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let mut registry = lock(&REGISTRY);
        registry.channels.remove(self.key);
        registry.gone.add(self.counters.snapshot());
    }
}
