//! Explores the interleavings of arrivals, a gate and a shard that sleeps.

use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{StdArc, Toy, bounded};
use crate::doorbell::{Gate, Post};
use crate::id::TaskId;
use crate::primitive::Arc;
use crate::task::{Arrivals, Chain, Runnable};

struct Shard {
    gate: Gate,
    arrivals: Arrivals,
    bell: Notify,
    /// Polls, which the senders' tasks count.
    polls: Arc<AtomicUsize>,
}

impl Shard {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::new(),
            arrivals: Arrivals::new(),
            bell: Notify::new(),
            polls: Arc::new(AtomicUsize::new(0)),
        })
    }

    fn task(&self, toy: &StdArc<Toy>) -> (Runnable, TaskId) {
        let polls = Arc::clone(&self.polls);
        drop(toy.spawn(async move {
            polls.fetch_add(1, Ordering::Relaxed);
        }));
        let runnable = toy.pop().unwrap();
        let id = runnable.metadata().id();
        (runnable, id)
    }

    fn send(&self, runnable: Runnable) {
        assert!(self.arrivals.push(runnable).is_ok(), "the shard is there");
        if self.gate.post() == Post::Ring {
            self.bell.notify();
        }
    }

    /// The loop of a shard that has nothing but arrivals to do. One that is missed is a deadlock,
    /// which loom reports.
    fn receive(&self, count: usize) -> Vec<TaskId> {
        let mut got = Vec::new();
        loop {
            run(self.arrivals.take(), &mut got);
            if got.len() >= count {
                return got;
            }
            self.gate.announce();
            if self.arrivals.is_empty() {
                self.bell.wait();
            }
            let _ = self.gate.withdraw(); // Rung or not, the loop looks again.
        }
    }
}

fn run(chain: Chain, got: &mut Vec<TaskId>) {
    for runnable in chain {
        got.push(runnable.metadata().id());
        runnable.run();
    }
}

#[test]
fn loom_an_arrival_wakes_the_shard_that_looks_then_sleeps() {
    bounded(3, || {
        let (toy, shard) = (Toy::new(), Shard::new());
        let (runnable, id) = shard.task(&toy);
        let sender = Arc::clone(&shard);
        let sender = thread::spawn(move || sender.send(runnable));
        assert_eq!(shard.receive(1), [id]);
        sender.join().unwrap();
        assert_eq!(shard.polls.load(Ordering::Relaxed), 1);
        toy.assert_empty();
    });
}

#[test]
fn loom_arrivals_of_one_sender_keep_their_order_beside_those_of_another() {
    bounded(2, || {
        let (toy, shard) = (Toy::new(), Shard::new());
        let (first, of_first) = shard.task(&toy);
        let (second, of_second) = shard.task(&toy);
        let (other, of_other) = shard.task(&toy);
        let here = Arc::clone(&shard);
        let one = thread::spawn(move || {
            here.send(first);
            here.send(second);
        });
        let here = Arc::clone(&shard);
        let two = thread::spawn(move || here.send(other));
        let got = shard.receive(3);
        let at = |id| got.iter().position(|got| *got == id).unwrap();
        assert!(at(of_first) < at(of_second));
        assert!(got.contains(&of_other));
        one.join().unwrap();
        two.join().unwrap();
        assert_eq!(shard.polls.load(Ordering::Relaxed), 3);
        toy.assert_empty();
    });
}

#[test]
fn loom_an_arrival_at_a_shard_that_closes_is_left_or_comes_back() {
    bounded(3, || {
        let (toy, shard) = (Toy::new(), Shard::new());
        let (runnable, id) = shard.task(&toy);
        let sender = Arc::clone(&shard);
        let sender = thread::spawn(move || {
            sender.arrivals.push(runnable).err().map(|runnable| {
                let id = runnable.metadata().id();
                drop(runnable);
                id
            })
        });
        let mut left = Vec::new();
        run(shard.arrivals.close(), &mut left);
        let refused = sender.join().unwrap();
        assert_eq!(left.into_iter().chain(refused).collect::<Vec<_>>(), [id]);
        assert!(shard.arrivals.is_empty());
        toy.assert_empty();
    });
}
