//! A shard without work: it looks with others, spins for a while, announces itself, looks once
//! more, and sleeps.

use std::time::Duration;

use crate::assembly::Assembly;
use crate::cpu;
use crate::doorbell::Need;
use crate::driver::Driver;
use crate::id::ShardId;
use crate::primitive::{Ordering, spin_loop};
use crate::queue::{LocalQueue, SharedQueue};
use crate::shard::steal::Others;
use crate::shard::{Shard, WAKE_COST_NANOS};

/// Looks at the signals before the shard becomes a searcher.
const GLANCES: u32 = 64;
/// With more shards than this nobody asks on which CPUs the others are.
const MOST_COMPARED: usize = 16;
/// Looks at the signals between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 8;

/// A sleep that submits is none if it is no longer than this.
const AT_ONCE: Duration = Duration::from_micros(3);

/// What a shard polls next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// What its queues have.
    Queued,
    /// A task that it has taken out of them, or stolen.
    InHand,
}

/// Which of the other shards have a claim on the CPU that they ran on last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wants {
    /// Those that are awake.
    Awake,
    /// Those that sleep too.
    Any,
}

impl<A: Assembly> Shard<A> {
    /// Leaves what is queued to the call that sleeps, if that will be the next thing to happen.
    /// Not before a spin, which waits for what is submitted; nor if somebody is to be rung, or
    /// something has come already.
    pub(super) fn submits_asleep(&self) -> bool {
        {
            let driver = self.driver.borrow();
            if driver.queued() == 0 || driver.pending() {
                return false;
            }
        }
        let sleeps_next = self.spin.borrow().window().is_zero()
            && !self.bells_owed.get()
            && !self.is_deaf()
            && self.silent_have_company();
        if sleeps_next {
            self.prompt.put_off();
        }
        sleeps_next
    }

    /// Nothing can run here: finds work, or sleeps until there may be some.
    pub(super) fn idle(&self) {
        self.idle_or_sleep();
        // There was something to do instead of the sleep that was to submit.
        if self.prompt.take_put_off() && self.driver.borrow().queued() > 0 {
            self.flush_ring();
        }
    }

    fn idle_or_sleep(&self) {
        // What the last completions led to must not wait for a spin: a shard sleeps until its bell.
        if self.bells_owed.get() {
            self.flush_ring();
        }
        if self.wake_counting() || self.wait_out_timer() {
            return;
        }
        let may_spin = !self.spin.borrow().window().is_zero();
        if may_spin && self.glance() {
            self.spin.borrow_mut().hit();
            self.counters.spin_hits.add(1);
            return;
        }
        let window = self.spin_window();
        self.core.idle.begin_search();
        let found = self.search(window);
        // The last searcher that found work sees whether there is more of it (K1..K4 again).
        if self.core.idle.end_search() && found {
            self.pass_on();
        }
        if !found {
            self.settle();
            self.rest_buffers();
            self.rest_fixed();
            self.sleep();
        }
    }

    /// Steals, or spins while that may pay. Whether there is something to do.
    fn search(&self, window: Duration) -> bool {
        if self.has_signal() || self.steal() {
            return true;
        }
        if window.is_zero() {
            return false;
        }
        self.end_backoff();
        let began = self.now();
        self.mark(self.nanos(began), false);
        let end = began + window;
        let timer = if self.gather().is_some() { None } else { self.next_timer() };
        let (found, now) = loop {
            for _ in 0..LOOKS_PER_CLOCK {
                if self.has_signal() {
                    break;
                }
                spin_loop();
            }
            let now = self.now();
            let timer_due = timer.is_some_and(|deadline| deadline <= now);
            if timer_due || self.has_signal() || self.steal_while_spinning(now) {
                break (true, now);
            }
            if now >= end {
                break (false, now);
            }
        };
        self.mark_idle(self.nanos(now));
        let counters = &self.public().counters;
        counters.spin_nanos.add(u64::try_from((now - began).as_nanos()).unwrap_or(u64::MAX));
        if found {
            self.spin.borrow_mut().hit();
            counters.spin_hits.add(1);
        } else {
            self.spin.borrow_mut().miss();
            counters.spin_misses.add(1);
        }
        found
    }

