//! Looking for work with other shards: whom to ask in which order, and when a LIFO slot is fair
//! game.

use std::time::{Duration, Instant};

use crate::assembly::Assembly;
use crate::id::ShardId;
use crate::options::StealOptions;
use crate::primitive::{Ordering, spin_loop};
use crate::queue::{LocalQueue, SharedQueue, Stolen};
use crate::shard::Shard;
use crate::task::Runnable;

use backoff::Backoff;

mod backoff;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

/// A poll that lasts longer than this lets others take from the LIFO slot.
const LONG_POLL: Duration = Duration::from_micros(100);
/// Looks at a poll before it counts as one that may be long: some microseconds.
const GLANCES: u32 = 128;
/// How often a theft that collided with another is tried again at once.
const RETRIES: usize = 4;

/// The order in which one shard asks the others, and what it saw of them.
#[derive(Debug)]
pub(super) struct Victims {
    me: usize,
    count: usize,
    options: StealOptions,
    random: u64,
    backoff: Backoff,
    /// For each shard the poll that it was in when last looked at, and since when.
    seen: Vec<(u64, Option<Instant>)>,
}

impl Victims {
    pub(super) fn new(me: ShardId, count: usize, options: StealOptions) -> Self {
        // Any odd constant times the number tells the shards apart; the sequence need not be good.
        let random = (me.index() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let backoff = Backoff::new(&options);
        Self { me: me.index(), count, options, random, backoff, seen: vec![(0, None); count] }
    }

    /// The shards to ask in this search: a random start, then on by the stride.
    pub(super) fn round(&mut self) -> impl Iterator<Item = ShardId> + use<> {
        // Marsaglia's xorshift64 (2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let (me, count) = (self.me, self.count);
        let start = (self.random % count as u64) as usize;
        let stride = self.options.victim_stride % count;
        let stride = if stride == 0 { 1 } else { stride };
        // A stride that divides the count would meet some shards twice and others never; so after
        // each full circle the walk moves one on.
        let circle = count / gcd(count, stride);
        (0..count)
            .map(move |step| (start + step * stride + step / circle) % count)
            .filter(move |&victim| victim != me)
            .take(self.options.victim_probe_count)
            .map(ShardId::from_index)
    }

    /// Whether the shard has been in the poll with this number for long.
    fn is_in_long_poll(&mut self, victim: ShardId, poll: u64, now: Instant) -> bool {
        let seen = &mut self.seen[victim.index()];
        match *seen {
            (number, Some(since)) if number == poll => now - since >= LONG_POLL,
            _ => {
                *seen = (poll, Some(now));
                false
            }
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What a shard that is about to sleep sees of the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Others {
    /// They have nothing that it could take, now or soon.
    AreQuiet,
    /// One is in a poll, or holds its next task back.
    AreBusy,
    /// There is work to take.
    HaveBacklog,
}

impl<A: Assembly> Shard<A> {
    /// Takes work from another shard, to be run next. Whether there was any.
    pub(super) fn steal(&self) -> bool {
        if self.core.shards.len() == 1 {
            return false;
        }
        let tried = self.counters.steal_attempts.get();
        let round = self.victims.borrow_mut().round();
        for victim in round {
            if let Some(runnable) = self.steal_queued(victim).or_else(|| self.steal_lifo(victim)) {
                self.next.set(Some(runnable));
                self.counters.steal_scans.add(1);
                self.searches_in_vain.set(0);
                self.end_backoff();
                return true;
            }
        }
        self.note_in_vain(self.counters.steal_attempts.get() != tried);
        false
    }

    /// A search took nothing. Whether it found a shard to try.
    fn note_in_vain(&self, tried: bool) {
        self.counters.steal_scans.add(u64::from(tried));
        let in_vain = self.searches_in_vain.get() + 1;
        self.searches_in_vain.set(in_vain);
        self.counters.steal_failed_streak_max.raise(in_vain);
    }

    /// As [`steal`](Self::steal), again and again while the shard spins: looks at others when the
    /// back-off says so.
    pub(super) fn steal_while_spinning(&self, now: Instant) -> bool {
        if !self.victims.borrow().backoff.is_over(now) {
            return false;
        }
        let found = self.others_have_backlog() && self.steal();
        if !found {
            self.victims.borrow_mut().backoff.in_vain(now);
        }
        found
    }

    /// The shard was called, or begins to look: what it saw of the others before says nothing.
    pub(super) fn end_backoff(&self) {
        self.victims.borrow_mut().backoff.end();
    }

    /// Whether another shard has queued work that this one may take.
    pub(super) fn others_have_backlog(&self) -> bool {
        let margin = self.core.options.steal.locality_margin;
        let mut others = self.core.shards.iter().enumerate();
        others.any(|(index, public)| index != self.me.index() && public.queue.len_hint() > margin)
    }

    /// The last look before a sleep (P3). The order of the loads is part of the proof: the slot and
    /// the poll first, then the queue.
    pub(super) fn look_at_others(&self) -> Others {
        let margin = self.core.options.steal.locality_margin;
        let mut answer = Others::AreQuiet;
        for (index, public) in self.core.shards.iter().enumerate() {
            if index == self.me.index() {
                continue;
            }
            // L3. Acquire pairs with the end of a poll: what the owner queued before is seen below.
            let holds = public.lifo.holds();
            let polls = public.poll_count.load(Ordering::Acquire) % 2 == 1;
            if public.queue.len_hint() > margin {
                return Others::HaveBacklog;
            }
            if holds || polls {
                answer = Others::AreBusy;
            }
        }
        answer
    }

    /// Whether a shard that polls holds its next task back; if the poll turns out long, somebody
    /// should take that task.
    pub(super) fn others_hold_a_task(&self) -> bool {
        let mut others = self.core.shards.iter().enumerate();
        others.any(|(index, public)| {
            index != self.me.index()
                && !public.lifo.is_empty()
                && public.poll_count.load(Ordering::Relaxed) % 2 == 1
        })
    }

    /// As [`others_hold_a_task`](Self::others_hold_a_task), and the poll lasts while this looks
    /// on: most polls are over sooner.
    pub(super) fn others_go_on_holding(&self) -> bool {
        let mut others = self.core.shards.iter().enumerate();
        others.any(|(index, public)| {
            let poll = public.poll_count.load(Ordering::Relaxed);
            index != self.me.index()
                && poll % 2 == 1
                && !public.lifo.is_empty()
                && (0..GLANCES).all(|_| {
                    spin_loop();
                    public.poll_count.load(Ordering::Relaxed) == poll
                })
        })
    }

    fn steal_queued(&self, victim: ShardId) -> Option<Runnable> {
        let options = &self.core.options.steal;
        let queue = &self.core.public(victim).queue;
        let waiting = queue.len_hint();
        let counters = &self.counters;
        if waiting <= options.locality_margin {
            counters.steal_skipped_locality.add(u64::from(waiting > 0));
            return None;
        }
        // Half, rounded up: a lone task behind a long poll is taken too.
        let spare = waiting - options.locality_margin;
        let most = waiting.div_ceil(2).min(options.batch_size).min(spare);
        for _ in 0..RETRIES {
            counters.steal_attempts.add(1);
            match self.queue.borrow_mut().steal_from(queue, most) {
                Stolen::Empty => return None,
                Stolen::Retry => {}
                Stolen::Took { first, moved } => {
                    counters.steal_success.add(1);
                    counters.stolen.add(1 + moved as u64);
                    return Some(first);
                }
            }
        }
        None
    }

    /// A task in the LIFO slot is its owner's next, and taking it costs more than it gives, unless
    /// the owner is stuck.
    fn steal_lifo(&self, victim: ShardId) -> Option<Runnable> {
        let public = self.core.public(victim);
        if public.lifo.is_empty() {
            return None;
        }
        let poll = public.poll_count.load(Ordering::Relaxed);
        let is_polling = poll % 2 == 1;
        let now = self.now();
        if !is_polling || !self.victims.borrow_mut().is_in_long_poll(victim, poll, now) {
            return None;
        }
        let counters = &self.public().counters;
        counters.steal_attempts.add(1);
        let stolen = public.lifo.steal()?;
        counters.steal_success.add(1);
        counters.stolen.add(1);
        Some(stolen)
    }
}
