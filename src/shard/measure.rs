//! How long polls take and how long tasks wait, for the statistics.
//!
//! By default no clock is read for it: the shard notes the looks that it takes anyway, and a
//! stretch of polls between two of them is a sample. As every stretch ends with some look before
//! the shard sleeps, no long poll is missed, though it may not be known which of several it was.
//! With exact times every poll is between two looks of its own, and tasks are stamped when they are
//! queued.

use std::time::Instant;

use crate::assembly::Assembly;
use crate::shard::Shard;
use crate::shard::core::Core;
use crate::task::Runnable;

/// A stretch that took longer makes the shard look closer, in nanoseconds.
const LONG: u64 = 100_000;
/// Stamps are in steps of so many bits of nanoseconds: they come around after 9 minutes.
const STAMP_BITS: u32 = 7;

/// A look at the clock, and how many polls there had been.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    at: Instant,
    polls: u64,
}

impl Mark {
    /// Before the first poll.
    pub(super) fn new(at: Instant) -> Self {
        Self { at, polls: 0 }
    }
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
    /// The clock was read, and no poll is going on. `in_lap`: the last look was in the same lap of
    /// polls, so that nothing but polls lies between.
    #[inline]
    pub(super) fn mark(&self, at: Instant, in_lap: bool) {
        let polls = self.public().polls();
        let before = self.mark.replace(Mark { at, polls });
        if polls != before.polls && !self.exact {
            self.note_stretch(at, before, polls.wrapping_sub(before.polls), in_lap);
        }
    }

    fn note_stretch(&self, at: Instant, before: Mark, polls: u64, in_lap: bool) {
        let nanos = nanos_between(before.at, at);
        self.counters.longest_poll_nanos.raise(nanos);
        if in_lap {
            self.counters.poll_times.add(polls, nanos);
        }
        if nanos > LONG && polls > 1 {
            self.pace.borrow_mut().time_next_turn();
        }
    }

    /// Polls a task between two looks at the clock.
    #[cold]
    pub(super) fn poll_exactly(&self, runnable: Runnable) {
        let stamp = runnable.metadata().stamped();
        let began = self.now();
        let waited = self.core.stamp_of(began).wrapping_sub(stamp);
        self.counters.wake_to_poll.add(1, u64::from(waited) << STAMP_BITS);
        self.poll(runnable);
        let nanos = nanos_between(began, self.now());
        self.counters.poll_times.add(1, nanos);
        self.counters.longest_poll_nanos.raise(nanos);
    }

    /// As [`Core::stamp`], on the shard.
    #[cold]
    pub(super) fn stamp(&self, runnable: &Runnable) {
        runnable.metadata().stamp(self.core.stamp_of(self.now()));
    }
}

fn nanos_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}