    /// How long to spin; not at all while another shard that is awake wants the same CPU, because
    /// what we would wait for may wait for us.
    fn spin_window(&self) -> Duration {
        let window = self.spin.borrow().window();
        if window.is_zero() || self.core.shards.len() > MOST_COMPARED {
            return window;
        }
        let cpu = self.note_cpu();
        let is_alone = !self.is_wanted(cpu, Wants::Awake) || self.leave_cpu(Wants::Awake);
        if is_alone { window } else { Duration::ZERO }
    }

    /// Before a sleep: gets away from the CPU of another shard, asleep or not. The kernel wakes a
    /// thread where it slept if it can; of two that slept on one CPU the second would wait there,
    /// while the first is stuck in a poll that it was to help with.
    fn settle(&self) {
        if self.core.shards.len() <= MOST_COMPARED && self.is_wanted(self.note_cpu(), Wants::Any) {
            self.leave_cpu(Wants::Any);
        }
    }

    /// The CPU that this shard is on, also for others to know.
    fn note_cpu(&self) -> u32 {
        let cpu = cpu::current();
        let noted = &self.public().cpu;
        // Others read it as often as they run out of work.
        if noted.load(Ordering::Relaxed) != cpu {
            noted.store(cpu, Ordering::Relaxed);
        }
        cpu
    }

    /// Whether another shard wants this CPU.
    fn is_wanted(&self, cpu: u32, by: Wants) -> bool {
        self.core.shards.iter().enumerate().any(|(index, public)| {
            index != self.me.index()
                && public.cpu.load(Ordering::Relaxed) == cpu
                && cpu != u32::MAX
                && (by == Wants::Any || !public.gate.is_parked())
        })
    }

    /// Moves to a CPU that no other shard wants, if there is one. Whether that was done.
    fn leave_cpu(&self, wanted: Wants) -> bool {
        let spread = match wanted {
            Wants::Awake => &self.spread,
            Wants::Any => &self.spread_asleep,
        };
        if !spread.borrow_mut().may_move(self.now()) {
            return false;
        }
        let Ok(allowed) = cpu::allowed() else { return false };
        let is_free =
            |cpu: &usize| u32::try_from(*cpu).is_ok_and(|cpu| !self.is_wanted(cpu, wanted));
        let Some(free) = allowed.iter().find(is_free) else { return false };
        if cpu::visit(free, &allowed).is_err() {
            return false;
        }
        self.public().cpu.store(cpu::current(), Ordering::Relaxed);
        true
    }

    /// Waits awake for a timer that is due before a sleep would end. Whether there was one.
    fn wait_out_timer(&self) -> bool {
        let lead = self.lead.borrow().get();
        let Some(deadline) = self.next_timer() else { return false };
        if lead.is_zero() || self.gather().is_some() {
            return false;
        }
        let now = self.now();
        self.mark(self.nanos(now), false);
        if deadline > now + lead {
            return false;
        }
        if self.driver.borrow().queued() > 0 {
            self.flush_ring();
        }
        while !self.has_signal() && self.now() < deadline {
            spin_loop();
        }
        true
    }

    /// A short look, before the shard counts as a searcher and everybody sees that: what answers at
    /// once costs no shared write.
    fn glance(&self) -> bool {
        let was_there = self.desk.has_signal();
        let is_over = (0..GLANCES).any(|_| {
            let has_signal = self.has_signal();
            if !has_signal {
                spin_loop();
            }
            has_signal
        });
        self.desk.glanced(is_over && !was_there && self.desk.has_signal());
        is_over
    }

    /// Whether something was left for this shard: letters, messages, injected tasks, completions,
    /// the end.
    pub(super) fn has_signal(&self) -> bool {
        let public = self.public();
        !public.arrivals.is_empty()
            || !public.mailbox.is_empty()
            || self.desk.has_signal()
            || self.queue.borrow().has_injected()
            || self.driver.borrow().pending()
            || self.core.is_closing()
    }

