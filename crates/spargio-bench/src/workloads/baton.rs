//! A channel for one number at a time between two tasks of any runtime.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use atomic_waker::AtomicWaker;

use super::ping_pong::TIMED;
use crate::measure::Latencies;

/// One direction: how often the baton was passed, and who waits for it.
#[derive(Debug, Default)]
struct Direction {
    // Each on its own cache lines: two directions are used from two threads.
    passed: AtomicU64,
    waiting: AtomicWaker,
    _padding: [u64; 16],
}

/// One end of a pair between which a baton goes back and forth.
#[derive(Debug)]
pub(super) struct Baton {
    out: Arc<Direction>,
    back: Arc<Direction>,
    sent: u64,
    received: u64,
}

/// Two ends.
pub(super) fn pair() -> (Baton, Baton) {
    let there = Arc::new(Direction::default());
    let back = Arc::new(Direction::default());
    let near = Baton { out: Arc::clone(&there), back: Arc::clone(&back), sent: 0, received: 0 };
    (near, Baton { out: back, back: there, sent: 0, received: 0 })
}

impl Baton {
    /// Passes the baton.
    pub(super) fn send(&mut self) {
        self.sent += 1;
        // Release pairs with the Acquire in `receive`.
        self.out.passed.store(self.sent, Ordering::Release);
        self.out.waiting.wake();
    }

    /// Waits for the baton.
    pub(super) async fn receive(&mut self) {
        self.received += 1;
        let wanted = self.received;
        let back = &self.back;
        poll_fn(|cx| {
            // Acquire pairs with the Release in `send`.
            if back.passed.load(Ordering::Acquire) >= wanted {
                return Poll::Ready(());
            }
            back.waiting.register(cx.waker());
            // Again, because `send` may have come between the look and the registration.
            if back.passed.load(Ordering::Acquire) >= wanted {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }

    /// Sends and waits for the answer, so many times; says how many answers came, and how long
    /// they took.
    pub(super) async fn ping(mut self, times: u64) -> (u64, Latencies) {
        let mut latencies = Latencies::of_one_in(TIMED);
        for _ in 0..times {
            let lap = latencies.start();
            self.send();
            self.receive().await;
            latencies.end(lap);
        }
        (self.received, latencies)
    }

    /// Answers so many times; says how often it did.
    pub(super) async fn pong(mut self, times: u64) -> u64 {
        for _ in 0..times {
            self.receive().await;
            self.send();
        }
        self.sent
    }
}

/// Both ends by turns on this thread, without a runtime: as [`ping`](Baton::ping), and how often
/// the other end answered. What the floor of several workloads does.
pub(super) fn by_turns(times: u64) -> ((u64, Latencies), u64) {
    let (near, far) = pair();
    let (mut near, mut far) = (pin!(near.ping(times)), pin!(far.pong(times)));
    let mut context = Context::from_waker(Waker::noop());
    let mut answered = 0;
    loop {
        if let Poll::Ready(asked) = near.as_mut().poll(&mut context) {
            return (asked, answered);
        }
        if answered == 0
            && let Poll::Ready(number) = far.as_mut().poll(&mut context)
        {
            answered = number;
        }
    }
}
