//! The two ends of a channel for one value.

use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::Poll;

use loom::thread;

use super::{Bell, bounded};
use crate::sync::oneshot::channel;

#[test]
fn loom_oneshot_wakes_who_waits() {
    for sends in [true, false] {
        bounded(3, move || {
            let (sender, mut receiver) = channel();
            let sending = thread::spawn(move || {
                if sends {
                    assert_eq!(sender.send(7), Ok(()));
                } else {
                    drop(sender);
                }
            });
            let received = Bell::new().run(Pin::new(&mut receiver));
            assert_eq!(received.ok(), sends.then_some(7));
            sending.join().unwrap();
        });
    }
}

#[test]
fn loom_oneshot_wakes_the_waker_of_the_last_poll() {
    bounded(3, || {
        let (sender, mut receiver) = channel();
        let sending = thread::spawn(move || assert_eq!(sender.send(7), Ok(())));
        let bells = [Bell::new(), Bell::new()];
        let mut last = Poll::Pending;
        for bell in &bells {
            last = bell.poll(Pin::new(&mut receiver));
            if last.is_ready() {
                break;
            }
        }
        sending.join().unwrap();
        if last.is_pending() {
            assert_eq!(bells[1].rung(), 1);
            last = bells[1].poll(Pin::new(&mut receiver));
        }
        assert_eq!(last, Poll::Ready(Ok(7)));
        for bell in &bells {
            assert_eq!(StdArc::strong_count(bell), 1, "a waker is left");
        }
    });
}

#[test]
fn loom_oneshot_drops_a_value_once_whoever_goes_first() {
    bounded(3, || {
        let value = StdArc::new(());
        let (sender, receiver) = channel();
        let sent = StdArc::clone(&value);
        let sending = thread::spawn(move || drop(sender.send(sent)));
        drop(receiver);
        sending.join().unwrap();
        assert_eq!(StdArc::strong_count(&value), 1);
    });
}

#[test]
fn loom_oneshot_a_value_is_received_or_comes_back() {
    bounded(3, || {
        let (sender, mut receiver) = channel();
        let sending = thread::spawn(move || sender.send(7).is_ok());
        receiver.close();
        let received = receiver.try_recv().is_ok();
        assert_eq!(sending.join().unwrap(), received);
    });
}

#[test]
fn loom_oneshot_tells_a_sender_that_waits_for_the_end() {
    for waits_too in [true, false] {
        bounded(3, move || {
            let (mut sender, mut receiver) = channel::<u8>();
            let going = thread::spawn(move || {
                if waits_too {
                    assert!(Bell::new().poll(Pin::new(&mut receiver)).is_pending());
                }
                drop(receiver);
            });
            Bell::new().run(std::pin::pin!(sender.closed()));
            assert_eq!(sender.send(7), Err(7));
            going.join().unwrap();
        });
    }
}

#[test]
fn loom_oneshot_a_sender_that_waited_may_send() {
    bounded(3, || {
        let bell = Bell::new();
        let (mut sender, receiver) = channel();
        let going = thread::spawn(move || drop(receiver));
        let closed = bell.poll(std::pin::pin!(sender.closed())).is_ready();
        let sent = sender.send(7).is_ok();
        assert!(!(closed && sent));
        going.join().unwrap();
        assert_eq!(StdArc::strong_count(&bell), 1, "a waker is left");
    });
}