    /// Whether the doorbell is not armed, so that nobody could end a sleep.
    fn is_deaf(&self) -> bool {
        let unheard = self.unheard.take();
        self.unheard.set(unheard);
        unheard.is_some()
    }

    /// The parking protocol of `doorbell/README.md`.
    fn sleep(&self) {
        let public = self.public();
        // Before the announcement, so that nobody rings in the time between.
        // (Whoever left a task in a slot that is not for taking yet found nobody to call.)
        let gather = self.gather_now();
        if gather.is_some() {
            self.near.set(true);
            self.core.idle.back_soon();
        } else {
            self.watch_if(self.watchful.get() || self.look_at_others() == Others::AreBusy);
        }
        public.gate.announce();
        self.core.idle.announce(self.me);
        // S3, P3: the last look, after both announcements.
        // (A waker that polls where it is woken may have left a receive since the second look.)
        let others = self.look_at_others();
        let is_needed = self.has_signal()
            || self.is_deaf()
            || !self.silent_have_company()
            || !self.inbox.borrow().is_empty()
            || !self.deferred.borrow().is_empty();
        if is_needed || others == Others::HaveBacklog {
            // Before it does what was left for it alone: somebody may have left a task to the
            // search that has just ended (Q3). Who wakes up as the sentinel passes it on then.
            if is_needed && !self.sentinel.get() {
                self.pass_on();
            }
            self.wake_up(false);
            return;
        }
        // What a shard in a poll has just queued may not be seen yet.
        self.watch_if(gather.is_none() && others == Others::AreBusy);
        let began = self.now();
        self.mark(self.nanos(began), false);
        let lead = self.lead.borrow().get();
        let mut until = match gather {
            Some(span) => Some(began + span),
            None => self.next_timer().map(|timer| timer.checked_sub(lead).unwrap_or(timer)),
        };
        if self.sentinel.get() {
            let watch = began + self.watch.borrow().interval();
            until = Some(until.map_or(watch, |timer| timer.min(watch)));
        }
        let mut is_asleep = true;
        if until.is_none_or(|until| until > began) {
            public.counters.parks.add(1);
            self.note_timers();
            let has_submitted = self.prompt.take_put_off();
            let result = self.driver.borrow_mut().park(until);
            self.bells_owed.set(false);
            self.prompt.submitted();
            self.note_enter(result);
            let now = self.now();
            self.mark_idle(self.nanos(now));
            if let Some(until) = until
                && now >= until
            {
                self.lead.borrow_mut().learn(now - until);
            }
            let slept = now - began;
            if has_submitted && slept <= AT_ONCE {
                // What it submitted was there at once, so it was no sleep.
                is_asleep = false;
            } else {
                self.spin.borrow_mut().slept(slept);
            }
            let nanos = u64::try_from(slept.as_nanos()).unwrap_or(u64::MAX);
            public.counters.parked_nanos.add(nanos);
        }
        self.wake_up(is_asleep);
    }

    /// Takes the sentinel's office for the sleep to come, if it is vacant. Who gathers timers is
    /// awake soon anyway.
    fn watch_if(&self, wanted: bool) {
        if wanted && !self.sentinel.get() {
            let soon = self.watch.borrow().is_soon();
            self.sentinel.set(self.core.idle.become_sentinel(soon));
        }
    }

