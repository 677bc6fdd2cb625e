//! Receipts are there when messages were taken, and say so to who waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use super::{Closed, Left, Receipts};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }
}

fn claim(receipts: &Receipts) -> Left {
    let mut wakers = Vec::new();
    let left = receipts.claim(&mut wakers);
    wakers.into_iter().for_each(Waker::wake);
    left
}

#[test]
fn a_receipt_is_there_when_as_many_were_taken() {
    let receipts = Receipts::new();
    assert_eq!(receipts.look(0), Poll::Ready(Ok(())));
    assert_eq!(receipts.look(1), Poll::Pending);
    receipts.publish(2);
    assert_eq!(receipts.look(2), Poll::Ready(Ok(())));
    assert_eq!(receipts.look(3), Poll::Pending);
}

#[test]
fn those_whose_messages_were_taken_are_woken_and_no_others() {
    let receipts = Receipts::new();
    let counts = [(); 3].map(|()| Arc::new(Count::default()));
    for (position, count) in (1..).zip(&counts) {
        receipts.wait(position, None, count.waker()).unwrap();
    }
    assert_eq!(claim(&receipts), Left::Somebody);
    receipts.publish(2);
    assert_eq!(claim(&receipts), Left::Somebody);
    let woken = || counts.each_ref().map(|count| count.0.load(Ordering::Relaxed));
    assert_eq!(woken(), [1, 1, 0]);
    receipts.publish(3);
    assert_eq!(claim(&receipts), Left::Nobody);
    assert_eq!(woken(), [1, 1, 1]);
}

#[test]
fn a_waker_is_replaced_by_its_key_and_taken_back() {
    let receipts = Receipts::new();
    let counts = [(); 2].map(|()| Arc::new(Count::default()));
    let key = receipts.wait(1, None, counts[0].waker()).unwrap();
    assert!(receipts.will_wake(key, &counts[0].waker()));
    assert_eq!(receipts.wait(1, Some(key), counts[1].waker()), Some(key));
    assert!(!receipts.will_wake(key, &counts[0].waker()));
    assert_eq!(Arc::strong_count(&counts[0]), 1, "the first is dropped");
    receipts.forget(key);
    assert_eq!(Arc::strong_count(&counts[1]), 1, "the second is dropped");
    receipts.publish(1);
    assert_eq!(claim(&receipts), Left::Nobody);
    assert_eq!(counts[1].0.load(Ordering::Relaxed), 0);
}

#[test]
fn who_waits_at_the_end_hears_of_it() {
    let receipts = Receipts::new();
    let count = Arc::new(Count::default());
    receipts.publish(1);
    receipts.wait(2, None, count.waker()).unwrap();
    let mut wakers = Vec::new();
    receipts.close(&mut wakers);
    wakers.into_iter().for_each(Waker::wake);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(receipts.look(1), Poll::Ready(Ok(())), "what was taken stays taken");
    assert_eq!(receipts.look(2), Poll::Ready(Err(Closed)));
    assert_eq!(receipts.wait(2, None, count.waker()), None);
    assert!(receipts.is_closed());
}
