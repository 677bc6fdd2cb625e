//! Operations that note what is done with them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use crate::driver::{Opcode, Sqe};
use crate::inflight::{Operation, Outcome};

/// How often somebody was woken.
#[derive(Default, Debug)]
pub(super) struct Wakes(AtomicUsize);

impl Wakes {
    pub(super) fn pair() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What became of an operation.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Fate {
    /// Completions that were not the last.
    pub(super) more: Vec<Outcome>,
    /// Nobody waited for it any more: what it was handed.
    pub(super) abandoned: Option<Option<Outcome>>,
    pub(super) dropped: bool,
}

/// An operation.
#[derive(Debug)]
pub(super) struct Noting {
    number: u64,
    opcode: Opcode,
    fate: Arc<Mutex<Fate>>,
    /// Whom to wake for completions that are not the last.
    waker: Waker,
    /// Where it was when it was submitted.
    address: Option<usize>,
}

/// The fate as the harness sees it.
#[derive(Debug)]
pub(super) struct Notes {
    fate: Arc<Mutex<Fate>>,
    more: Arc<Wakes>,
}

impl Notes {
    pub(super) fn fate(&self) -> MutexGuard<'_, Fate> {
        lock(&self.fate)
    }

    /// Whether each of these completions, and nothing else, was passed on, with a wake for each.
    pub(super) fn check_more(&self, expected: &[Outcome]) {
        assert_eq!(self.fate().more, expected, "completions before the last");
        assert_eq!(self.more.count(), expected.len(), "wakes for them");
    }
}

impl Noting {
    /// An operation whose entry carries this number as its offset.
    pub(super) fn new(number: u64, opcode: Opcode) -> (Self, Notes) {
        let (more, waker) = Wakes::pair();
        let fate = Arc::default();
        let notes = Notes { fate: Arc::clone(&fate), more };
        (Self { number, opcode, fate, waker, address: None }, notes)
    }

    fn stays(&self) {
        let here = std::ptr::from_ref(self).addr();
        assert!(self.address.is_none_or(|address| address == here), "moved in flight (I1)");
    }
}

// SAFETY: there is no address in the entry.
unsafe impl Operation for Noting {
    fn entry(&mut self) -> Sqe {
        assert_eq!(self.address, None, "submitted twice");
        self.address = Some(std::ptr::from_ref(self).addr());
        Sqe { off: self.number, ..Sqe::new(self.opcode, 0) }
    }

    fn more(&mut self, outcome: Outcome) -> Option<Waker> {
        self.stays();
        lock(&self.fate).more.push(outcome);
        Some(self.waker.clone())
    }

    fn abandon(self, outcome: Option<Outcome>) {
        let before = lock(&self.fate).abandoned.replace(outcome);
        assert_eq!(before, None, "abandoned twice");
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        let before = std::mem::replace(&mut lock(&self.fate).dropped, true);
        assert!(!before, "dropped twice");
    }
}

fn lock(fate: &Mutex<Fate>) -> MutexGuard<'_, Fate> {
    fate.lock().unwrap_or_else(PoisonError::into_inner)
}
