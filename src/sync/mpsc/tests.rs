//! Messages, room and turns, against a queue that is written down.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use super::{Receiver, SendError, TryRecvError, TrySendError, channel};
use crate::sync::testing::{Bell, block_on};

mod model;

#[test]
fn messages_arrive_in_order_and_then_the_end() {
    let (sender, mut receiver) = channel(4);
    let again = sender.clone();
    assert!(sender.same_channel(&again));
    for number in 0..4 {
        assert_eq!(sender.try_send(number), Ok(()));
    }
    let full = sender.try_send(4).unwrap_err();
    assert_eq!(full.to_string(), "the channel is full: it holds its limit of 4 messages");
    assert_eq!(full.into_inner(), 4);
    for number in 0..4 {
        assert_eq!(receiver.try_recv(), Ok(number));
    }
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(block_on(again.send(5)), Ok(()));
    drop(again);
    assert_eq!(block_on(receiver.recv()), Some(5));
    assert_eq!(block_on(receiver.recv()), None);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_capacity_of_zero_is_one_and_too_much_is_refused() {
    let (sender, _receiver) = channel(0);
    assert_eq!((sender.max_capacity(), sender.capacity()), (1, 1));
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(sender.capacity(), 0);
    assert!(sender.try_send(2).unwrap_err().is_full());
    let too_much = std::panic::catch_unwind(|| channel::<u8>(super::MAX_CAPACITY + 1));
    assert!(too_much.is_err());
}

#[test]
fn a_capacity_that_is_no_power_of_two_is_kept_to() {
    let (sender, mut receiver) = channel(3);
    for round in 0..20 {
        for number in 0..3 {
            assert_eq!(sender.try_send((round, number)), Ok(()));
        }
        assert!(sender.try_send((round, 3)).is_err());
        for number in 0..3 {
            assert_eq!(receiver.try_recv(), Ok((round, number)));
        }
    }
}

#[test]
fn the_receiver_is_woken_by_the_message_it_waits_for_and_by_the_end() {
    let bell = Bell::new();
    let (sender, mut receiver) = channel(4);
    let poll =
        |receiver: &mut Receiver<u8>| receiver.poll_recv(&mut Context::from_waker(&bell.waker()));
    assert_eq!(poll(&mut receiver), Poll::Pending);
    assert_eq!(poll(&mut receiver), Poll::Pending);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!(bell.rung(), 1, "one wake for those that come before the next look");
    assert_eq!(poll(&mut receiver), Poll::Ready(Some(1)));
    assert_eq!(poll(&mut receiver), Poll::Ready(Some(2)));
    sender.try_send(3).unwrap();
    assert_eq!(bell.rung(), 1, "nobody waits");
    assert_eq!(poll(&mut receiver), Poll::Ready(Some(3)));
    assert_eq!(poll(&mut receiver), Poll::Pending);
    drop(sender);
    assert_eq!(bell.rung(), 2);
    assert_eq!(poll(&mut receiver), Poll::Ready(None));
}

#[test]
fn closing_hands_back_what_waits_and_keeps_what_is_promised() {
    let (sender, mut receiver) = channel(2);
    sender.try_send(1).unwrap();
    let permit = sender.try_reserve().unwrap();
    let bell = Bell::new();
    let mut waits = Box::pin(sender.send(9));
    assert!(bell.poll(waits.as_mut()).is_pending());
    let mut closed = Box::pin(sender.closed());
    assert!(bell.poll(closed.as_mut()).is_pending());
    receiver.close();
    assert_eq!(bell.rung(), 2);
    assert_eq!(bell.poll(waits.as_mut()), Poll::Ready(Err(SendError(9))));
    assert!(bell.poll(closed.as_mut()).is_ready());
    assert_eq!(sender.try_send(8), Err(TrySendError::Closed { message: 8 }));
    assert_eq!(block_on(sender.send(8)), Err(SendError(8)));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "a permit is out");
    let other = Bell::new();
    let mut recv = Box::pin(receiver.recv());
    assert!(other.poll(recv.as_mut()).is_pending());
    permit.send(2);
    assert_eq!(other.rung(), 1);
    assert_eq!(other.poll(recv.as_mut()), Poll::Ready(Some(2)));
    drop(recv);
    assert_eq!(block_on(receiver.recv()), None);
}

