//! What cannot be seen from outside: the sizes of lists, wakers that come back to their caller, and
//! trees that no stack could walk.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::{
    CancellationFuture, CancellationFutureOwned, CancellationToken, DropGuard, RunUntilCancelled,
};

static_assertions::assert_impl_all!(CancellationToken: Send, Sync, Unpin, Clone, Default);
static_assertions::assert_impl_all!(CancellationFuture<'static>: Send, Sync, Unpin);
static_assertions::assert_impl_all!(CancellationFutureOwned: Send, Sync, Unpin);
static_assertions::assert_impl_all!(DropGuard: Send, Sync, Unpin);
static_assertions::assert_impl_all!(RunUntilCancelled<'static, std::future::Ready<()>>: Send);

const MANY: usize = 100_000;

/// Counts its wakes.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs code when it is woken, once.
struct Then(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Then {
    fn waker(code: impl FnOnce() + Send + 'static) -> Waker {
        Waker::from(Arc::new(Self(Mutex::new(Some(Box::new(code))))))
    }
}

impl Wake for Then {
    fn wake(self: Arc<Self>) {
        let code = self.0.lock().unwrap().take();
        code.expect("woken once")();
    }
}

fn poll<F: Future + Unpin>(waker: &Waker, future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_hundred_thousand_futures_one_after_the_other_take_the_memory_of_one() {
    let token = CancellationToken::new();
    let mut stays = token.cancelled();
    assert!(poll(Waker::noop(), &mut stays).is_pending());
    for _ in 0..MANY {
        let mut goes = token.cancelled();
        assert!(poll(Waker::noop(), &mut goes).is_pending());
    }
    let (len, memory) = token.node().sizes().waiters;
    assert!(len == 1 && memory <= 8, "{len} wait, with memory for {memory}");
}

#[test]
fn a_hundred_thousand_futures_at_once_are_each_registered_woken_and_removed_once() {
    let token = CancellationToken::new();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut futures: Vec<_> = (0..MANY).map(|_| token.cancelled()).collect();
    for _ in 0..3 {
        assert!(futures.iter_mut().all(|future| poll(&waker, future).is_pending()));
    }
    let (len, memory) = token.node().sizes().waiters;
    assert!(len == MANY && memory <= 2 * MANY, "{len} wait, with memory for {memory}");
    // Those in the middle first.
    futures.drain(MANY / 4..MANY / 2);
    let left = futures.len();
    assert_eq!(token.node().sizes().waiters.0, left);
    token.cancel();
    assert_eq!(bell.rung(), left);
    assert!(futures.iter_mut().all(|future| poll(&waker, future).is_ready()));
    assert_eq!(Arc::strong_count(&bell), 2, "wakers are left");
}

#[test]
fn a_hundred_thousand_children_that_are_dropped_leave_no_memory_behind() {
    let token = CancellationToken::new();
    let stays = token.child_token();
    for _ in 0..MANY {
        drop(token.child_token());
    }
    let (len, memory) = token.node().sizes().children;
    assert!(len == 1 && memory <= 8, "{len} children, with memory for {memory}");
    let children: Vec<_> = (0..MANY).map(|_| token.child_token()).collect();
    assert_eq!(token.node().sizes().children.0, MANY + 1);
    drop(children);
    assert_eq!(token.node().sizes().children.0, 1);
    drop(stays);
    let (len, memory) = token.node().sizes().children;
    assert!(len == 0 && memory < 1_000, "{len} children, with memory for {memory}");
}

#[test]
fn children_that_are_canceled_by_themselves_leave_the_list() {
    let token = CancellationToken::new();
    let children: Vec<_> = (0..MANY).map(|_| token.child_token()).collect();
    children.iter().for_each(CancellationToken::cancel);
    assert_eq!(token.node().sizes().children.0, 0);
    assert!(!token.is_canceled());
    token.cancel();
}

#[test]
fn a_hundred_thousand_levels_are_canceled_without_a_stack_to_match() {
    let root = CancellationToken::new();
    let mut levels = vec![root.clone()];
    for _ in 0..MANY {
        let child = levels.last().unwrap().child_token();
        levels.push(child);
    }
    let deepest = levels.last().unwrap().clone();
    let bell = Arc::new(Bell::default());
    let mut future = deepest.cancelled();
    assert!(poll(&Waker::from(Arc::clone(&bell)), &mut future).is_pending());
    // From the middle: what is above stays.
    levels[MANY / 2].cancel();
    assert!(!levels[MANY / 2 - 1].is_canceled());
    assert!(levels[MANY / 2..].iter().all(CancellationToken::is_canceled));
    assert_eq!(bell.rung(), 1);
    root.cancel();
    assert!(levels.iter().all(CancellationToken::is_canceled));
}

#[test]
fn a_hundred_thousand_levels_are_dropped_without_a_stack_to_match() {
    let root = CancellationToken::new();
    let mut deepest = root.child_token();
    for _ in 0..MANY {
        // Nobody but the children holds what is between.
        deepest = deepest.child_token();
    }
    assert_eq!(root.node().sizes().children.0, 1);
    drop(deepest);
    assert_eq!(root.node().sizes().children.0, 0);
    // And with the root going first.
    let mut deepest = root.child_token();
    for _ in 0..MANY {
        deepest = deepest.child_token();
    }
    drop(root);
    assert!(!deepest.is_canceled());
    drop(deepest);
}

#[test]
fn the_deepest_is_told_of_ancestors_that_nobody_holds() {
    let root = CancellationToken::new();
    let deepest = root.child_token().child_token().child_token();
    root.cancel();
    assert!(deepest.is_canceled());
}

#[test]
fn wakers_that_use_the_token_find_no_lock_held() {
    let token = CancellationToken::new();
    let child = token.child_token();
    let (of_waker, of_child) = (token.clone(), child.clone());
    let waker = Then::waker(move || {
        assert!(of_waker.is_canceled() && of_child.is_canceled(), "all are canceled by now");
        of_waker.cancel();
        of_child.cancel();
        assert!(of_waker.child_token().is_canceled());
        assert!(poll(Waker::noop(), &mut of_waker.cancelled()).is_ready());
        drop((of_waker, of_child));
    });
    let mut future = token.clone().cancelled_owned();
    assert!(poll(&waker, &mut future).is_pending());
    token.cancel();
    drop(token);
    assert!(poll(&waker, &mut future).is_ready());
}

#[test]
fn a_waker_may_drop_the_futures_that_are_to_be_woken_next() {
    let token = CancellationToken::new();
    let bell = Arc::new(Bell::default());
    let others: Arc<Mutex<Vec<CancellationFutureOwned>>> = Arc::default();
    for _ in 0..10 {
        let others_too = Arc::clone(&others);
        let waker = Then::waker(move || others_too.lock().unwrap().clear());
        let mut future = token.clone().cancelled_owned();
        assert!(poll(&waker, &mut future).is_pending());
        let mut counted = token.clone().cancelled_owned();
        assert!(poll(&Waker::from(Arc::clone(&bell)), &mut counted).is_pending());
        others.lock().unwrap().extend([future, counted]);
    }
    token.cancel();
    assert_eq!(bell.rung(), 10);
    assert_eq!(Arc::strong_count(&bell), 1);
}

#[test]
fn a_waker_whose_drop_cancels_is_dropped_outside_of_the_lock() {
    struct Cancels(CancellationToken);
    impl Wake for Cancels {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Cancels {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    // Replaced by another waker.
    let token = CancellationToken::new();
    let waker = Waker::from(Arc::new(Cancels(token.clone())));
    let bell = Arc::new(Bell::default());
    let mut future = token.clone().cancelled_owned();
    assert!(poll(&waker, &mut future).is_pending());
    drop(waker);
    assert!(poll(&Waker::from(Arc::clone(&bell)), &mut future).is_pending());
    assert!(token.is_canceled());
    assert_eq!(bell.rung(), 1);
    // Unregistered.
    let token = CancellationToken::new();
    let waker = Waker::from(Arc::new(Cancels(token.clone())));
    let mut future = token.clone().cancelled_owned();
    assert!(poll(&waker, &mut future).is_pending());
    drop(waker);
    drop(future);
    assert!(token.is_canceled());
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    let token = CancellationToken::new();
    let child = token.child_token();
    let bells = [(); 3].map(|()| Arc::new(Bell::default()));
    let mut futures = Vec::new();
    for (bell, of) in bells.iter().zip([&token, &token, &child]) {
        let bomb = Then::waker(|| panic!("a waker of the test panics on purpose"));
        for waker in [bomb, Waker::from(Arc::clone(bell))] {
            let mut future = of.clone().cancelled_owned();
            assert!(poll(&waker, &mut future).is_pending());
            futures.push(future);
        }
    }
    token.cancel();
    assert!(bells.iter().all(|bell| bell.rung() == 1));
}

#[test]
fn a_waker_that_comes_from_elsewhere_but_looks_the_same_is_registered_anew() {
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
    let (first, second) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    // Two executors, one after the other, with the same place on the stack.
    let mut place = Arc::clone(&first);
    let token = CancellationToken::new();
    let mut future = token.cancelled();
    for bell in [&first, &second] {
        place.clone_from(bell);
        let raw = RawWaker::new((&raw const place).cast(), &CHEAP);
        // SAFETY:
        // - the functions of the table are those of a waker whose data is `place`.
        let waker = unsafe { Waker::from_raw(raw) };
        assert!(poll(&waker, &mut future).is_pending());
    }
    token.cancel();
    assert_eq!((first.rung(), second.rung()), (0, 1));
}