    /// Takes the announcements back, and does what a wake-up asks for.
    fn wake_up(&self, slept: bool) {
        let rung = self.public().gate.withdraw();
        let claimed = self.core.idle.withdraw(self.me);
        let watched = self.sentinel.replace(false);
        // Nobody may rely on a sentinel that is awake: what it runs next may take long.
        let wanted = if watched { self.core.idle.resign_sentinel() } else { None };
        let gathered = self.near.replace(false);
        if gathered {
            self.core.idle.is_back();
        }
        self.waking.set(rung);
        self.collect();
        self.waking.set(false);
        if claimed || watched {
            if !claimed {
                self.core.idle.begin_search();
            }
            let found = self.steal();
            let last = self.core.idle.end_search();
            // With work of its own it does not look again before it sleeps.
            if last && (found || self.has_work() || self.has_signal()) {
                self.pass_on();
            }
            if found || claimed || wanted == Some(Need::Backlog) {
                self.watch.borrow_mut().start_over();
            } else {
                let mut watch = self.watch.borrow_mut();
                if wanted.is_some() {
                    watch.stay_near();
                }
                watch.in_vain(self.others_go_on_holding());
            }
            // A shard that was called comes back by itself for a while, so that a call for help
            // need not ring each time; when nobody wants it any more it sleeps on.
            self.watchful.set(claimed || wanted.is_some());
            return;
        }
        if gathered {
            // Its own timers come first; what was left to it may be more than it has time for.
            self.pass_on();
        }
        if slept && !rung {
            self.fold();
        }
    }

    /// Hands the one task that this shard is woken for again and again to a shard that sleeps as
    /// well; its next operation is then on that shard's ring.
    fn fold(&self) {
        let stealable = self.queue.borrow().len();
        let pinned = self.pinned.borrow().len();
        if !self.pack.borrow_mut().woken(stealable, pinned) {
            return;
        }
        // Always towards the lower number, so that two shards do not hand tasks back and forth.
        let sleeper = (0..self.me.index())
            .map(ShardId::from_index)
            .find(|&shard| self.core.idle.is_idle(shard));
        let Some(target) = sleeper else { return };
        let Some(runnable) = self.queue.borrow_mut().pop() else { return };
        self.pack.borrow_mut().folded();
        self.public().counters.folded.add(1);
        self.core.inject(target, runnable);
    }

    /// Tells a sleeping shard of work that waits here, between two polls.
    pub(super) fn offer_backlog(&self, next: Next) {
        if self.core.shards.len() == 1 {
            return;
        }
        let queued = {
            let queue = self.queue.borrow();
            let own = queue.len();
            // More than one may have been injected; the hint may not know of the last.
            if queue.has_injected() { self.public().queue.len_hint().max(own + 1) } else { own }
        };
        let slot = usize::from(!self.public().lifo.is_empty());
        // One of them this shard runs itself at once, unless another goes first.
        let runs_one = next == Next::Queued && self.pinned.borrow().is_empty();
        if queued + slot > usize::from(runs_one) {
            // K2 comes before the look who sleeps: what was queued since the last poll was queued
            // without any order towards that.
            self.call_for(queued);
        }
    }

    /// As [`offer_backlog`](Self::offer_backlog), in the middle of a poll that has just put a task
    /// into the LIFO slot (L1).
    pub(super) fn offer_in_poll(&self) {
        let idle = &self.core.idle;
        // L2
        if !idle.any_after_exchange() {
            return;
        }
        let queued = self.queue.borrow().len();
        // What is queued was pushed without any order towards the look, so it takes K2.
        if queued > 0 {
            self.call_for(queued);
        } else if !idle.is_slot_seen_to() {
            self.core.call_for_help(Need::Slot);
        }
    }

    /// Wakes the next searcher for what this one has left.
    fn pass_on(&self) {
        if self.others_have_backlog() {
            self.core.call_for_help(Need::Backlog);
        } else if self.others_hold_a_task() {
            self.core.call_for_help(Need::Slot);
        }
    }

    /// Calls for help with so many queued tasks, or one in the slot. It is urgent if they will wait
    /// for longer than a wake-up takes.
    fn call_for(&self, queued: usize) {
        let wait = self.pace.borrow().poll_nanos().saturating_mul(queued as u64);
        // What was gathered is late by more than a wake-up anyway, and whoever gathers too looks
        // at this backlog in a moment.
        let worth = self.gather().map_or(WAKE_COST_NANOS, |span| span.as_nanos() as u64);
        self.core.call_for_help(match queued {
            0 => Need::Slot,
            _ if wait > worth => Need::Urgent,
            _ => Need::Backlog,
        });
    }
}
