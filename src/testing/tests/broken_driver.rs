//! Drivers that break one promise each, and what the suite says of them.

use std::io;
use std::time::{Duration, Instant};

use super::caught;
use crate::driver::{BufferRing, Caps, Class, Cqe, Driver, SqFull, Sqe, Token, Uring, UringSetup};
use crate::id::ShardId;
use crate::testing::{Site, driver, driver_at};

/// One completion in 100 is lost.
const LOSES_ONE_IN_A_HUNDRED: u8 = 0;
/// Each push is handed over at once.
const FLUSHES: u8 = 1;
/// A sleep ends before what is pushed was handed over.
const FORGETS_TO_SUBMIT: u8 = 2;
/// Now and then a close is answered that nobody asked for.
const ANSWERS_UNASKED: u8 = 3;
/// A close says that it was cancelled, and was not.
const DENIES_A_CLOSE: u8 = 4;
/// Nothing is wrong.
const NONE: u8 = 5;
/// Every provided buffer is called by the same name.
const MISNAMES: u8 = 6;

struct Faulty<const FAULT: u8> {
    inner: Uring,
    drained: u32,
}

// SAFETY: everything is done by a driver that keeps its promises. The faults lose completions,
// whose memory the checks keep, or make calls too many or too few.
unsafe impl<const FAULT: u8> Driver for Faulty<FAULT> {
    type Setup = UringSetup;

    fn open(setup: &UringSetup, shard: ShardId) -> io::Result<Self> {
        Ok(Self { inner: Uring::open(setup, shard)?, drained: 0 })
    }

    fn caps(&self) -> &Caps {
        self.inner.caps()
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    unsafe fn push(&mut self, sqe: Sqe) -> Result<(), SqFull> {
        // SAFETY: the caller's promise.
        let pushed = unsafe { self.inner.push(sqe) };
        if FAULT == FLUSHES {
            self.inner.flush().unwrap();
        }
        pushed
    }

    unsafe fn attempt(&mut self, sqe: &Sqe) -> Option<i32> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.attempt(sqe) }
    }

    fn queued(&self) -> usize {
        self.inner.queued()
    }

    fn flush(&mut self) -> io::Result<usize> {
        self.inner.flush()
    }

    fn park(&mut self, until: Option<Instant>) -> io::Result<()> {
        if FAULT == FORGETS_TO_SUBMIT && self.inner.queued() > 0 {
            return Ok(());
        }
        self.inner.park(until)
    }

    unsafe fn provide(&mut self, ring: BufferRing) -> io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.provide(ring) }
    }

    fn retract(&mut self, group: u16) -> io::Result<()> {
        self.inner.retract(group)
    }

    fn pending(&self) -> bool {
        self.inner.pending()
    }

    fn drain(&mut self, mut sink: impl FnMut(Cqe)) -> usize {
        let (drained, mut given) = (&mut self.drained, 0);
        self.inner.drain(|mut cqe| {
            *drained += 1;
            let is_close = cqe.token.class() == Some(Class::Close);
            if FAULT == DENIES_A_CLOSE && is_close && cqe.result == 0 {
                cqe.result = -libc::ECANCELED;
            }
            if FAULT == MISNAMES && cqe.buffer().is_some() {
                cqe.flags &= u32::from(u16::MAX);
            }
            if FAULT == ANSWERS_UNASKED && is_close && drained.is_multiple_of(7) {
                cqe.token = Token::new(Class::Close, 1, cqe.token.index());
            }
            if FAULT != LOSES_ONE_IN_A_HUNDRED || !drained.is_multiple_of(100) {
                given += 1;
                sink(cqe);
            }
        });
        given
    }

    fn enters(&self) -> u64 {
        self.inner.enters()
    }
}

fn said_of<const FAULT: u8>() -> String {
    let site = Site::<Faulty<FAULT>>::new(super::small()).patience(Duration::from_millis(300));
    caught(|| driver_at(&site))
}

#[test]
fn the_same_driver_without_a_fault_passes() {
    driver::<Faulty<NONE>>(super::small());
}

#[test]
fn a_driver_that_loses_one_completion_in_a_hundred_is_caught() {
    let said = said_of::<LOSES_ONE_IN_A_HUNDRED>();
    assert!(said.contains("breaks O1: 1782 of 1800 completions came"), "{said}");
}

#[test]
fn a_driver_that_makes_a_system_call_for_each_push_is_caught() {
    let said = said_of::<FLUSHES>();
    assert!(said.contains("breaks O4"), "{said}");
}

#[test]
fn a_driver_that_sleeps_without_handing_over_is_caught() {
    let said = said_of::<FORGETS_TO_SUBMIT>();
    assert!(said.contains("breaks O1") || said.contains("breaks O6"), "{said}");
}

#[test]
fn a_driver_that_answers_a_close_that_nobody_asked_for_is_caught() {
    let site = Site::<Faulty<ANSWERS_UNASKED>>::new(super::small());
    let said = caught(|| driver::o3_nothing_completes_that_was_not_pushed(&site));
    assert!(said.contains("breaks O3"), "{said}");
    assert!(said.contains("nothing with its token was pushed"), "{said}");
}

#[test]
fn a_driver_that_misnames_provided_buffers_is_caught() {
    let said = said_of::<MISNAMES>();
    assert!(said.contains("breaks O10: receive 1 is gone from its buffer after 1"), "{said}");
}

#[test]
fn a_driver_that_denies_a_close_is_caught() {
    let site = Site::<Faulty<DENIES_A_CLOSE>>::new(super::small());
    let said = caught(|| driver::o3_a_close_answers_once_and_says_what_became_of_the_fd(&site));
    assert!(said.contains("breaks O3: a close answered"), "{said}");
}
