//! Explores the interleavings of the two ends of a lane.

use loom::thread;

use super::{Parcel, Receiver, Sender, lane};
use crate::primitive::{Arc, UnsafeCell};

fn send(sender: &mut Sender, number: u32) {
    while sender.push(Parcel::new(0, number)).is_err() {
        thread::yield_now();
    }
}

fn receive(receiver: &mut Receiver) -> u32 {
    loop {
        match receiver.pop() {
            Some(parcel) => {
                receiver.publish();
                return parcel.val;
            }
            None => thread::yield_now(),
        }
    }
}

/// Sends `count` through a lane of this capacity.
fn pass(capacity: usize, count: u32) {
    loom::model(move || {
        let (mut sender, mut receiver) = lane(capacity);
        let writer = thread::spawn(move || (1..=count).for_each(|n| send(&mut sender, n)));
        for number in 1..=count {
            assert_eq!(receive(&mut receiver), number);
        }
        assert_eq!(receiver.pop(), None);
        writer.join().unwrap();
    });
}

#[test]
fn loom_messages_pass_a_lane_of_one_in_order() {
    pass(1, 3);
}

#[test]
fn loom_one_look_finds_room_for_two_and_no_message_is_erased() {
    pass(2, 4);
}

#[test]
fn loom_a_lap_that_begins_while_another_ends_is_told_from_it() {
    pass(3, 4);
}

#[test]
fn loom_a_message_carries_what_was_done_before_it() {
    loom::model(|| {
        let (mut sender, mut receiver) = lane(1);
        let word = Arc::new(UnsafeCell::new(0));
        let writer = {
            let word = Arc::clone(&word);
            thread::spawn(move || {
                word.with_mut(|word| {
                    // SAFETY:
                    // - the reader looks when the message has arrived.
                    unsafe { *word = 1 };
                });
                send(&mut sender, 1);
            })
        };
        receive(&mut receiver);
        word.with(|word| {
            // SAFETY:
            // - the writer leaves it alone after the message.
            assert_eq!(unsafe { *word }, 1);
        });
        writer.join().unwrap();
    });
}
