//! What needs no shard: this thread is none, so timers are with the helper thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::time::{Sleep, Timeout, TimeoutError, YieldNow, sleep, sleep_until, timeout};

static_assertions::assert_impl_all!(Sleep: Send, Sync, Unpin);
static_assertions::assert_impl_all!(YieldNow: Send, Unpin);
static_assertions::assert_impl_all!(Timeout<std::future::Pending<()>>: Send, Unpin);
static_assertions::assert_not_impl_any!(Timeout<std::marker::PhantomPinned>: Unpin);
static_assertions::assert_impl_all!(TimeoutError: std::error::Error, Copy, Eq, Send, Sync);

/// Wakes a thread and counts.
struct Bell {
    thread: Thread,
    rung: AtomicUsize,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), rung: AtomicUsize::new(0) })
    }

    fn await_rung(&self, count: usize) {
        while self.rung.load(Ordering::Acquire) < count {
            thread::park_timeout(Duration::from_secs(10));
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Release pairs with `await_rung`.
        self.rung.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let bell = Bell::new();
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    let mut polls = 0;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        polls += 1;
        bell.await_rung(polls);
    }
}

#[test]
fn a_sleep_off_shard_is_never_early() {
    for micros in [0, 1, 50, 999, 10_000] {
        let span = Duration::from_micros(micros);
        let start = Instant::now();
        block_on(sleep(span));
        assert!(start.elapsed() >= span, "{span:?}");
    }
}

#[test]
fn a_deadline_that_has_passed_sets_no_timer() {
    let mut past = sleep_until(Instant::now());
    let ready = std::pin::Pin::new(&mut past).poll(&mut Context::from_waker(Waker::noop()));
    assert!(ready.is_ready());
    assert!(past.is_elapsed());
    assert!(format!("{past:?}").contains("is_set: false"));
}

#[test]
fn a_reset_moves_the_timer_without_another_poll() {
    let bell = Bell::new();
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let mut far = sleep(Duration::from_secs(3_600));
    assert!(std::pin::Pin::new(&mut far).poll(&mut cx).is_pending());
    let soon = Instant::now() + Duration::from_millis(5);
    far.reset(soon);
    assert_eq!(far.deadline(), soon);
    bell.await_rung(1);
    assert!(Instant::now() >= soon);
    assert!(std::pin::Pin::new(&mut far).poll(&mut cx).is_ready());
}

#[test]
fn a_dropped_sleep_gives_its_waker_back_at_once() {
    let bell = Bell::new();
    let waker = Waker::from(Arc::clone(&bell));
    let mut far = sleep(Duration::from_secs(3_600));
    assert!(std::pin::Pin::new(&mut far).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(far);
    drop(waker);
    assert_eq!(Arc::strong_count(&bell), 1);
}

#[test]
fn another_waker_takes_the_place_of_the_first() {
    let (first, second) = (Bell::new(), Bell::new());
    let mut soon = sleep(Duration::from_millis(20));
    for bell in [&first, &second] {
        let waker = Waker::from(Arc::clone(bell));
        let mut cx = Context::from_waker(&waker);
        // On a machine that stood still for 20 ms there is nothing to see.
        if std::pin::Pin::new(&mut soon).poll(&mut cx).is_ready() {
            return;
        }
    }
    second.await_rung(1);
    assert_eq!(first.rung.load(Ordering::Acquire), 0);
}

#[test]
fn a_waker_that_looks_like_the_last_one_but_is_another_takes_its_place() {
    use std::task::{RawWaker, RawWakerVTable};
    // As executors do that keep a cheap waker on their stack: the clone is another one.
    static CHEAP: RawWakerVTable = RawWakerVTable::new(clone, |_| {}, |_| {}, |_| {});
    fn clone(data: *const ()) -> RawWaker {
        // SAFETY:
        // - `data` is the address of the bell of the test that runs.
        let bell = unsafe { &*data.cast::<Arc<Bell>>() };
        let waker = std::mem::ManuallyDrop::new(Waker::from(Arc::clone(bell)));
        RawWaker::new(waker.data(), waker.vtable())
    }
    let (first, second) = (Bell::new(), Bell::new());
    // Two executors, one after the other, with the same place on the stack.
    let mut place = Arc::clone(&first);
    let mut soon = sleep(Duration::from_millis(20));
    for bell in [&first, &second] {
        place.clone_from(bell);
        let raw = RawWaker::new((&raw const place).cast(), &CHEAP);
        // SAFETY:
        // - the functions of the table are those of a waker whose data is `place`.
        let waker = unsafe { Waker::from_raw(raw) };
        // On a machine that stood still for 20 ms there is nothing to see.
        if std::pin::Pin::new(&mut soon).poll(&mut Context::from_waker(&waker)).is_ready() {
            return;
        }
    }
    second.await_rung(1);
    assert_eq!(first.rung.load(Ordering::Acquire), 0);
}

#[test]
fn a_waker_that_panics_takes_no_other_timer_with_it() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("a waker of the test panics on purpose");
        }
    }
    let waker = Waker::from(Arc::new(Bomb));
    let mut bomb = sleep(Duration::from_millis(1));
    let armed = std::pin::Pin::new(&mut bomb).poll(&mut Context::from_waker(&waker));
    block_on(sleep(Duration::from_millis(5)));
    assert!(armed.is_ready() || bomb.is_elapsed());
    block_on(sleep(Duration::from_millis(1)));
}

#[test]
fn the_future_wins_when_both_are_ready() {
    assert_eq!(block_on(timeout(Duration::ZERO, async { 7 })), Ok(7));
    let late = timeout(Duration::ZERO, std::future::pending::<()>());
    let error = block_on(late).unwrap_err();
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn spans_beyond_the_clock_wait_for_decades() {
    let end = sleep(Duration::MAX);
    assert!(end.deadline() > Instant::now() + Duration::from_secs(20 * 365 * 24 * 3_600));
    assert!(!end.is_elapsed());
    assert_eq!(block_on(timeout(Duration::MAX, async { 1 })), Ok(1));
}

#[test]
fn yielding_gives_way_exactly_once() {
    let bell = Bell::new();
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let mut yielding = crate::time::yield_now();
    assert!(std::pin::Pin::new(&mut yielding).poll(&mut cx).is_pending());
    assert_eq!(bell.rung.load(Ordering::Acquire), 1);
    assert!(std::pin::Pin::new(&mut yielding).poll(&mut cx).is_ready());
}
