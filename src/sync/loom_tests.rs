//! Every interleaving of two or three sides of each way to wait.
//!
//! Loom checks each access to values and wakers; what is said here is that nobody who waits is
//! forgotten and that nothing is lost or dropped twice.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Condvar, Mutex};

mod mpsc;
mod notify;
mod oneshot;

/// Counts its wakes.
struct Bell {
    rung: Mutex<usize>,
    more: Condvar,
}

impl Wake for Bell {
    fn wake(self: StdArc<Self>) {
        *self.rung.lock().unwrap() += 1;
        self.more.notify_one();
    }
}

impl Bell {
    fn new() -> StdArc<Self> {
        StdArc::new(Self { rung: Mutex::new(0), more: Condvar::new() })
    }

    fn rung(&self) -> usize {
        *self.rung.lock().unwrap()
    }

    fn poll<F: Future + ?Sized>(self: &StdArc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        let waker = Waker::from(StdArc::clone(self));
        future.poll(&mut Context::from_waker(&waker))
    }

    /// Polls until it is ready, and lets nobody wait without a wake: each poll but the first comes
    /// after one.
    fn run<F: Future>(self: &StdArc<Self>, mut future: Pin<&mut F>) -> F::Output {
        let mut seen = 0;
        loop {
            if let Poll::Ready(output) = self.poll(future.as_mut()) {
                return output;
            }
            let mut rung = self.rung.lock().unwrap();
            while *rung == seen {
                rung = self.more.wait(rung).unwrap();
            }
            seen = *rung;
        }
    }
}

/// Explores with at most so many preemptions; the known races need one or two.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
