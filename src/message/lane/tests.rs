//! A lane is a bounded queue of one writer and one reader.

use std::collections::VecDeque;
use std::thread;

use proptest::prelude::*;

use super::{Parcel, Receiver, Refused, lane};

fn parcel(number: u32) -> Parcel {
    Parcel::new(number as u16, number)
}

/// Takes a message and makes room for the next.
fn receive(receiver: &mut Receiver) -> Option<Parcel> {
    let parcel = receiver.pop();
    receiver.publish();
    parcel
}

#[test]
fn a_lane_holds_what_it_says_and_not_one_more() {
    for capacity in [1, 2, 3, 63, 64, 200] {
        let (mut sender, mut receiver) = lane(capacity);
        for number in 0..capacity as u32 {
            assert_eq!(sender.push(parcel(number)), Ok(()), "{number} of {capacity}");
        }
        assert_eq!(sender.push(parcel(0)), Err(Refused::Full), "limit {capacity}");
        assert_eq!(sender.sent(), capacity as u64);
        assert_eq!(receiver.pop(), Some(parcel(0)));
        assert_eq!(sender.push(parcel(9)), Err(Refused::Full), "nothing was said of {capacity}");
        receiver.publish();
        assert_eq!(sender.push(parcel(9)), Ok(()), "one was taken of {capacity}");
        assert_eq!(sender.push(parcel(0)), Err(Refused::Full), "limit {capacity}");
    }
}

#[test]
fn messages_arrive_in_order_lap_after_lap() {
    let (mut sender, mut receiver) = lane(5);
    for number in 0..1_000 {
        sender.push(parcel(2 * number)).unwrap();
        sender.push(parcel(2 * number + 1)).unwrap();
        assert!(!receiver.is_empty());
        assert_eq!(receive(&mut receiver), Some(parcel(2 * number)));
        assert_eq!(receive(&mut receiver), Some(parcel(2 * number + 1)));
        assert!(receiver.is_empty());
        assert_eq!(receive(&mut receiver), None);
    }
    assert_eq!(receiver.taken(), 2_000);
}

#[test]
fn the_smallest_and_the_largest_message_arrive_as_they_are() {
    let (mut sender, mut receiver) = lane(8);
    for tag in [0, 1, u16::MAX] {
        for val in [0, 1, u32::MAX] {
            for number in [None, Some(0), Some((1 << Parcel::NUMBER_BITS) - 1)] {
                let parcel = Parcel { tag, val, number };
                sender.push(parcel).unwrap();
                assert_eq!(receive(&mut receiver), Some(parcel));
            }
        }
    }
}

#[test]
fn a_closed_lane_takes_nothing() {
    let (mut sender, receiver) = lane(2);
    sender.push(parcel(1)).unwrap();
    receiver.receipts().close(&mut Vec::new());
    assert_eq!(sender.push(parcel(2)), Err(Refused::Closed));
    assert_eq!(sender.sent(), 1);
}

#[test]
fn two_threads_lose_double_and_overtake_nothing() {
    const MESSAGES: u32 = 200_000;
    for capacity in [1, 7, 256] {
        let (mut sender, mut receiver) = lane(capacity);
        let writer = thread::spawn(move || {
            for number in 0..MESSAGES {
                while sender.push(parcel(number)).is_err() {
                    thread::yield_now();
                }
            }
        });
        for number in 0..MESSAGES {
            let got = loop {
                match receive(&mut receiver) {
                    Some(got) => break got,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(got, parcel(number));
        }
        assert_eq!(receive(&mut receiver), None);
        writer.join().unwrap();
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(u16, u32),
    Pop,
}

proptest! {
    #[test]
    fn a_lane_does_what_a_bounded_queue_does(
        capacity in 1usize..200,
        steps in prop::collection::vec(
            prop_oneof![
                (any::<u16>(), any::<u32>()).prop_map(|(tag, val)| Step::Push(tag, val)),
                Just(Step::Pop),
            ],
            0..2_000,
        ),
    ) {
        let (mut sender, mut receiver) = lane(capacity);
        let mut model = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(tag, val) => {
                    let expected =
                        if model.len() < capacity { Ok(()) } else { Err(Refused::Full) };
                    prop_assert_eq!(sender.push(Parcel::new(tag, val)), expected);
                    if expected.is_ok() {
                        model.push_back(Parcel::new(tag, val));
                    }
                }
                Step::Pop => prop_assert_eq!(receive(&mut receiver), model.pop_front()),
            }
            prop_assert_eq!(receiver.is_empty(), model.is_empty());
            prop_assert_eq!(sender.sent() - receiver.taken(), model.len() as u64);
        }
    }
}
