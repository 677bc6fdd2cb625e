//! Which tasks live and what wakes them, asked of all shards: each looks at its own, and one that
//! is stuck is said to be.

use std::sync::Arc as StdArc;
use std::time::{Duration, Instant};

use crate::assembly::Assembly;
use crate::id::{ShardId, TaskId};
use crate::observe::{Answer, Dump, Inquiry, StuckShard, TimerDump};
use crate::port;
use crate::primitive::Ordering;
use crate::shard::{Core, Letter, Shard};
use crate::task::{self, CLOCK_BITS};

/// The most tasks, and the most timers, that a shard tells of at once.
const MOST: usize = 1 << 16;

impl<A: Assembly> Core<A> {
    /// The tasks that live. Blocks until all shards have answered or the time is over.
    pub(crate) fn dump(&self, patience: Duration) -> Dump {
        // Patience beyond what the clock can show has no end.
        let deadline = Instant::now().checked_add(patience);
        let inquiry = StdArc::new(Inquiry::new(self.shards.len()));
        for shard in (0..self.shards.len()).map(ShardId::from_index) {
            self.inquire(shard, &inquiry);
        }
        let mut dump = Dump::default();
        let (mut waits, mut timers) = (Vec::new(), Vec::new());
        for (index, answer) in inquiry.close(deadline).into_iter().enumerate() {
            let mut answer = answer.unwrap_or_else(|| {
                let shard = ShardId::from_index(index);
                dump.stuck.push(self.stuck(shard));
                // What others have spawned there is known without it.
                self.foreign(shard)
            });
            dump.add(&mut answer);
            waits.append(&mut answer.waits);
            timers.append(&mut answer.timers);
        }
        dump.arrange(&waits, &mut timers);
        dump
    }

    fn inquire(&self, shard: ShardId, inquiry: &StdArc<Inquiry>) {
        let is_here = port::with(|port| {
            let port = port.filter(|p| p.runtime() == self.runtime() && p.shard() == shard);
            port.map(|port| port.answer(inquiry)).is_some()
        });
        if is_here {
            return;
        }
        let letter = Letter::Inquire(StdArc::clone(inquiry), shard);
        match self.public(shard).mailbox.push(letter) {
            Ok(()) => self.wake_from_anywhere(shard),
            // It is gone, and its tasks are.
            Err(_) => inquiry.answer(shard, Answer::default()),
        }
    }

    /// The tasks of a shard that are known without it.
    fn foreign(&self, shard: ShardId) -> Answer {
        let mut answer = Answer::default();
        let registry = &self.public(shard).registry;
        answer.omitted = registry.inspect(self.clock(), MOST, &mut answer.tasks);
        answer
    }

    fn stuck(&self, shard: ShardId) -> StuckShard {
        let public = self.public(shard);
        let is_polling = !public.poll_count.load(Ordering::Relaxed).is_multiple_of(2);
        let since = public.looked.load(Ordering::Relaxed);
        let now = self.since_epoch(Instant::now());
        let poll_for = is_polling.then(|| Duration::from_nanos(now.saturating_sub(since)));
        let task = public.polled.load(Ordering::Relaxed);
        StuckShard {
            shard,
            poll_for,
            task: (is_polling && task != 0).then(|| TaskId::new(task)),
            live_tasks: public.registry.len(),
        }
    }

    /// The time as registries count it.
    pub(crate) fn clock(&self) -> u32 {
        // Cut on purpose: ages are differences.
        (self.since_epoch(Instant::now()) >> CLOCK_BITS) as u32
    }
}

impl<A: Assembly> Shard<A> {
    /// Says which tasks were spawned here and live, and whom its operations will wake.
    pub(super) fn answer_inquiry(&self, inquiry: &Inquiry) {
        if !inquiry.is_open() {
            return;
        }
        let mut answer = self.core.foreign(self.me);
        self.table.borrow().for_each_waker(|opcode, waker| {
            answer.waits.extend(task::of_waker(waker).map(|task| (task, opcode)));
        });
        self.tell_timers(&mut answer);
        inquiry.answer(self.me, answer);
    }

    /// Which tasks the timers here will wake. A waker names its task, so that nothing is kept for
    /// this while timers are set and removed.
    fn tell_timers(&self, answer: &mut Answer) {
        let now = self.now();
        self.wheel.borrow().for_each(|nanos, waker| {
            let Some(task) = task::of_waker(waker) else { return };
            if answer.timers.len() >= MOST {
                answer.omitted_timers += 1;
                return;
            }
            let deadline = self.instant(nanos);
            let left = deadline.saturating_duration_since(now);
            answer.timers.push((task, TimerDump { deadline, left }));
        });
    }
}
