//! The end of a shard: tasks end, operations are cancelled and reaped, and only then does the ring
//! go. What the kernel still uses when the time is over is leaked, and counted.

use std::io;
use std::mem::ManuallyDrop;
use std::sync::PoisonError;
use std::sync::atomic::Ordering as StdOrdering;
use std::time::{Duration, Instant};

use crate::assembly::Assembly;
use crate::contain::wake;
use crate::driver::{Driver, Token};
use crate::shard::Shard;
use crate::shard::outpost::refuse;
use crate::task::Chain;

/// How often a shard that is ending looks whether the others have ended.
const PACE: Duration = Duration::from_micros(500);
/// How often a shard that waits for the others looks whether the time is over.
const PATIENCE: Duration = Duration::from_millis(20);
/// After the deadline cancelled operations still get this long to come back.
const REAP: Duration = Duration::from_millis(500);

impl<A: Assembly> Shard<A> {
    /// Ends tasks and operations. Whether the kernel uses nothing of ours any more and nobody will
    /// ring this shard.
    pub(super) fn wind_down(&self) -> bool {
        // Also when somebody else has begun to close: from here on no registry takes a task, so the
        // count of live tasks only falls.
        if self.core.close() {
            // The driver failed. A runtime without this shard would lose wakes, so it closes.
            self.core.ring_others(self.me);
        }
        self.end_tasks();
        self.leaving.set(true);
        let reaped = self.end_operations();
        if self.failure.borrow().is_some() {
            self.core.ring_others(self.me);
        }
        let everybody = self.await_others();
        self.close();
        reaped && everybody
    }

    /// Takes nothing more, and ends what came meanwhile.
    fn close(&self) {
        // E1, E2. What is injected after this its sender clears away.
        self.public().gate.close();
        self.close_mail();
        self.end_timers();
        self.end_queued();
    }

    /// Wakes whoever waits for a timer of this shard: a future that was polled here and went
    /// elsewhere sets it anew there.
    fn end_timers(&self) {
        let mut wakers = Vec::new();
        self.wheel.borrow_mut().advance(u64::MAX, |waker| wakers.push(waker));
        wakers.into_iter().for_each(wake);
    }

    /// Drops the tasks that are queued here, which ends them. That may queue others.
    fn end_queued(&self) {
        while let Some(runnable) = self.next_task() {
            drop(runnable);
        }
    }

    /// Asks every task to end, and takes turns until all have, on all shards.
    fn end_tasks(&self) {
        let live = self.public().registry.len();
        self.core.dropped.fetch_add(live, StdOrdering::Relaxed);
        self.public().registry.abort_all();
        let mut told_all = false;
        let mut waits = false;
        let mut note = |now: bool| {
            if std::mem::replace(&mut waits, now) != now {
                self.core.quiet.note_waiting(self.me, now);
            }
        };
        while self.core.live_tasks() > 0 {
            if self.is_late() && !told_all {
                told_all = true;
                // A shard that is stuck has not told its tasks, and some of them may run here.
                // (What it spawned itself is in a list without a lock, so it alone can tell; such a
                // task hears of it when it is woken, or when the shard comes back.)
                self.core.shards.iter().for_each(|public| public.registry.abort_all());
            }
            self.fire_timers();
            self.take_arrivals();
            self.read_letters();
            if self.has_work() {
                note(false);
            }
            self.run_tasks();
            self.serve_ring();
            if self.has_work() || self.steal() {
                note(false);
                // Also after the deadline: who awaits these tasks waits for nothing else.
                continue;
            }
            if self.is_late() || self.failure.borrow().is_some() {
                break;
            }
            if self.core.live_tasks() > 0 {
                note(true);
                self.pause();
            }
        }
    }

    /// Takes no more tasks and letters. Tasks that came and did not run are dropped here, which is
    /// their place; the letters speak of what ended with the shard, and so do messages.
    fn close_mail(&self) {
        self.desk.close(wake);
        drop(self.arrived.replace(Chain::empty()));
        drop(self.public().arrivals.close());
        let unread = self.public().mailbox.close();
        self.inbox.take().into_iter().chain(unread).for_each(refuse);
    }

    /// A panic went through the shard: what can still be ended is ended, on the thread where it
    /// belongs. The ring and the operations are left as they are, because the kernel uses them.
    pub(super) fn abandon(&self) {
        self.core.close();
        self.core.ring_others(self.me);
        self.public().registry.abort_all();
        self.close();
    }

    /// Cancels every operation in flight and reaps it. Whether none is left.
    fn end_operations(&self) -> bool {
        self.arm_deferred();
        let tokens: Vec<Token> = self.table.borrow().in_flight().map(|(token, _)| token).collect();
        self.core.cancelled.fetch_add(tokens.len(), StdOrdering::Relaxed);
        for token in tokens {
            self.cancel_here(token);
        }
        let reap_until = self.now() + REAP;
        if !self.is_reaped() {
            self.core.quiet.note_waiting(self.me, false);
        }
        while !self.is_reaped() && self.failure.borrow().is_none() {
            if self.is_late() && self.now() > reap_until {
                break;
            }
            self.read_letters();
            self.serve_ring();
            if !self.is_reaped() {
                self.pause();
            }
        }
        let left = self.table.borrow().len();
        left == 0 && self.failure.borrow().is_none()
    }

    /// Whether the kernel has, and is about to get, nothing of this shard any more.
    pub(crate) fn is_reaped(&self) -> bool {
        self.table.borrow().len() == 0
            && self.closing.get() == 0
            && self.overflow.borrow().is_empty()
            && self.driver.borrow().queued() == 0
    }

    /// Waits until no other shard will ring this one. Whether that is so.
    fn await_others(&self) -> bool {
        self.core.quiet.arrive(self.me);
        // Who ends the runtime does not wait for this, and a shard that goes without the others
        // leaks its ring: one that reaps after the deadline is worth waiting for.
        let wait_until = self.now() + 2 * REAP;
        loop {
            // The deadline may yet be set, or brought forward, by who waits for the runtime.
            if self.core.quiet.wait(PATIENCE) {
                return true;
            }
            let is_too_late = self.is_late() && self.now() >= wait_until;
            if is_too_late || self.failure.borrow().is_some() {
                return false;
            }
        }
    }

    fn is_late(&self) -> bool {
        self.core.deadline().is_some_and(|deadline: Instant| self.now() >= deadline)
    }

    /// Sleeps a little, and collects what came.
    fn pause(&self) {
        let until = self.now() + PACE;
        let result = self.driver.borrow_mut().park(Some(until));
        self.note_driver(result);
        self.collect();
    }

    /// The last step, off the shard: drops the parts, or leaks what the kernel may still use.
    pub(super) fn leave(self, clean: bool) -> io::Result<()> {
        let failure = self.take_failure();
        let shard = ManuallyDrop::new(self);
        if clean {
            shard.retract_buffers();
            drop(ManuallyDrop::into_inner(shard));
        } else {
            // The ring, the buffers and the fds of operations stay: invariant I1 before memory.
            shard.lose_operations();
        }
        failure
    }

    /// Tells whoever waits for an operation in flight that nothing will come of it. Off the shard,
    /// so that what is woken goes to a shard that runs.
    pub(super) fn lose_operations(&self) {
        let opcodes: Vec<_> = self.table.borrow().in_flight().map(|(_, opcode)| opcode).collect();
        self.core.leaked.lock().unwrap_or_else(PoisonError::into_inner).extend(opcodes);
        let lost = self.table.borrow_mut().lose_all();
        for charge in lost {
            charge.lose(wake);
        }
    }
}
