//! The pool without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Offload, Place, Slot, State, enqueue};
use crate::primitive::{Arc, AtomicBool};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let began = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no answer");
        thread::park_timeout(Duration::from_secs(1));
    }
}

fn slot<T>() -> Arc<Slot<T>> {
    let state = State { answer: None, waker: None };
    Arc::new(Slot { is_wanted: AtomicBool::new(true), state: std::sync::Mutex::new(state) })
}

fn give<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Offload<T> {
    let slot = slot();
    let place = Place(Arc::clone(&slot));
    let refused = enqueue(Box::new(move || place.serve(|_| work()))).err();
    Offload { slot, refused }
}

#[test]
fn work_is_done_elsewhere_and_its_panic_comes_back() {
    let here = thread::current().id();
    assert_ne!(wait(give(|| thread::current().id())).unwrap(), here);
    let panics = std::panic::catch_unwind(|| wait(give(|| panic!("on purpose"))));
    assert_eq!(*panics.unwrap_err().downcast::<&str>().unwrap(), "on purpose");
    assert_eq!(wait(give(|| 7)).unwrap(), 7, "the pool goes on");
}

#[test]
fn jobs_that_wait_for_each_other_all_run() {
    // Each waits for the next to have begun, so all must run at the same time.
    let mut jobs = Vec::new();
    let (first, mut previous) = mpsc::channel::<()>();
    for _ in 0..8 {
        let (begun, next) = mpsc::channel::<()>();
        let before = std::mem::replace(&mut previous, next);
        jobs.push(give(move || {
            drop(begun);
            // The end of the other side is the message.
            before.recv().unwrap_err();
        }));
    }
    drop(first);
    for job in jobs {
        wait(job).unwrap();
    }
}

#[test]
fn work_that_no_thread_gets_to_is_an_error() {
    let slot = slot::<u8>();
    let future = Offload { slot: Arc::clone(&slot), refused: None };
    drop(Place(slot));
    let error = wait(future).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn work_that_nobody_waits_for_is_not_begun() {
    let slot = slot::<u8>();
    drop(Offload { slot: Arc::clone(&slot), refused: None });
    Place(slot).serve(|_| unreachable!("nobody waits"));
}
