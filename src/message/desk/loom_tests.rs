//! Explores the interleavings of senders, the gate, and a shard that takes messages and sleeps. The
//! names of the operations are those of `doorbell/README.md`.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicBool, Ordering as StdOrdering};
use std::task::{Wake, Waker};

use loom::sync::Notify;
use loom::thread;

use super::Desk;
use crate::doorbell::{Gate, Post};
use crate::id::ShardId;
use crate::message::Event;
use crate::message::hub::{Hub, Kind};
use crate::message::ticket::Look;
use crate::options::MessageOptions;
use crate::primitive::Arc;

const HERE: ShardId = ShardId::new(0);
const COUNTED: u16 = 9;

/// A shard that is sent to, as all see it.
struct Shard {
    hub: Arc<Hub>,
    gate: Gate,
    bell: Notify,
}

/// The end of a task's sleep.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: StdArc<Self>) {
        self.0.store(true, StdOrdering::Relaxed);
    }
}

impl Shard {
    fn new(capacity: usize) -> Arc<Self> {
        let options = MessageOptions { capacity, counted: vec![COUNTED], ..Default::default() };
        let hub = Arc::new(Hub::new(3, &options));
        Arc::new(Self { hub, gate: Gate::new(), bell: Notify::new() })
    }

    fn desk(&self, shard: u16) -> Desk {
        Desk::new(Arc::clone(&self.hub), ShardId::new(shard))
    }

    /// W2 to W5.
    fn post(&self) {
        if self.gate.post() == Post::Ring {
            self.bell.notify();
        }
    }

    /// W1 to W5, on another shard.
    fn send(&self, desk: &Desk, message: (u16, u32)) {
        if desk.send(HERE, message, 0).expect("there is room") {
            self.post();
        }
    }

    /// The loop of a shard with one task, which asks `next` until that gives something. What is
    /// missed is a deadlock, which loom reports.
    fn run<T>(&self, desk: &Desk, mut next: impl FnMut(&Waker) -> Option<T>) -> T {
        let woken = StdArc::new(Woken::default());
        let waker = Waker::from(StdArc::clone(&woken));
        woken.0.store(true, StdOrdering::Relaxed);
        loop {
            desk.take(Waker::wake);
            if woken.0.swap(false, StdOrdering::Relaxed)
                && let Some(output) = next(&waker)
            {
                return output;
            }
            self.sleep(desk);
        }
    }

    fn sleep(&self, desk: &Desk) {
        if desk.wake_counting(Waker::wake) {
            return;
        }
        // S1, S2
        self.gate.announce();
        // S3
        if !desk.has_signal() {
            // S4
            self.bell.wait();
        }
        // S5. Rung or not, the loop looks again.
        let _ = self.gate.withdraw(); // The loop looks again either way.
    }

    fn receive(&self, desk: &Desk, count: usize) -> Vec<(u16, u32)> {
        let (mut got, mut key) = (Vec::new(), None);
        self.run(desk, |waker| {
            while let Some(event) = desk.poll_event(Kind::Plain, &mut key, waker, Waker::wake) {
                let Event::RingMsg { from, val, .. } = event;
                got.push((from.get(), val));
                if got.len() == count {
                    return Some(());
                }
            }
            None
        });
        got
    }
}

#[test]
fn loom_the_first_message_of_a_lane_wakes_the_shard_that_looks_then_sleeps() {
    loom::model(|| {
        let shard = Shard::new(1);
        let there = Arc::clone(&shard);
        let sender = thread::spawn(move || there.send(&there.desk(1), (0, 7)));
        assert_eq!(shard.receive(&shard.desk(0), 1), [(1, 7)]);
        sender.join().unwrap();
    });
}

#[test]
fn loom_a_second_message_is_not_slept_on() {
    loom::model(|| {
        let shard = Shard::new(2);
        let there = Arc::clone(&shard);
        let sender = thread::spawn(move || {
            let desk = there.desk(1);
            there.send(&desk, (0, 1));
            there.send(&desk, (0, 2));
        });
        assert_eq!(shard.receive(&shard.desk(0), 2), [(1, 1), (1, 2)]);
        sender.join().unwrap();
    });
}

