//! Explores the interleavings of wakers and a sleeper at one gate.

use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};

use loom::sync::Notify;
use loom::thread;

use super::{Gate, Post};
use crate::primitive::{Arc, AtomicUsize, Ordering, UnsafeCell};

/// A gate with something to publish behind it and a bell to ring.
struct Shard {
    gate: Gate,
    /// How much was published; stands for a queue.
    published: AtomicUsize,
    bell: Notify,
    /// What the shard has opened before it sleeps and takes down when it is gone.
    doorbell: UnsafeCell<bool>,
    rings: StdAtomicUsize,
    /// Changed for its own sake.
    clock: AtomicUsize,
}

impl Shard {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::new(),
            published: AtomicUsize::new(0),
            bell: Notify::new(),
            doorbell: UnsafeCell::new(false),
            rings: StdAtomicUsize::new(0),
            clock: AtomicUsize::new(0),
        })
    }

    fn ring(&self) {
        self.doorbell.with(|open| {
            // SAFETY:
            // - who has the duty to ring reads a doorbell that nobody changes.
            assert!(unsafe { *open }, "the doorbell is open while somebody rings");
        });
        self.rings.fetch_add(1, StdOrdering::Relaxed);
        self.bell.notify();
    }

    /// W1 to W5, on a shard of the runtime.
    fn wake(&self) -> Post {
        // W1
        self.published.fetch_add(1, Ordering::Relaxed);
        let post = self.gate.post();
        if post == Post::Ring {
            self.ring();
        }
        post
    }

    /// W1 to W5, elsewhere.
    fn wake_foreign(&self) -> Post {
        // W1
        self.published.fetch_add(1, Ordering::Relaxed);
        let (post, duty) = self.gate.post_foreign();
        assert_eq!(post == Post::Ring, duty.is_some());
        if duty.is_some() {
            self.ring();
        }
        post
    }

    fn set_doorbell(&self, to: bool) {
        self.doorbell.with_mut(|open| {
            // SAFETY:
            // - the shard changes it before it first sleeps and after nobody rings any more.
            unsafe { *open = to };
        });
    }

    /// Sleeps until as much as `count` was published. A wake that is lost is a deadlock, which loom
    /// reports.
    fn sleep_until(&self, count: usize) {
        while self.published.load(Ordering::Relaxed) < count {
            self.gate.announce();
            // S3
            if self.published.load(Ordering::Relaxed) < count {
                self.bell.wait();
            }
            let _ = self.gate.withdraw(); // Rung or not, the loop looks again.
        }
    }

    fn open_doorbell(&self) {
        // Loom gives what a thread does the time of its last atomic operation; without this,
        // opening would count as done before a thread spawned just now. On a word of its own,
        // because loom looks for conflicts with the last access to a word only.
        self.clock.fetch_add(1, Ordering::Relaxed);
        self.set_doorbell(true);
    }
}

#[test]
fn loom_no_wake_is_lost() {
    loom::model(|| {
        let shard = Shard::new();
        let waker = Arc::clone(&shard);
        let waker = thread::spawn(move || waker.wake());
        shard.open_doorbell();
        shard.sleep_until(1);
        let _ = waker.join().unwrap(); // Whether it rang is not asked here.
    });
}

#[test]
fn loom_no_wake_from_outside_is_lost() {
    loom::model(|| {
        let shard = Shard::new();
        let waker = Arc::clone(&shard);
        let waker = thread::spawn(move || waker.wake_foreign());
        shard.open_doorbell();
        shard.sleep_until(1);
        let _ = waker.join().unwrap(); // Whether it rang is not asked here.
    });
}

#[test]
fn loom_two_wakers_ring_once_for_one_sleep() {
    loom::model(|| {
        let shard = Shard::new();
        shard.open_doorbell();
        shard.gate.announce();
        let wakers = [(); 2].map(|()| {
            let shard = Arc::clone(&shard);
            thread::spawn(move || shard.wake())
        });
        let posts = wakers.map(|waker| waker.join().unwrap());
        // S4: one bell ends the sleep, whoever rang it.
        shard.bell.wait();
        assert!(shard.gate.withdraw());
        let rings = posts.iter().filter(|&&post| post == Post::Ring).count();
        assert_eq!(rings, 1, "{posts:?}");
        assert_eq!(shard.rings.load(StdOrdering::Relaxed), 1);
    });
}