#[test]
fn the_last_permit_that_is_given_back_ends_a_closed_channel() {
    let (sender, mut receiver) = channel::<u8>(1);
    let permit = block_on(sender.clone().reserve_owned()).unwrap();
    receiver.close();
    let bell = Bell::new();
    let mut recv = Box::pin(receiver.recv());
    assert!(bell.poll(recv.as_mut()).is_pending());
    drop(permit.release());
    assert_eq!(bell.rung(), 1);
    assert_eq!(bell.poll(recv.as_mut()), Poll::Ready(None));
}

#[test]
fn a_batch_frees_room_for_as_many() {
    let (sender, mut receiver) = channel(4);
    for number in 0..4 {
        sender.try_send(number).unwrap();
    }
    let bells: Vec<_> = (0..3).map(|_| Bell::new()).collect();
    let mut waiting: Vec<_> = (4..7).map(|number| Box::pin(sender.send(number))).collect();
    for (bell, send) in bells.iter().zip(&mut waiting) {
        assert!(bell.poll(send.as_mut()).is_pending());
    }
    let mut numbers = Vec::new();
    assert_eq!(block_on(receiver.recv_many(&mut numbers, 0)), 0);
    assert_eq!(block_on(receiver.recv_many(&mut numbers, 2)), 2);
    assert_eq!(bells.iter().map(|bell| bell.rung()).collect::<Vec<_>>(), [1, 1, 0]);
    assert!(sender.try_send(9).unwrap_err().is_full(), "the room belongs to those who waited");
    assert_eq!(block_on(receiver.recv_many(&mut numbers, 100)), 2);
    for (bell, send) in bells.iter().zip(&mut waiting) {
        assert_eq!(bell.poll(send.as_mut()), Poll::Ready(Ok(())));
    }
    drop(waiting);
    drop(sender);
    assert_eq!(block_on(receiver.recv_many(&mut numbers, 100)), 3);
    assert_eq!(block_on(receiver.recv_many(&mut numbers, 100)), 0);
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn messages_are_dropped_exactly_once() {
    let value = Arc::new(());
    let (sender, mut receiver) = channel(8);
    for _ in 0..5 {
        sender.try_send(Arc::clone(&value)).unwrap();
    }
    drop(receiver.try_recv());
    let permit = sender.try_reserve().unwrap();
    assert_eq!(Arc::strong_count(&value), 5);
    drop(receiver);
    assert_eq!(Arc::strong_count(&value), 1, "what nobody will receive goes with the receiver");
    permit.send(Arc::clone(&value));
    assert_eq!(Arc::strong_count(&value), 2);
    drop(sender);
    assert_eq!(Arc::strong_count(&value), 1, "what a permit sent goes with the channel");
}

#[test]
fn a_hundred_thousand_messages_of_four_threads_arrive_in_their_order() {
    const EACH: usize = 25_000;
    for capacity in [1, 2, 7, 64] {
        let (sender, mut receiver) = channel(capacity);
        let senders: Vec<_> = (0..4)
            .map(|name| {
                let sender = sender.clone();
                let count = EACH / if capacity < 7 { 10 } else { 1 };
                thread::spawn(move || {
                    block_on(async {
                        for number in 0..count {
                            if number % 3 == 0 {
                                sender.reserve().await.unwrap().send((name, number));
                            } else {
                                sender.send((name, number)).await.unwrap();
                            }
                        }
                        count
                    })
                })
            })
            .collect();
        drop(sender);
        let mut next = [0; 4];
        block_on(async {
            let mut batch = Vec::new();
            loop {
                match receiver.recv().await {
                    Some(message) => batch.push(message),
                    None => break,
                }
                receiver.recv_many(&mut batch, 5).await;
                for (name, number) in batch.drain(..) {
                    assert_eq!(next[name], number);
                    next[name] += 1;
                }
            }
        });
        let sent: usize = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
        assert_eq!(next.iter().sum::<usize>(), sent);
    }
}