#[test]
fn loom_messages_of_two_sources_all_arrive() {
    loom::model(|| {
        let shard = Shard::new(1);
        let senders = [1, 2].map(|from| {
            let there = Arc::clone(&shard);
            thread::spawn(move || there.send(&there.desk(from), (0, from.into())))
        });
        let mut got = shard.receive(&shard.desk(0), 2);
        got.sort_unstable();
        assert_eq!(got, [(1, 1), (2, 2)]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn loom_external_threads_share_a_lane() {
    loom::model(|| {
        let shard = Shard::new(2);
        let senders = [1, 2].map(|val| {
            let there = Arc::clone(&shard);
            thread::spawn(move || {
                assert!(there.hub.send(HERE, (0, val), 0).unwrap());
                there.post();
            })
        });
        let mut got = shard.receive(&shard.desk(0), 2);
        got.sort_unstable();
        assert_eq!(got, [(u16::MAX, 1), (u16::MAX, 2)]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn loom_a_count_is_not_slept_on_though_only_the_first_posts() {
    loom::model(|| {
        let shard = Shard::new(1);
        let senders = [1, 2].map(|from| {
            let there = Arc::clone(&shard);
            thread::spawn(move || there.send(&there.desk(from), (COUNTED, from.into())))
        });
        let desk = shard.desk(0);
        let (mut sum, mut key) = (0, None);
        shard.run(&desk, |waker| {
            while let Some(count) = desk.poll_count(COUNTED, &mut key, waker) {
                sum += count;
                if sum == 3 {
                    return Some(());
                }
            }
            None
        });
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn loom_a_count_is_there_when_a_later_message_arrives() {
    loom::model(|| {
        let shard = Shard::new(1);
        let there = Arc::clone(&shard);
        let sender = thread::spawn(move || {
            let desk = there.desk(1);
            there.send(&desk, (COUNTED, 5));
            there.send(&desk, (0, 1));
        });
        let desk = shard.desk(0);
        assert_eq!(shard.receive(&desk, 1), [(1, 1)]);
        assert_eq!(desk.take_count(COUNTED), Some(5));
        sender.join().unwrap();
    });
}

#[test]
fn loom_who_waits_for_a_receipt_hears_of_it() {
    loom::model(|| {
        let shard = Shard::new(1);
        let there = Arc::clone(&shard);
        // The target: takes one message, then sleeps until somebody asks.
        let target = thread::spawn(move || {
            let desk = there.desk(0);
            there.receive(&desk, 1);
            desk
        });
        let desk = shard.desk(1);
        let (wake, pending) = desk.send_pending(HERE, (0, 1)).unwrap();
        assert!(wake);
        shard.post();
        let mut pending = pending.expect("it waits in the lane");
        let told = StdArc::new(Woken::default());
        let asked = match pending.poll(&Waker::from(StdArc::clone(&told))) {
            Look::Over(over) => {
                assert_eq!(over, Ok(()));
                false
            }
            Look::Waits => unreachable!("no waker lies there"),
            Look::Ask => {
                shard.hub.ask(HERE);
                shard.post();
                true
            }
        };
        let there = target.join().unwrap();
        // Its next turn, or its last look, sees the question if it was not seen before.
        if asked && !told.0.load(StdOrdering::Relaxed) {
            assert!(there.has_signal(), "the question is a signal");
            there.take(Waker::wake);
            assert!(told.0.load(StdOrdering::Relaxed));
        }
        let over = pending.poll(Waker::noop());
        assert_eq!(over, Look::Over(Ok(())));
    });
}

#[test]
fn loom_a_question_for_a_receipt_wakes_a_target_that_falls_asleep() {
    loom::model(|| {
        let shard = Shard::new(1);
        let there = Arc::clone(&shard);
        let sender = thread::spawn(move || {
            let desk = there.desk(1);
            let (_, pending) = desk.send_pending(HERE, (0, 1)).unwrap();
            there.post();
            let mut pending = pending.expect("it waits in the lane");
            let told = StdArc::new(Woken::default());
            if pending.poll(&Waker::from(StdArc::clone(&told))) == Look::Ask {
                there.hub.ask(HERE);
                there.post();
                // Not dropped here: that would take the waker back.
                return Some((pending, told));
            }
            None
        });
        // Turns as long as the sender needs: it is told by the target's own loop.
        let desk = shard.desk(0);
        shard.receive(&desk, 1);
        if let Some((_pending, told)) = sender.join().unwrap() {
            // The target's sleeps from here on end by the question, or it was answered.
            while !told.0.load(StdOrdering::Relaxed) {
                shard.sleep(&desk);
                desk.take(Waker::wake);
            }
        }
    });
}

#[test]
fn loom_a_receipt_at_a_target_that_closes_is_there_or_closed() {
    loom::model(|| {
        let shard = Shard::new(1);
        let there = Arc::clone(&shard);
        let sender = thread::spawn(move || {
            let desk = there.desk(1);
            let told = StdArc::new(Woken::default());
            let Ok((_, pending)) = desk.send_pending(HERE, (0, 1)) else { return None };
            let mut pending = pending.expect("it waits in the lane");
            match pending.poll(&Waker::from(StdArc::clone(&told))) {
                Look::Over(_) => None,
                Look::Waits | Look::Ask => Some((pending, told)),
            }
        });
        shard.desk(0).close(Waker::wake);
        if let Some((mut pending, told)) = sender.join().unwrap() {
            assert!(told.0.load(StdOrdering::Relaxed), "who waits is told of the end");
            assert!(matches!(pending.poll(Waker::noop()), Look::Over(Err(_))));
        }
    });
}
