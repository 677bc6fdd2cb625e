//! Explores the interleavings of an owner that fills its slot and empties it, of those who take
//! from it, and of a shard that falls asleep beside them.
//!
//! Loom takes sequentially consistent operations for acquire and release ones, so where the proof
//! uses their one order (L1 before L2) the models have a fence: P2 is one already. All else, and so
//! what follows from that order (L3), is explored as it is.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::thread;

use super::{Slot, Word};
use crate::doorbell::{Help, Idle, Need};
use crate::id::ShardId;
use crate::primitive::{Arc, AtomicU64, AtomicUsize, Ordering, fence};

/// A task that writes to itself when it is polled, which loom watches.
struct Task {
    number: usize,
    polls: UnsafeCell<usize>,
    /// Loom reports what is not dropped.
    _left: Arc<()>,
}

impl Task {
    fn new(number: usize) -> Box<Self> {
        Box::new(Self { number, polls: UnsafeCell::new(0), _left: Arc::new(()) })
    }

    /// Polls it. Which one it was.
    fn poll(&self) -> usize {
        self.polls.with_mut(|polls| {
            // SAFETY:
            // - whoever has the task has it alone, which is what loom checks.
            unsafe { *polls += 1 };
        });
        self.number
    }
}

// SAFETY: the cell is touched by `poll`, by whoever has the task.
unsafe impl Send for Task {}

impl Word for Box<Task> {
    fn into_raw(self) -> NonNull<()> {
        NonNull::from(Box::leak(self)).cast()
    }

    unsafe fn from_raw(pointer: NonNull<()>) -> Self {
        // SAFETY:
        // - the pointer came from `into_raw`, and this is done once.
        unsafe { Box::from_raw(pointer.cast().as_ptr()) }
    }
}

/// Polls what there is.
fn poll(task: impl IntoIterator<Item = Box<Task>>) -> Vec<usize> {
    task.into_iter().map(|task| task.poll()).collect()
}

#[test]
fn loom_a_task_in_the_slot_goes_to_its_owner_or_to_one_thief() {
    loom::model(|| {
        let slot = Arc::new(Slot::new());
        let thieves = [(); 2].map(|()| {
            let slot = Arc::clone(&slot);
            thread::spawn(move || poll(slot.steal()))
        });
        let mut out = poll(slot.put(Task::new(0)));
        out.extend(poll(slot.take()));
        let stolen = thieves.map(|thief| thief.join().unwrap());
        out.extend(stolen.into_iter().flatten());
        assert_eq!(out, [0]);
    });
}

#[test]
fn loom_a_task_that_another_drives_out_is_neither_lost_nor_doubled() {
    loom::model(|| {
        let slot = Arc::new(Slot::new());
        let thief = Arc::clone(&slot);
        let thief = thread::spawn(move || [thief.steal(), thief.steal()].map(poll).concat());
        let mut out = Vec::new();
        for number in 0..3 {
            out.extend(poll(slot.put(Task::new(number))));
        }
        out.extend(poll(slot.take()));
        out.extend(thief.join().unwrap());
        out.sort_unstable();
        assert_eq!(out, [0, 1, 2]);
        assert!(slot.is_empty());
    });
}

#[test]
fn loom_a_task_that_nobody_took_goes_with_the_slot() {
    loom::model(|| {
        let slot = Arc::new(Slot::new());
        let thief = Arc::clone(&slot);
        let thief = thread::spawn(move || poll(thief.steal()));
        assert!(slot.put(Task::new(0)).is_none());
        drop(slot);
        // Loom reports a task that is neither polled nor dropped.
        assert!(thief.join().unwrap().len() <= 1);
    });
}

/// Shard 0 polls and fills its slot; shard 1 falls asleep beside it.
struct Runtime {
    idle: Idle,
    slot: Slot<Box<Task>>,
    /// As `Public::poll_count`.
    polls: AtomicU64,
    /// How many tasks are queued at shard 0; stands for its queue.
    queued: AtomicUsize,
}

/// What shard 1 knows when it sleeps.
#[derive(Debug, PartialEq, Eq)]
enum Sleep {
    /// It comes back by itself.
    AsSentinel,
    /// It does not sleep.
    SawBacklog,
    /// It sleeps until it is called.
    ForGood,
}

const OWNER: ShardId = ShardId::new(0);
const PARKER: ShardId = ShardId::new(1);

