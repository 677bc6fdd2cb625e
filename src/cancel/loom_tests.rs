//! Every interleaving of who registers, gives up, makes children, drops them, and cancels.
//!
//! Loom reports memory that is not freed, so that a circle of parent and child which nobody cuts
//! fails a test.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{CancellationFuture, CancellationToken};

/// Counts its wakes.
struct Bell(AtomicUsize);

impl Bell {
    fn new() -> StdArc<Self> {
        StdArc::new(Self(AtomicUsize::new(0)))
    }

    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: StdArc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(bell: &StdArc<Bell>, future: &mut CancellationFuture<'_>) -> Poll<()> {
    let waker = Waker::from(StdArc::clone(bell));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

#[test]
fn loom_a_cancel_is_seen_by_the_poll_or_wakes_it() {
    loom::model(|| {
        let token = CancellationToken::new();
        let seen = token.clone();
        let canceler = thread::spawn(move || token.cancel());
        let bell = Bell::new();
        let mut future = seen.cancelled();
        let polled = poll(&bell, &mut future);
        canceler.join().unwrap();
        assert!(polled.is_ready() || bell.rung() == 1);
        assert!(poll(&bell, &mut future).is_ready());
        drop(future);
        assert_eq!(StdArc::strong_count(&bell), 1, "the waker is left");
    });
}

#[test]
fn loom_what_is_registered_anew_with_another_waker_wakes_by_that_one() {
    loom::model(|| {
        let token = CancellationToken::new();
        let seen = token.clone();
        let canceler = thread::spawn(move || token.cancel());
        let (first, second) = (Bell::new(), Bell::new());
        let mut future = seen.cancelled();
        let ready = poll(&first, &mut future).is_ready() || poll(&second, &mut future).is_ready();
        canceler.join().unwrap();
        assert!(ready || first.rung() + second.rung() == 1);
        if !ready && second.rung() == 0 {
            panic!("the waker of the last poll was not woken");
        }
    });
}

#[test]
fn loom_a_future_that_is_dropped_leaves_no_waker() {
    loom::model(|| {
        let token = CancellationToken::new();
        let seen = token.clone();
        let canceler = thread::spawn(move || token.cancel());
        let (mine, other) = (Bell::new(), Bell::new());
        let mut stays = seen.cancelled();
        let stayed = poll(&other, &mut stays);
        {
            let mut goes = seen.cancelled();
            // Whatever it says: it is given up.
            let _polled = poll(&mine, &mut goes);
        }
        canceler.join().unwrap();
        assert!(mine.rung() <= 1);
        assert_eq!(StdArc::strong_count(&mine), 1, "the waker is left");
        assert!(stayed.is_ready() || other.rung() == 1, "the wrong one was taken out");
    });
}

#[test]
fn loom_two_who_cancel_wake_once() {
    loom::model(|| {
        let token = CancellationToken::new();
        let bell = Bell::new();
        let mut future = token.cancelled();
        assert!(poll(&bell, &mut future).is_pending());
        let cancelers = [(); 2].map(|()| {
            let token = token.clone();
            thread::spawn(move || {
                token.cancel();
                assert!(token.is_canceled());
            })
        });
        for canceler in cancelers {
            canceler.join().unwrap();
        }
        assert_eq!(bell.rung(), 1);
    });
}

#[test]
fn loom_a_child_that_is_made_during_a_cancel_is_canceled() {
    loom::model(|| {
        let token = CancellationToken::new();
        let parent = token.clone();
        let canceler = thread::spawn(move || token.cancel());
        let child = parent.child_token();
        drop(parent);
        let bell = Bell::new();
        let mut future = child.cancelled();
        let polled = poll(&bell, &mut future);
        canceler.join().unwrap();
        assert!(child.is_canceled());
        assert!(polled.is_ready() || bell.rung() == 1);
    });
}

#[test]
fn loom_children_that_are_dropped_or_canceled_during_a_cancel_are_freed_and_told_once() {
    loom::model(|| {
        let token = CancellationToken::new();
        let (dropped, canceled) = (token.child_token(), token.child_token());
        let bell = Bell::new();
        let mut future = canceled.cancelled();
        assert!(poll(&bell, &mut future).is_pending());
        let parent = thread::spawn(move || token.cancel());
        drop(dropped);
        canceled.cancel();
        assert!(canceled.is_canceled());
        parent.join().unwrap();
        assert_eq!(bell.rung(), 1);
    });
}

#[test]
fn loom_a_grandchild_is_told_when_nobody_holds_its_parent() {
    loom::model(|| {
        let token = CancellationToken::new();
        let child = token.child_token();
        let grandchild = child.child_token();
        let dropper = thread::spawn(move || drop(child));
        token.cancel();
        drop(token);
        dropper.join().unwrap();
        assert!(grandchild.is_canceled());
    });
}

#[test]
fn loom_a_chain_that_is_given_up_from_both_ends_is_freed() {
    loom::model(|| {
        let token = CancellationToken::new();
        let child = token.child_token();
        let grandchild = child.child_token();
        let dropper = thread::spawn(move || {
            drop(child);
            drop(token);
        });
        drop(grandchild);
        dropper.join().unwrap();
    });
}
