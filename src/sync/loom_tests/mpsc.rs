//! Senders, permits, and the receiver of a bounded queue.

use std::sync::Arc as StdArc;

use loom::thread;

use super::{Bell, bounded};
use crate::sync::mpsc::{Receiver, channel};

/// Receives until the end.
fn drain<T>(receiver: &mut Receiver<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(message) = Bell::new().run(std::pin::pin!(receiver.recv())) {
        all.push(message);
    }
    all
}

#[test]
fn loom_mpsc_wakes_the_receiver_for_messages_and_for_the_end() {
    bounded(3, || {
        let (sender, mut receiver) = channel(2);
        let sending = thread::spawn(move || sender.try_send(1).unwrap());
        assert_eq!(drain(&mut receiver), [1]);
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_two_senders_share_the_slots() {
    bounded(2, || {
        let (sender, mut receiver) = channel(2);
        let other = sender.clone();
        let sending = thread::spawn(move || other.try_send(1).unwrap());
        let sending_too = thread::spawn(move || sender.try_send(2).unwrap());
        let mut all = drain(&mut receiver);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        sending.join().unwrap();
        sending_too.join().unwrap();
    });
}

#[test]
fn loom_mpsc_two_senders_that_find_no_room_both_see_what_one_of_them_settles() {
    bounded(2, || {
        let (sender, mut receiver) = channel(2);
        for number in [1, 2] {
            sender.try_send(number).unwrap();
            assert_eq!(receiver.try_recv(), Ok(number));
        }
        // There is room for both, which nobody has counted yet.
        let other = sender.clone();
        let sending = thread::spawn(move || other.try_send(3).unwrap());
        sender.try_send(4).unwrap();
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_a_slot_is_used_again_when_it_is_empty() {
    bounded(2, || {
        let (sender, mut receiver) = channel(1);
        let sending = thread::spawn(move || {
            for number in 0..3 {
                Bell::new().run(std::pin::pin!(sender.send(number))).unwrap();
            }
        });
        assert_eq!(drain(&mut receiver), [0, 1, 2]);
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_room_goes_to_each_who_waits() {
    bounded(2, || {
        let (sender, mut receiver) = channel(1);
        let other = sender.clone();
        let sending = thread::spawn(move || {
            Bell::new().run(std::pin::pin!(other.send(1))).unwrap();
        });
        let sending_too = thread::spawn(move || {
            Bell::new().run(std::pin::pin!(sender.send(2))).unwrap();
        });
        let mut all = drain(&mut receiver);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        sending.join().unwrap();
        sending_too.join().unwrap();
    });
}

#[test]
fn loom_mpsc_a_permit_and_a_message_get_their_own_slots() {
    bounded(2, || {
        let (sender, mut receiver) = channel(2);
        let other = sender.clone();
        let reserving = thread::spawn(move || {
            let permit = Bell::new().run(std::pin::pin!(other.reserve())).unwrap();
            permit.send(1);
        });
        let sending = thread::spawn(move || {
            for number in 2..4 {
                Bell::new().run(std::pin::pin!(sender.send(number))).unwrap();
            }
        });
        let mut all = drain(&mut receiver);
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
        reserving.join().unwrap();
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_one_who_leaves_the_line_passes_its_room_on() {
    bounded(2, || {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).unwrap();
        let other = sender.clone();
        let going = thread::spawn(move || {
            let mut waits = Box::pin(other.reserve());
            // Dropped with its place or with its permit.
            drop(Bell::new().poll(waits.as_mut()));
        });
        let sending = thread::spawn(move || {
            Bell::new().run(std::pin::pin!(sender.send(1))).unwrap();
        });
        assert_eq!(drain(&mut receiver), [0, 1]);
        going.join().unwrap();
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_what_is_sent_is_received_or_comes_back_when_it_closes() {
    bounded(3, || {
        let (sender, mut receiver) = channel(1);
        let sending = thread::spawn(move || {
            let first = sender.try_send(1).is_ok();
            let second = Bell::new().run(std::pin::pin!(sender.send(2))).is_ok();
            usize::from(first) + usize::from(second)
        });
        receiver.close();
        let received = drain(&mut receiver).len();
        assert_eq!(sending.join().unwrap(), received);
    });
}

#[test]
fn loom_mpsc_the_last_permit_ends_a_closed_channel() {
    for sends in [true, false] {
        bounded(3, move || {
            let (sender, mut receiver) = channel(1);
            let permit = Bell::new().run(std::pin::pin!(sender.clone().reserve_owned())).unwrap();
            let ending = thread::spawn(move || {
                drop(if sends { permit.send(1) } else { permit.release() });
            });
            receiver.close();
            assert_eq!(drain(&mut receiver).len(), usize::from(sends));
            ending.join().unwrap();
            drop(sender);
        });
    }
}

#[test]
fn loom_mpsc_messages_are_dropped_once_whoever_goes_first() {
    bounded(3, || {
        let value = StdArc::new(());
        let (sender, receiver) = channel(2);
        let sent = StdArc::clone(&value);
        let sending = thread::spawn(move || drop(sender.try_send(sent)));
        drop(receiver);
        sending.join().unwrap();
        assert_eq!(StdArc::strong_count(&value), 1);
    });
}
