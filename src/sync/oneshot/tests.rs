//! One value, sent or not, and whoever goes first.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use super::{RecvError, TryRecvError, channel};
use crate::sync::testing::{Bell, block_on};

#[test]
fn a_value_that_was_sent_is_received_once() {
    let (sender, mut receiver) = channel();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!(receiver.try_recv(), Ok(7));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(block_on(receiver), Err(RecvError(())));
}

#[test]
fn who_waits_is_woken_by_the_value_and_by_its_absence() {
    for sends in [true, false] {
        let bell = Bell::new();
        let (sender, mut receiver) = channel();
        assert!(bell.poll(Pin::new(&mut receiver)).is_pending());
        assert_eq!(bell.rung(), 0);
        if sends {
            assert_eq!(sender.send(7), Ok(()));
        } else {
            drop(sender);
        }
        assert_eq!(bell.rung(), 1);
        let expected = if sends { Ok(7) } else { Err(RecvError(())) };
        assert_eq!(bell.poll(Pin::new(&mut receiver)), Poll::Ready(expected));
        assert_eq!(Arc::strong_count(&bell), 1, "a waker is left");
    }
}

#[test]
fn the_waker_of_the_last_poll_is_woken_and_no_other() {
    let bells = [Bell::new(), Bell::new()];
    let (sender, mut receiver) = channel();
    for bell in [&bells[0], &bells[0], &bells[1]] {
        assert!(bell.poll(Pin::new(&mut receiver)).is_pending());
    }
    assert_eq!(Arc::strong_count(&bells[0]), 1, "the first waker is given back");
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!([bells[0].rung(), bells[1].rung()], [0, 1]);
}

#[test]
fn a_value_that_nobody_wants_comes_back() {
    let (sender, receiver) = channel();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(7), Err(7));

    let (sender, mut receiver) = channel();
    receiver.close();
    receiver.close();
    assert_eq!(sender.send(7), Err(7));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn what_was_sent_before_closing_is_received() {
    let (sender, mut receiver) = channel();
    assert_eq!(sender.send(7), Ok(()));
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(7));
}

#[test]
fn a_sender_that_waits_for_the_end_is_woken() {
    for drops in [true, false] {
        let bells = [Bell::new(), Bell::new()];
        let (mut sender, mut receiver) = channel::<u8>();
        for bell in &bells {
            assert!(bell.poll(std::pin::pin!(sender.closed())).is_pending());
        }
        if drops {
            drop(receiver);
        } else {
            receiver.close();
        }
        assert_eq!([bells[0].rung(), bells[1].rung()], [0, 1]);
        assert!(bells[0].poll(std::pin::pin!(sender.closed())).is_ready());
        assert_eq!(Arc::strong_count(&bells[1]), 1, "a waker is left");
    }
}

#[test]
fn a_sender_that_waits_and_then_sends_leaves_nothing() {
    let bell = Bell::new();
    let (mut sender, receiver) = channel();
    assert!(bell.poll(std::pin::pin!(sender.closed())).is_pending());
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!(Arc::strong_count(&bell), 1, "a waker is left");
    drop(receiver);
    assert_eq!(bell.rung(), 0);
}

#[test]
fn a_value_is_dropped_exactly_once() {
    let value = Arc::new(());
    // Received, refused, sent to one who does not look, and sent to one who goes at the same time.
    let (sender, mut receiver) = channel();
    assert!(sender.send(Arc::clone(&value)).is_ok());
    drop(receiver.try_recv());
    let (sender, receiver) = channel();
    drop(receiver);
    drop(sender.send(Arc::clone(&value)));
    let (sender, receiver) = channel();
    assert!(sender.send(Arc::clone(&value)).is_ok());
    drop(receiver);
    assert_eq!(Arc::strong_count(&value), 1);
    for _ in 0..500 {
        let (sender, receiver) = channel();
        let value = Arc::clone(&value);
        let sending = thread::spawn(move || drop(sender.send(value)));
        drop(receiver);
        sending.join().unwrap();
    }
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn values_cross_threads() {
    for number in 0..500 {
        let (sender, receiver) = channel();
        let waiting = thread::spawn(move || block_on(receiver));
        assert_eq!(sender.send(number), Ok(()));
        assert_eq!(waiting.join().unwrap(), Ok(number));
    }
}
