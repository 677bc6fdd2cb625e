//! Who waits for the end of a runtime, with wakers that are anybody's code.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};

use super::Exits;
use crate::id::ShardId;

struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("a waker of somebody's");
    }
}

#[derive(Default)]
struct Good(AtomicUsize);

impl Wake for Good {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_hearing_of_the_end() {
    let exits = Exits::new(1);
    let good = Arc::<Good>::default();
    let wakers = [Waker::from(Arc::new(Bad)), Waker::from(Arc::clone(&good))];
    let mut waits = [Box::pin(exits.wait()), Box::pin(exits.wait())];
    for (wait, waker) in waits.iter_mut().zip(&wakers) {
        assert!(wait.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    exits.gone(ShardId::new(0), Ok(Ok(())));
    assert_eq!(good.0.load(Ordering::Relaxed), 1);
}

thread_local! {
    /// What a waker looks at when it is cloned.
    static LOOKED_AT: Cell<Option<&'static Exits>> = const { Cell::new(None) };
}

#[test]
fn a_waker_is_cloned_while_nothing_is_locked() {
    fn clone(data: *const ()) -> RawWaker {
        let exits = LOOKED_AT.get().expect("it is set");
        assert!(exits.state.try_lock().is_ok(), "cloned under the lock");
        RawWaker::new(data, &VTABLE)
    }
    fn nothing(_: *const ()) {}
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, nothing);
    let exits: &'static Exits = Box::leak(Box::new(Exits::new(1)));
    LOOKED_AT.set(Some(exits));
    // SAFETY: the functions take any pointer.
    let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &VTABLE)) };
    let mut wait = pin!(exits.wait());
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
}
