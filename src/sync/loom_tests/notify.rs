//! Who waits and who notifies.

use std::pin::Pin;

use loom::sync::Arc;
use loom::thread;

use super::{Bell, bounded};
use crate::sync::Notify;

#[test]
fn loom_notify_one_is_not_missed() {
    bounded(3, || {
        let notify = Arc::new(Notify::new());
        let other = Arc::clone(&notify);
        let notifying = thread::spawn(move || other.notify_one());
        Bell::new().run(Pin::new(&mut notify.notified()));
        notifying.join().unwrap();
        assert!(!notify.notified().enable(), "it was taken");
    });
}

#[test]
fn loom_notify_two_permits_for_two_who_wait() {
    bounded(2, || {
        let notify = Arc::new(Notify::new());
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let notify = Arc::clone(&notify);
                thread::spawn(move || {
                    Bell::new().run(Pin::new(&mut notify.notified()));
                    // The first wakes the second.
                    notify.notify_one();
                })
            })
            .collect();
        notify.notify_one();
        for waiting in waiting {
            waiting.join().unwrap();
        }
        assert!(notify.notified().enable());
    });
}

#[test]
fn loom_notify_is_passed_on_by_one_who_goes() {
    bounded(2, || {
        let notify = Arc::new(Notify::new());
        let other = Arc::clone(&notify);
        let going = thread::spawn(move || {
            let mut waits = other.notified();
            let ready = Bell::new().poll(Pin::new(&mut waits)).is_ready();
            drop(waits);
            if ready {
                other.notify_one();
            }
        });
        let other = Arc::clone(&notify);
        let notifying = thread::spawn(move || other.notify_last());
        Bell::new().run(Pin::new(&mut notify.notified()));
        going.join().unwrap();
        notifying.join().unwrap();
    });
}

#[test]
fn loom_notify_waiters_reaches_all_who_were_made() {
    bounded(3, || {
        let notify = Arc::new(Notify::new());
        let other = Arc::clone(&notify);
        let mut waits = notify.notified();
        let notifying = thread::spawn(move || other.notify_waiters());
        Bell::new().run(Pin::new(&mut waits));
        notifying.join().unwrap();
        assert!(!notify.notified().enable(), "nothing is stored");
    });
}
