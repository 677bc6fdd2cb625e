//! Explores the interleavings of a mailbox, its gate and a shard that sleeps.

use loom::sync::Notify;
use loom::thread;

use super::Mailbox;
use crate::doorbell::{Gate, Post};
use crate::primitive::Arc;

struct Shard {
    gate: Gate,
    mailbox: Mailbox<u32>,
    bell: Notify,
}

impl Shard {
    fn new() -> Arc<Self> {
        Arc::new(Self { gate: Gate::new(), mailbox: Mailbox::new(), bell: Notify::new() })
    }

    fn send(&self, letter: u32) {
        self.mailbox.push(letter).expect("the mailbox is open");
        if self.gate.post() == Post::Ring {
            self.bell.notify();
        }
    }

    /// The loop of a shard that has nothing but letters to do. A letter that is missed is a
    /// deadlock, which loom reports.
    fn receive(&self, count: usize) -> Vec<u32> {
        let mut got = Vec::new();
        loop {
            self.mailbox.take(&mut got);
            if got.len() >= count {
                return got;
            }
            self.gate.announce();
            if self.mailbox.is_empty() {
                self.bell.wait();
            }
            let _ = self.gate.withdraw(); // Rung or not, the loop looks again.
        }
    }
}

#[test]
fn loom_a_letter_wakes_the_shard_that_looks_then_sleeps() {
    loom::model(|| {
        let shard = Shard::new();
        let sender = Arc::clone(&shard);
        let sender = thread::spawn(move || sender.send(7));
        assert_eq!(shard.receive(1), [7]);
        sender.join().unwrap();
    });
}

#[test]
fn loom_letters_of_two_senders_all_arrive() {
    loom::model(|| {
        let shard = Shard::new();
        let senders = [1, 2].map(|letter| {
            let shard = Arc::clone(&shard);
            thread::spawn(move || shard.send(letter))
        });
        let mut got = shard.receive(2);
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        let _ = senders.map(|sender| sender.join().unwrap()); // Units.
    });
}

#[test]
fn loom_letters_of_one_sender_arrive_in_order() {
    loom::model(|| {
        let shard = Shard::new();
        let sender = Arc::clone(&shard);
        let sender = thread::spawn(move || {
            sender.send(1);
            sender.send(2);
        });
        assert_eq!(shard.receive(2), [1, 2]);
        sender.join().unwrap();
    });
}

#[test]
fn loom_a_letter_to_a_mailbox_that_closes_is_left_or_comes_back() {
    loom::model(|| {
        let shard = Shard::new();
        let sender = Arc::clone(&shard);
        let sender = thread::spawn(move || sender.mailbox.push(7));
        let left = shard.mailbox.close();
        let refused = sender.join().unwrap().err();
        assert_eq!(left.into_iter().chain(refused).collect::<Vec<_>>(), [7]);
        assert!(shard.mailbox.is_empty());
    });
}
