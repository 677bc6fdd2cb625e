//! Letters arrive whole, in order, and come back when the shard is gone.

use std::sync::Arc;
use std::thread;

use super::Mailbox;

#[test]
fn letters_are_taken_in_the_order_they_came() {
    let mailbox = Mailbox::new();
    assert!(mailbox.is_empty());
    for letter in 0..5 {
        mailbox.push(letter).unwrap();
    }
    assert_eq!(mailbox.len(), 5);
    let mut got = Vec::new();
    mailbox.take(&mut got);
    assert_eq!(got, [0, 1, 2, 3, 4]);
    assert!(mailbox.is_empty());
}

#[test]
fn letters_go_behind_those_that_were_not_read_yet() {
    let mailbox = Mailbox::new();
    let mut got = vec![1];
    mailbox.push(2).unwrap();
    mailbox.push(3).unwrap();
    mailbox.take(&mut got);
    assert_eq!(got, [1, 2, 3]);
    mailbox.take(&mut got);
    assert_eq!(got, [1, 2, 3]);
}

#[test]
fn an_empty_mailbox_gives_nothing() {
    let mailbox = Mailbox::<u8>::new();
    let mut got = Vec::new();
    mailbox.take(&mut got);
    assert!(got.is_empty());
}

#[test]
fn a_closed_mailbox_hands_back_what_was_left_and_what_comes() {
    let mailbox = Mailbox::new();
    mailbox.push("left").unwrap();
    assert_eq!(mailbox.close(), ["left"]);
    assert!(mailbox.is_empty());
    assert_eq!(mailbox.push("late"), Err("late"));
    let mut got = Vec::new();
    mailbox.take(&mut got);
    assert!(got.is_empty());
    assert!(mailbox.close().is_empty(), "it closes once");
}

#[test]
fn each_sender_keeps_its_order_among_others() {
    const EACH: u32 = 200;
    let mailbox = Arc::new(Mailbox::new());
    let senders = [0, 1, 2].map(|sender| {
        let mailbox = Arc::clone(&mailbox);
        thread::spawn(move || {
            for number in 0..EACH {
                mailbox.push((sender, number)).unwrap();
            }
        })
    });
    let mut got = Vec::new();
    while got.len() < 3 * EACH as usize {
        mailbox.take(&mut got);
        thread::yield_now();
    }
    let _ = senders.map(|sender| sender.join().unwrap()); // Units.
    for sender in 0..3 {
        let numbers = got.iter().filter(|(from, _)| *from == sender).map(|(_, number)| *number);
        assert!(numbers.eq(0..EACH), "the letters of sender {sender} are out of order");
    }
}