#[test]
fn loom_a_second_waker_is_not_lost_behind_the_first() {
    loom::model(|| {
        let shard = Shard::new();
        shard.open_doorbell();
        let wakers = [(); 2].map(|()| {
            let shard = Arc::clone(&shard);
            thread::spawn(move || shard.wake())
        });
        shard.sleep_until(2);
        let _ = wakers.map(|waker| waker.join().unwrap()); // Whether they rang is not asked here.
    });
}

#[test]
fn loom_who_withdraws_knows_of_the_ring() {
    loom::model(|| {
        let shard = Shard::new();
        shard.open_doorbell();
        let waker = Arc::clone(&shard);
        let waker = thread::spawn(move || waker.wake());
        shard.gate.announce();
        let rung = shard.gate.withdraw();
        let post = waker.join().unwrap();
        assert_eq!(rung, post == Post::Ring);
    });
}

#[test]
fn loom_a_withdrawal_after_a_ring_sees_what_was_published() {
    loom::model(|| {
        let shard = Shard::new();
        shard.open_doorbell();
        shard.gate.announce();
        let letter = Arc::new(UnsafeCell::new(0));
        let waker = {
            let (shard, letter) = (Arc::clone(&shard), Arc::clone(&letter));
            thread::spawn(move || {
                letter.with_mut(|letter| {
                    // SAFETY:
                    // - the sleeper reads it after it was rung.
                    unsafe { *letter = 1 };
                });
                let _ = shard.gate.post(); // Its answer is not what is tested.
            })
        };
        if shard.gate.withdraw() {
            letter.with(|letter| {
                // SAFETY:
                // - written before the post that this withdrawal saw.
                assert_eq!(unsafe { *letter }, 1);
            });
        }
        waker.join().unwrap();
    });
}

#[test]
fn loom_who_rings_sees_the_doorbell() {
    loom::model(|| {
        let shard = Shard::new();
        let sleeper = Arc::clone(&shard);
        let sleeper = thread::spawn(move || {
            sleeper.open_doorbell();
            sleeper.gate.announce();
        });
        // The race is with the opening; whether the shard is rung does not matter here.
        let _ = shard.wake(); // Its answer is not what is tested.
        sleeper.join().unwrap();
    });
}

#[test]
fn loom_a_doorbell_is_not_taken_down_while_somebody_rings() {
    loom::model(|| {
        let shard = Shard::new();
        shard.open_doorbell();
        shard.gate.announce();
        let waker = Arc::clone(&shard);
        let waker = thread::spawn(move || waker.wake_foreign());
        // The shard wakes for another reason, and it is the end of the runtime.
        shard.gate.close();
        shard.set_doorbell(false);
        let _ = waker.join().unwrap(); // Whether it rang is not asked here.
    });
}

#[test]
fn loom_a_gate_closes_after_a_withdrawal_too() {
    loom::model(|| {
        let shard = Shard::new();
        shard.open_doorbell();
        shard.gate.announce();
        let waker = Arc::clone(&shard);
        let waker = thread::spawn(move || waker.wake_foreign());
        let _ = shard.gate.withdraw(); // Its answer is not what is tested.
        shard.gate.close();
        shard.set_doorbell(false);
        let _ = waker.join().unwrap(); // Whether it rang is not asked here.
        assert_eq!(shard.gate.post(), Post::Awake, "a closed gate is never rung");
    });
}

/// E3 and E4: ends what lies in the queue, after a look that costs no shared write.
fn clear(shard: &Shard) -> usize {
    if shard.published.load(Ordering::Relaxed) == 0 {
        return 0;
    }
    shard.published.swap(0, Ordering::Relaxed)
}

#[test]
fn loom_what_is_queued_at_a_shard_that_goes_is_ended_once() {
    loom::model(|| {
        let shard = Shard::new();
        shard.set_doorbell(true);
        let inject = |foreign: bool| {
            let shard = Arc::clone(&shard);
            thread::spawn(move || {
                let _ = if foreign { shard.wake_foreign() } else { shard.wake() }; // It is awake.
                if shard.gate.is_closed() { clear(&shard) } else { 0 }
            })
        };
        let senders = [inject(true), inject(false)];
        shard.gate.close();
        let own = clear(&shard);
        let others: usize = senders.map(|sender| sender.join().unwrap()).into_iter().sum();
        assert_eq!(own + others, 2, "one that nobody ended is left");
    });
}
