//! Direct messages are delivered in order, whichever way they take.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{Departures, Landing, MOST_ON_THE_WAY, MOST_RIDERS, Message, Rider, Way};
use crate::driver::{Class, Token};
use crate::id::ShardId;
use crate::message::lane::{Parcel, Refused};
use crate::message::receipts::Receipts;
use crate::primitive::Arc;

const FROM: ShardId = ShardId::new(3);
const TO: ShardId = ShardId::new(0xFFFE);

fn pair(capacity: usize) -> (Departures, Landing) {
    let receipts = Arc::new(Receipts::new());
    (Departures::new(Arc::clone(&receipts), capacity), Landing::new(FROM, receipts))
}

fn go(departures: &mut Departures, message: Message) -> Way {
    let way = departures.way(FROM, TO, message).unwrap();
    departures.note(message);
    way
}

fn keep_rider(landing: &mut Landing, rider: Rider) -> bool {
    let (from, message) = Rider::read(rider.token, rider.result);
    assert_eq!(from, FROM);
    landing.keep(rider.token.generation(), Token::GENERATION_BITS, message)
}

fn keep_parcel(landing: &mut Landing, parcel: Parcel) -> bool {
    let number = parcel.number.expect("it was a direct message");
    let number = number & ((1 << Parcel::NUMBER_BITS) - 1);
    landing.keep(number.into(), Parcel::NUMBER_BITS, (parcel.tag, parcel.val))
}

fn deliver(landing: &mut Landing) -> Vec<Message> {
    let mut delivered = Vec::new();
    while let Some(message) = landing.peek() {
        delivered.push(message);
        landing.advance();
    }
    landing.receipts().publish(landing.taken());
    delivered
}

#[test]
fn a_message_travels_in_token_and_result_as_it_is() {
    let (mut departures, _) = pair(8);
    for message in [(0, 0), (u16::MAX, u32::MAX), (0x1234, 0x8000_0000)] {
        let Way::Direct(rider) = go(&mut departures, message) else { panic!("few are on the way") };
        assert_eq!(Rider::read(rider.token, rider.result), (FROM, message));
        assert_eq!(rider.token.class(), Some(Class::Message));
        assert_eq!(rider.sent.class(), Some(Class::MessageSent));
        assert_eq!(Rider::target(rider.sent), TO);
    }
}

#[test]
fn with_many_on_the_way_the_next_takes_the_lane_and_at_the_limit_none_goes() {
    let limit = MOST_RIDERS as usize + 2;
    let (mut departures, mut landing) = pair(limit);
    for number in 0..limit as u32 {
        match go(&mut departures, (1, number)) {
            Way::Direct(rider) => {
                assert!(u64::from(number) < MOST_RIDERS);
                assert!(keep_rider(&mut landing, rider));
            }
            Way::Queue(parcel) => {
                assert!(u64::from(number) >= MOST_RIDERS);
                assert!(keep_parcel(&mut landing, parcel));
            }
        }
    }
    assert_eq!(departures.way(FROM, TO, (1, 0)), Err(Refused::Full));
    assert_eq!(deliver(&mut landing).len(), limit);
    assert!(matches!(departures.way(FROM, TO, (1, 0)), Ok(Way::Direct(_))));
}

#[test]
fn one_that_comes_twice_or_was_never_on_the_way_is_refused() {
    let (mut departures, mut landing) = pair(8);
    let Way::Direct(rider) = go(&mut departures, (1, 1)) else { panic!("few are on the way") };
    assert!(keep_rider(&mut landing, rider));
    assert!(!keep_rider(&mut landing, rider), "it is here already");
    assert_eq!(deliver(&mut landing), [(1, 1)]);
    assert!(!keep_rider(&mut landing, rider), "it was delivered");
    assert_eq!(departures.failed(rider.sent.generation()), None, "it was delivered");
    assert!(!landing.keep(MOST_ON_THE_WAY as u32 + 1, 28, (0, 0)), "too far ahead");
}

#[test]
fn numbers_go_on_when_their_bits_run_out() {
    let (mut departures, mut landing) = pair(4);
    for round in 0..40_000u32 {
        let way = go(&mut departures, (0, round));
        let Way::Direct(rider) = way else { panic!("few are on the way") };
        if round % 3 == 0 {
            let parcel = departures.failed(rider.sent.generation()).unwrap();
            assert!(keep_parcel(&mut landing, parcel));
        } else {
            assert!(keep_rider(&mut landing, rider));
        }
        assert_eq!(deliver(&mut landing), [(0, round)]);
    }
}

proptest! {
    /// Completions come in order, some entries fail, and the lane has an order of its own: whatever
    /// the interleaving, messages are delivered once and in order.
    #[test]
    fn direct_messages_are_delivered_in_order_whichever_way_they_take(
        fates in prop::collection::vec((any::<bool>(), 0u8..4), 1..600),
    ) {
        let (mut departures, mut landing) = pair(400);
        let mut ring = VecDeque::new();
        let mut lane = VecDeque::new();
        let mut got = Vec::new();
        let mut sent = 0;
        for (fails, step) in fates {
            let message = (7, sent);
            if let Ok(way) = departures.way(FROM, TO, message) {
                departures.note(message);
                sent += 1;
                match way {
                    Way::Direct(rider) if fails => {
                        lane.push_back(departures.failed(rider.sent.generation()).unwrap());
                    }
                    Way::Direct(rider) => ring.push_back(rider),
                    Way::Queue(parcel) => lane.push_back(parcel),
                }
            }
            match step {
                0 => if let Some(rider) = ring.pop_front() {
                    prop_assert!(keep_rider(&mut landing, rider));
                },
                1 => if let Some(parcel) = lane.pop_front() {
                    prop_assert!(keep_parcel(&mut landing, parcel));
                },
                2 => got.extend(deliver(&mut landing)),
                _ => {}
            }
        }
        for rider in ring {
            prop_assert!(keep_rider(&mut landing, rider));
        }
        for parcel in lane {
            prop_assert!(keep_parcel(&mut landing, parcel));
        }
        got.extend(deliver(&mut landing));
        let all: Vec<Message> = (0..sent).map(|val| (7, val)).collect();
        prop_assert_eq!(got, all);
    }
}
