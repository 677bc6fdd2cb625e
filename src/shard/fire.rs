//! The timers of a shard: firing what is due, and how long the rest lets it sleep.

use std::time::{Duration, Instant};

use crate::assembly::Assembly;
use crate::contain::wake;
use crate::cpu;
use crate::shard::Shard;

impl<A: Assembly> Shard<A> {
    /// Wakes whose time has come.
    pub(super) fn fire_timers(&self) {
        self.note_timers();
        if self.wheel.borrow().is_empty() {
            self.looked.set(None);
            return;
        }
        let now = self.now();
        self.looked.set(Some(now));
        let nanos = self.nanos(now);
        self.mark(nanos, false);
        let mut due = self.due.take();
        // Where many are due, each waits for the memory of its task; they wait together.
        self.wheel.borrow_mut().advance(nanos, |waker| {
            cpu::prefetch(waker.data());
            due.push(waker);
        });
        if !due.is_empty() {
            self.lead.borrow_mut().fired(now, due.len());
        }
        self.public().counters.timers_fired.add(due.len() as u64);
        due.drain(..).for_each(wake);
        self.due.replace(due);
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.wheel.borrow_mut().next_deadline().map(|nanos| self.instant(nanos))
    }

    /// How many timers are set, for those who ask.
    pub(super) fn note_timers(&self) {
        self.counters.timers.set(self.wheel.borrow().len() as u64);
    }

    /// How long to sleep at least, where timers are dense.
    pub(super) fn gather(&self) -> Option<Duration> {
        let timers = self.wheel.borrow().len();
        self.lead.borrow().gather(timers)
    }

    /// The same, if some are due by then.
    pub(super) fn gather_now(&self) -> Option<Duration> {
        let span = self.gather()?;
        let timer = self.next_timer()?;
        (timer <= self.now() + span).then_some(span)
    }
}
