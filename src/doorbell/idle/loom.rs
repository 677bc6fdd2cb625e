//! Explores the interleavings of kickers, parkers, searchers and the sentinel.

use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};

use loom::sync::Notify;
use loom::thread;

use super::{Help, Idle, Need};
use crate::doorbell::{Gate, Post};
use crate::id::ShardId;
use crate::primitive::{Arc, AtomicUsize, Ordering};

/// Shard 0 has the backlog; the others sleep and help.
const SHARDS: usize = 3;

struct Runtime {
    idle: Idle,
    gates: [Gate; SHARDS],
    bells: [Notify; SHARDS],
    /// How many tasks wait at shard 0; stands for its queue.
    backlog: AtomicUsize,
    /// How often somebody was claimed. Not part of the model.
    claims: StdAtomicUsize,
}

fn shard(number: usize) -> ShardId {
    ShardId::from_index(number)
}

impl Runtime {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            idle: Idle::new(SHARDS),
            gates: [(); SHARDS].map(|()| Gate::new()),
            bells: [(); SHARDS].map(|()| Notify::new()),
            backlog: AtomicUsize::new(0),
            claims: StdAtomicUsize::new(0),
        })
    }

    /// K1 to K5: pushes a task that shard 0 will not run itself.
    fn kick(&self, need: Need) -> Help {
        // K1
        self.backlog.fetch_add(1, Ordering::Relaxed);
        self.call_for_help(need)
    }

    fn call_for_help(&self, need: Need) -> Help {
        let help = self.idle.call_for_help(need);
        if let Help::Claimed(helper) = help {
            self.claims.fetch_add(1, StdOrdering::Relaxed);
            // K5
            self.wake(helper);
        }
        help
    }

    fn wake(&self, helper: ShardId) {
        if self.gates[helper.index()].post() == Post::Ring {
            self.bells[helper.index()].notify();
        }
    }

    /// Steals a task if it sees one.
    fn take(&self) -> bool {
        // Relaxed, as the hint of a queue's length is.
        let mut seen = self.backlog.load(Ordering::Relaxed);
        while seen > 0 {
            match self.backlog.compare_exchange(
                seen,
                seen - 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    fn has_backlog(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) > 0
    }

    /// Ends a search, and passes the duty on if work was found: Q1 to Q3.
    fn end_search(&self, found: bool) {
        if self.idle.end_search() && found && self.has_backlog() {
            let _ = self.call_for_help(Need::Urgent); // The claims are counted inside.
        }
    }

    fn announce(&self, me: usize) {
        self.gates[me].announce();
        self.idle.announce(shard(me));
    }

    /// Whether the shard had been claimed.
    fn withdraw(&self, me: usize) -> bool {
        let _ = self.gates[me].withdraw(); // These models are about the idle set.
        self.idle.withdraw(shard(me))
    }

    /// A shard that needs one task to be happy, and then is stuck in it for ever. If the task never
    /// comes it sleeps for ever, which loom reports.
    fn find_one_task(&self, me: usize) {
        loop {
            self.idle.begin_search();
            let found = self.take();
            self.end_search(found);
            if found {
                return;
            }
            self.announce(me);
            if self.sleep_announced(me) {
                return;
            }
        }
    }

    /// From P3 on. Whether a task was found.
    fn sleep_announced(&self, me: usize) -> bool {
        // P3
        if !self.has_backlog() {
            self.bells[me].wait();
        }
        self.wake_up(me)
    }

    fn wake_up(&self, me: usize) -> bool {
        if !self.withdraw(me) {
            return false;
        }
        let found = self.take();
        self.end_search(found);
        found
    }
}

#[test]
fn loom_no_backlog_is_left_while_a_shard_sleeps() {
    loom::model(|| {
        let runtime = Runtime::new();
        let parker = Arc::clone(&runtime);
        let parker = thread::spawn(move || parker.find_one_task(1));
        let _ = runtime.kick(Need::Urgent); // What it claimed is counted inside.
        parker.join().unwrap();
        assert_eq!(runtime.idle.searchers(), 0);
    });
}

#[test]
fn loom_a_backlog_meets_a_parker_that_does_not_search_first() {
    loom::model(|| {
        let runtime = Runtime::new();
        let parker = Arc::clone(&runtime);
        let parker = thread::spawn(move || {
            parker.announce(1);
            if !parker.sleep_announced(1) {
                parker.find_one_task(1);
            }
        });
        let _ = runtime.kick(Need::Urgent); // What it claimed is counted inside.
        parker.join().unwrap();
        assert_eq!(runtime.idle.searchers(), 0);
    });
}

#[test]
fn loom_one_call_after_the_other_brings_two_helpers() {
    loom::model(|| {
        let runtime = Runtime::new();
        let parkers = [1, 2].map(|me| {
            let runtime = Arc::clone(&runtime);
            thread::spawn(move || runtime.find_one_task(me))
        });
        let _ = runtime.kick(Need::Urgent); // What it claimed is counted inside.
        let _ = runtime.kick(Need::Urgent); // What it claimed is counted inside.
        let _ = parkers.map(|parker| parker.join().unwrap()); // Units.
        assert!(!runtime.has_backlog());
        assert_eq!(runtime.idle.searchers(), 0);
    });
}

#[test]
fn loom_the_last_searcher_that_found_work_passes_the_duty_on() {
    loom::model(|| {
        let runtime = Runtime::new();
        // Shard 2 sleeps for good; shard 1 has just found work elsewhere.
        runtime.announce(2);
        runtime.idle.begin_search();
        let searcher = Arc::clone(&runtime);
        let searcher = thread::spawn(move || searcher.end_search(true));
        let _ = runtime.kick(Need::Urgent); // What it claimed is counted inside.
        searcher.join().unwrap();
        // The task is nobody's as long as shard 2 is not woken.
        assert_eq!(runtime.claims.load(StdOrdering::Relaxed), 1);
        assert!(!runtime.idle.is_idle(shard(2)));
    });
}

#[test]
fn loom_a_call_that_found_nobody_does_not_hide_another() {
    loom::model(|| {
        let runtime = Runtime::new();
        // Shard 1 sleeps and comes back by itself, just when it is called.
        runtime.announce(1);
        let waking = Arc::clone(&runtime);
        let waking = thread::spawn(move || {
            if !waking.wake_up(1) {
                waking.find_one_task(1);
            }
        });
        let parker = Arc::clone(&runtime);
        let parker = thread::spawn(move || parker.find_one_task(2));
        let kicker = Arc::clone(&runtime);
        let kicker = thread::spawn(move || {
            let _ = kicker.kick(Need::Urgent); // What it claimed is counted inside.
        });
        let _ = runtime.kick(Need::Urgent); // What it claimed is counted inside.
        kicker.join().unwrap();
        waking.join().unwrap();
        parker.join().unwrap();
        assert_eq!(runtime.idle.searchers(), 0);
    });
}

#[test]
fn loom_two_calls_at_once_wake_one_searcher() {
    loom::model(|| {
        let runtime = Runtime::new();
        runtime.announce(1);
        runtime.announce(2);
        let kicker = Arc::clone(&runtime);
        let kicker = thread::spawn(move || kicker.kick(Need::Urgent));
        let here = runtime.kick(Need::Urgent);
        let there = kicker.join().unwrap();
        let claimed = [here, there].into_iter().filter(|&help| help != Help::NotNeeded).count();
        assert_eq!(claimed, 1);
        assert_eq!(runtime.idle.searchers(), 1);
    });
}

#[test]
fn loom_who_is_claimed_is_rung() {
    loom::model(|| {
        let runtime = Runtime::new();
        let stop = Arc::new(AtomicUsize::new(0));
        let helper = {
            let (runtime, stop) = (Arc::clone(&runtime), Arc::clone(&stop));
            thread::spawn(move || {
                runtime.announce(1);
                // P3
                if !runtime.has_backlog() && stop.load(Ordering::Relaxed) == 0 {
                    // Nobody but who claims it rings, or stops it if nobody claims it.
                    runtime.bells[1].wait();
                }
                if runtime.withdraw(1) {
                    runtime.end_search(false);
                }
            })
        };
        let help = runtime.kick(Need::Urgent);
        // The owner runs the task itself before the helper comes.
        assert!(runtime.take());
        if help == Help::NotNeeded {
            stop.store(1, Ordering::Relaxed);
            runtime.wake(shard(1));
        }
        helper.join().unwrap();
        assert_eq!(runtime.idle.searchers(), 0);
    });
}

#[test]
fn loom_who_was_claimed_sees_the_backlog() {
    loom::model(|| {
        let runtime = Runtime::new();
        runtime.announce(1);
        let kicker = Arc::clone(&runtime);
        let kicker = thread::spawn(move || {
            let _ = kicker.kick(Need::Urgent); // What it claimed is counted inside.
        });
        if runtime.withdraw(1) {
            assert!(runtime.has_backlog(), "the search would miss what it was called for");
        }
        kicker.join().unwrap();
    });
}

#[test]
fn loom_a_sentinel_that_resigns_looks_once_more() {
    loom::model(|| {
        let runtime = Runtime::new();
        // Shard 2 sleeps for good; shard 1, the sentinel, has found work elsewhere and will run it.
        runtime.announce(2);
        assert!(runtime.idle.become_sentinel(true));
        let sentinel = Arc::clone(&runtime);
        let sentinel = thread::spawn(move || {
            let _ = sentinel.idle.resign_sentinel(); // Wanted or not.
            if sentinel.has_backlog() {
                let _ = sentinel.call_for_help(Need::Urgent); // What it claimed is counted inside.
            }
        });
        let _ = runtime.kick(Need::Backlog); // What it claimed is counted inside.
        sentinel.join().unwrap();
        assert_eq!(runtime.claims.load(StdOrdering::Relaxed), 1);
    });
}

#[test]
fn loom_two_that_are_back_soon_leave_nothing_behind() {
    loom::model(|| {
        let runtime = Runtime::new();
        // Shard 2 sleeps for good; the two others wake one after the other for timers of their own.
        runtime.announce(2);
        runtime.idle.back_soon();
        runtime.idle.back_soon();
        let others = Arc::clone(&runtime);
        let others = thread::spawn(move || {
            for _ in 0..2 {
                others.idle.is_back();
                if others.has_backlog() {
                    let _ = others.call_for_help(Need::Backlog); // The claims are counted inside.
                }
            }
        });
        let _ = runtime.kick(Need::Backlog); // What it claimed is counted inside.
        others.join().unwrap();
        assert_eq!(runtime.claims.load(StdOrdering::Relaxed), 1);
    });
}

#[test]
fn loom_a_sentinel_stays_while_it_is_wanted_and_misses_nothing_when_it_goes() {
    loom::model(|| {
        let runtime = Runtime::new();
        assert!(runtime.idle.become_sentinel(true));
        let sentinel = Arc::clone(&runtime);
        let sentinel = thread::spawn(move || {
            // Each time round its short sleep is over.
            loop {
                let wanted = sentinel.idle.resign_sentinel().is_some();
                if sentinel.take() {
                    return;
                }
                if !wanted {
                    break;
                }
                assert!(sentinel.idle.become_sentinel(true));
                thread::yield_now();
            }
            sentinel.find_one_task(1);
        });
        let _ = runtime.kick(Need::Backlog); // What it claimed is counted inside.
        sentinel.join().unwrap();
        assert!(!runtime.has_backlog());
    });
}