impl Runtime {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            idle: Idle::new(2),
            slot: Slot::new(),
            polls: AtomicU64::new(0),
            queued: AtomicUsize::new(0),
        })
    }

    /// As `Shard::poll`, on either side of the poll.
    fn begin_poll(&self) {
        let count = self.polls.load(Ordering::Relaxed);
        self.polls.store(count + 1, Ordering::Relaxed);
    }

    fn end_poll(&self) {
        let count = self.polls.load(Ordering::Relaxed);
        self.polls.store(count + 1, Ordering::Release);
    }

    /// As `Shard::enqueue` in a poll: L1, L2, and from K2 on. Whether the parker was called.
    fn wake(&self, number: usize) -> bool {
        if let Some(before) = self.slot.put(Task::new(number)) {
            drop(before);
            // Relaxed, as the hint of a queue's length may be.
            self.queued.fetch_add(1, Ordering::Relaxed);
        }
        // Stands for the one order of sequentially consistent operations.
        fence(Ordering::SeqCst);
        let queued = self.queued.load(Ordering::Relaxed);
        self.idle.any_after_exchange()
            && (queued > 0 || !self.idle.is_slot_seen_to())
            && self.call()
    }

    fn call(&self) -> bool {
        match self.idle.call_for_help(Need::Slot) {
            Help::Claimed(helper) => {
                assert_eq!(helper, PARKER);
                true
            }
            Help::NotNeeded => false,
        }
    }

    /// As `Shard::sleep` of shard 1, up to P4, with the look of `Shard::look_at_others`.
    fn fall_asleep(&self) -> Sleep {
        self.idle.announce(PARKER);
        // L3, in this order.
        let holds = self.slot.holds();
        let polls = self.polls.load(Ordering::Acquire) % 2 == 1;
        if self.queued.load(Ordering::Relaxed) > 0 {
            return Sleep::SawBacklog;
        }
        if (holds || polls) && self.idle.become_sentinel(true) {
            return Sleep::AsSentinel;
        }
        Sleep::ForGood
    }

    /// What must hold when shard 0 is stuck in a poll, whoever did what before.
    fn check(&self, sleep: &Sleep, called: bool) {
        let waits = self.queued.load(Ordering::Relaxed) + usize::from(self.slot.holds());
        let knows = called || *sleep != Sleep::ForGood;
        assert!(waits == 0 || knows, "{waits} tasks wait behind a poll, and shard 1 sleeps");
        assert_eq!(called, !self.idle.is_idle(PARKER), "who is claimed is called");
    }
}

#[test]
fn loom_a_task_in_the_slot_of_a_long_poll_is_seen_or_its_owner_calls() {
    loom::model(|| {
        let runtime = Runtime::new();
        let parker = Arc::clone(&runtime);
        let parker = thread::spawn(move || parker.fall_asleep());
        runtime.begin_poll();
        let called = runtime.wake(0);
        runtime.check(&parker.join().unwrap(), called);
    });
}

#[test]
fn loom_a_task_that_was_driven_out_of_the_slot_is_seen_when_the_next_poll_is_long() {
    loom::model(|| {
        let runtime = Runtime::new();
        let parker = Arc::clone(&runtime);
        let parker = thread::spawn(move || parker.fall_asleep());
        runtime.begin_poll();
        let first = runtime.wake(0);
        // The one before goes into the queue.
        let second = runtime.wake(1);
        runtime.end_poll();
        assert_eq!(poll(runtime.slot.take()), [1]);
        runtime.begin_poll();
        runtime.check(&parker.join().unwrap(), first || second);
    });
}

#[test]
fn loom_a_slot_that_a_thief_emptied_hides_nothing_from_who_falls_asleep() {
    loom::model(|| {
        let runtime = Runtime::new();
        runtime.begin_poll();
        let parker = Arc::clone(&runtime);
        let parker = thread::spawn(move || parker.fall_asleep());
        let thief = Arc::clone(&runtime);
        let thief = thread::spawn(move || drop(thief.slot.steal()));
        let first = runtime.wake(0);
        let second = runtime.wake(1);
        runtime.end_poll();
        thief.join().unwrap();
        drop(runtime.slot.take());
        runtime.begin_poll();
        runtime.check(&parker.join().unwrap(), first || second);
        assert!(!runtime.idle.is_idle(OWNER));
    });
}
