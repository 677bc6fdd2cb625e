//! How long polls take and how long tasks wait, for the statistics.
//!
//! By default no clock is read for it: the shard notes the looks that it takes anyway, and a
//! stretch of polls between two of them is a sample. As every stretch ends with some look before
//! the shard sleeps, no long poll is missed, though it may not be known which of several it was.
//! With exact times every poll is between two looks of its own, and tasks are stamped when they are
//! queued.

use std::time::{Duration, Instant};

use crate::assembly::Assembly;
use crate::primitive::Ordering;
use crate::shard::Shard;
use crate::shard::core::Core;
use crate::task::{CLOCK_BITS, Runnable};

/// A stretch that took longer makes the shard look closer, in nanoseconds.
const LONG: u64 = 100_000;
/// Stamps are in steps of so many bits of nanoseconds: they come around after 9 minutes.
const STAMP_BITS: u32 = 7;

/// A look at the clock, in nanoseconds since the shard began, and how many polls there had been.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Mark {
    at: u64,
    polls: u64,
}

impl<A: Assembly> Core<A> {
    /// Notes on a task that it is being queued, if tasks are stamped. By whoever queues it.
    pub(crate) fn stamp(&self, runnable: &Runnable) {
        if self.options.poll_histograms {
            runnable.metadata().stamp(self.stamp_of(Instant::now()));
        }
    }

    fn stamp_of(&self, now: Instant) -> u32 {
        // Cut on purpose: stamps are compared by their difference.
        (self.since_epoch(now) >> STAMP_BITS) as u32
    }
}

impl<A: Assembly> Shard<A> {
    /// The time as the wheel counts it.
    pub(super) fn nanos(&self, at: Instant) -> u64 {
        const PER_SECOND: u64 = 1_000_000_000;
        let since = at.saturating_duration_since(self.epoch);
        // An instant that does not fit is centuries away.
        since.as_secs().saturating_mul(PER_SECOND).saturating_add(since.subsec_nanos().into())
    }

    pub(super) fn instant(&self, nanos: u64) -> Instant {
        // A deadline that no clock can show is centuries away; a year stands for it.
        const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        self.epoch.checked_add(Duration::from_nanos(nanos)).unwrap_or_else(|| self.now() + FAR)
    }

    /// The clock was read, and no poll is going on. `in_lap`: the last look was in the same lap of
    /// polls, so that nothing but polls lies between.
    #[inline(never)]
    pub(super) fn mark(&self, at: u64, in_lap: bool) {
        self.note_look(at);
        let polls = self.public().polls();
        let before = self.mark.replace(Mark { at, polls });
        let polls = polls.wrapping_sub(before.polls);
        if polls == 0 {
            return;
        }
        let nanos = at.saturating_sub(before.at);
        self.counters.longest_poll_nanos.raise(nanos);
        if in_lap {
            self.counters.poll_times.add(polls, nanos);
        }
        if nanos > LONG && polls > 1 {
            self.pace.borrow_mut().time_next_turn();
        }
    }

    /// As [`mark`](Self::mark), after a time without any poll.
    #[inline]
    pub(super) fn mark_idle(&self, at: u64) {
        self.note_look(at);
        self.mark.set(Mark { at, ..self.mark.get() });
    }

    /// Shows others when the clock was read.
    #[inline]
    fn note_look(&self, at: u64) {
        let now = at.wrapping_add(self.behind);
        let public = self.public();
        public.looked.store(now, Ordering::Relaxed);
        // Cut on purpose: ages are differences.
        public.registry.set_clock((now >> CLOCK_BITS) as u32);
    }

    /// Reads the clock while no poll is going on. `in_lap`: as for [`mark`](Self::mark).
    #[inline]
    pub(super) fn look_at_clock(&self, in_lap: bool) -> u64 {
        let now = self.nanos(self.now());
        self.mark(now, in_lap);
        now
    }

    /// Reads the clock before the poll of a task.
    #[inline(never)]
    pub(super) fn look_before(&self, runnable: &Runnable) -> u64 {
        if self.exact {
            let now = self.core.stamp_of(self.now());
            let waited = now.wrapping_sub(runnable.metadata().stamped());
            self.counters.wake_to_poll.add(1, u64::from(waited) << STAMP_BITS);
        }
        let now = self.look_at_clock(false);
        if self.core.options.observe.slow_poll.is_some() {
            self.time_poll(runnable, now);
        }
        now
    }

    /// As [`Core::stamp`], on the shard.
    #[cold]
    pub(super) fn stamp(&self, runnable: &Runnable) {
        runnable.metadata().stamp(self.core.stamp_of(self.now()));
    }
}
