//! A shard: one thread, one driver, and the turn it takes again and again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use crate::assembly::Assembly;
use crate::driver::{Cqe, Driver, Sqe};
use crate::id::ShardId;
use crate::inflight::Table;
use crate::message::Desk;
use crate::options::LEAVES_PER_POLL;
use crate::port::{self, Lane};
use crate::primitive::{Arc, Ordering};
use crate::queue::LocalQueue;
use crate::stats::Counters;
use crate::task::{self, Chain, Runnable};
use crate::timer::Wheel;

mod ahead;
mod alarm;
mod buffers;
mod collect;
mod core;
mod defer;
mod dump;
mod exit;
mod fire;
mod fixed;
mod idle;
mod lead;
mod look;
mod mail;
mod mailbox;
mod measure;
mod open;
mod outpost;
mod pace;
mod pack;
mod post;
mod prompt;
mod quiet;
mod seam;
mod sighting;
mod silent;
mod slot;
mod spin;
mod spread;
mod steal;
mod watch;

pub(crate) use self::core::{Core, Letter, LocalOf};
pub(crate) use ahead::Ahead;
#[cfg(any(test, fuzzing, feature = "testing"))]
pub(crate) use mailbox::Mailbox;
pub(crate) use outpost::Outpost;
pub(crate) use watch::Watch;

use self::core::Public;
use alarm::Timed;
use buffers::Buffers;
use defer::Deferred;
use fixed::Fixed;
use idle::Next;
use lead::Lead;
use measure::Mark;
use pace::Pace;
use pack::Pack;
use prompt::Prompt;
use silent::Silent;
use spin::Spin;
use spread::Spread;
use steal::Victims;

/// Tasks taken from the LIFO slot in a row before the queue gets its turn.
const LIFO_IN_A_ROW: u32 = 3;
/// Every so many polls a task is taken from the injected end first.
const INJECTED_EVERY: u32 = 31;
/// A backlog that will wait longer than this is worth waking another shard for.
const WAKE_COST_NANOS: u64 = 15_000;

/// One shard, on its own thread. Its state lies behind `&self`, because a poll, a wake or a
/// destructor of a user's comes back into it; nothing is borrowed while user code runs.
pub(crate) struct Shard<A: Assembly> {
    core: Arc<Core<A>>,
    me: ShardId,
    lane: Arc<dyn Lane>,
    /// What this shard counts; those who read it have a share.
    counters: Arc<CachePadded<Counters>>,
    /// Every task is stamped when it is queued.
    exact: bool,
    /// Every poll is timed by itself.
    timing: bool,
    /// The present poll, if polls that take long are told.
    timed: Cell<Option<Timed>>,
    /// How many nanoseconds later than that of the runtime the epoch of this shard is.
    behind: u64,
    /// How long polls may go on before the ring is served, in nanoseconds.
    time_budget: u64,
    // Field order is drop order: what the kernel may still touch outlives the driver, and `exit`
    // leaks both if it must.
    driver: RefCell<A::Driver>,
    doorbell: RefCell<A::Doorbell>,
    table: RefCell<Table>,
    /// What the kernel may receive into.
    buffers: RefCell<Buffers>,
    /// What the ring knows by number.
    fixed: RefCell<Fixed>,
    /// Stealable tasks.
    queue: RefCell<LocalOf<A>>,
    /// Tasks that may run here only.
    pinned: RefCell<VecDeque<Runnable>>,
    wheel: RefCell<Wheel<Waker>>,
    /// Messages from and to the other shards.
    desk: Desk,
    /// The instant that the wheel counts nanoseconds from.
    epoch: Instant,
    /// The time when somebody last asked for the sake of a timer, if there were timers since.
    looked: Cell<Option<Instant>>,
    /// Shares of the lane that nobody needs just now.
    lanes: RefCell<Vec<Arc<dyn Lane>>>,
    /// Receives that wait for a second look before they are armed.
    deferred: RefCell<Deferred>,
    /// Sends in flight that say nothing when they end well.
    silent: RefCell<Vec<Silent>>,
    /// Entries that the submission queue had no room for, in order.
    overflow: RefCell<VecDeque<Sqe>>,
    /// Tasks that were sent to this shard and taken, but not queued yet.
    arrived: RefCell<Chain>,
    inbox: RefCell<Vec<Letter>>,
    /// Completions of one drain; kept for its capacity.
    batch: RefCell<Vec<Cqe>>,
    due: RefCell<Vec<Waker>>,
    victims: RefCell<Victims>,
    spin: RefCell<Spin>,
    prompt: Prompt,
    spread: RefCell<Spread>,
    /// The same, for moves before a sleep.
    spread_asleep: RefCell<Spread>,
    lead: RefCell<Lead>,
    pack: RefCell<Pack>,
    pace: RefCell<Pace>,
    /// The last look at the clock while no poll was going on.
    mark: Cell<Mark>,
    watch: RefCell<Watch>,
    /// A task is being polled.
    polling: Cell<bool>,
    /// A completion of the doorbell that could not arm itself again for want of room.
    unheard: Cell<Option<Cqe>>,
    /// Fds that the ring was asked to close and has not closed yet.
    closing: Cell<usize>,
    /// Doorbells are queued that sleeping shards wait for.
    bells_owed: Cell<bool>,
    /// Ready leaves that the present poll may still have; below 0 when one was refused.
    leaves: Cell<i64>,
    /// Searches for other shards' work in a row that were in vain.
    searches_in_vain: Cell<u64>,
    /// What is collected may have ended a sleep of this shard.
    waking: Cell<bool>,
    /// Operations that the present poll has made and not started.
    made: Cell<u32>,
    lifo_streak: Cell<u32>,
    /// Looks at the ring, the timers and the messages.
    looks: Cell<u32>,
    /// Who is woken between two polls and goes before the stealable tasks that wait.
    ahead: Ahead,
    /// And before the pinned ones.
    ahead_pinned: Ahead,
    tick: Cell<u32>,
    /// The pinned tasks are next to go before the stealable ones.
    pinned_first: Cell<bool>,
    /// A task that was stolen to be run at once.
    next: Cell<Option<Runnable>>,
    /// This shard sleeps as the sentinel of the runtime.
    sentinel: Cell<bool>,
    /// This shard sleeps until some timers are due together.
    near: Cell<bool>,
    /// This shard is the sentinel when it sleeps next, if there is no other.
    watchful: Cell<bool>,
    /// Fds are closed by a direct call: the ring takes nothing more.
    leaving: Cell<bool>,
    /// The driver failed in a way that it cannot recover from.
    failure: RefCell<Option<io::Error>>,
}

impl<A: Assembly> Shard<A> {
    /// Takes turns until the runtime closes, then ends what is left. Returns what made the driver
    /// useless, if anything did.
    pub(crate) fn run(self) -> io::Result<()> {
        // A panic must not drop what the kernel uses (I1).
        let shard = ManuallyDrop::new(self);
        let finished = on_shard(&*shard, || {
            let turns = || {
                while !shard.core.is_closing() && shard.failure.borrow().is_none() {
                    shard.turn();
                }
                shard.wind_down()
            };
            catch_unwind(AssertUnwindSafe(turns)).inspect_err(|_| {
                // The part that panicked may do it again.
                drop(catch_unwind(AssertUnwindSafe(|| shard.abandon())));
            })
        });
        match finished {
            Ok(clean) => ManuallyDrop::into_inner(shard).leave(clean),
            Err(panic) => {
                shard.lose_operations();
                resume_unwind(panic)
            }
        }
    }

    /// One turn: timers, letters, messages, tasks, the ring; and sleep if there is nothing to do.
    fn turn(&self) {
        self.count_look();
        self.fire_timers();
        self.take_arrivals();
        self.read_letters();
        self.take_messages();
        self.public().registry.settle();
        self.run_tasks();
        if self.has_work() {
            self.arm_overdue();
            self.serve_ring();
            return;
        }
        if self.awaits_ring() {
            self.arm_overdue();
            self.serve_ring();
            if self.has_work() {
                return;
            }
        }
        if self.look_again() {
            // Receives that go on finding their data must not keep others from the ring.
            return self.serve_ring();
        }
        if !(self.prompt.may_put_off() && self.submits_asleep()) {
            self.serve_ring();
        }
        if !self.has_work() {
            self.idle();
        }
    }

    fn public(&self) -> &Public<A> {
        self.core.public(self.me)
    }

    fn now(&self) -> Instant {
        self.driver.borrow().now()
    }

    /// Whether there is something to do here without a wake-up.
    fn has_work(&self) -> bool {
        !self.pinned.borrow().is_empty()
            || !self.queue.borrow().is_empty()
            || !self.public().lifo.is_empty()
            || !self.arrived.borrow().is_empty()
            || !self.inbox.borrow().is_empty()
            || !self.overflow.borrow().is_empty()
    }

    /// What is woken from here on comes from one look.
    fn count_look(&self) {
        self.looks.set(self.looks.get().wrapping_add(1));
    }

    /// Runs tasks until there are none, or the budget of polls or of time is used up.
    fn run_tasks(&self) {
        let options = &self.core.options;
        let budget = self.time_budget;
        let mut lap = self.pace.borrow().begin(self.timing);
        let stolen = self.next.take();
        self.offer_backlog(if stolen.is_some() { Next::InHand } else { Next::Queued });
        self.next.set(stolen);
        while lap.polls() < options.poll_budget {
            let Some(runnable) = self.next_task() else { break };
            // Their targets sleep, or peers wait for a request, and this poll may be long.
            if self.bells_owed.get() || self.is_silent_queued() {
                self.send_bells();
            }
            lap.poll(|| self.look_before(&runnable));
            self.poll(runnable);
            if lap.is_look_due() && self.look_between_polls(&mut lap) > budget {
                break;
            }
        }
        let ended = self.pace.borrow_mut().end(&lap, || self.nanos(self.now()));
        if let Some(now) = ended {
            self.mark(now, true);
        }
    }

    fn next_task(&self) -> Option<Runnable> {
        if let Some(stolen) = self.next.take() {
            self.counters.stolen_polls.add(1);
            return Some(stolen);
        }
        let tick = self.tick.get().wrapping_add(1);
        self.tick.set(tick);
        if tick.is_multiple_of(INJECTED_EVERY)
            && let Some(runnable) = self.queue.borrow_mut().pop_injected()
        {
            return Some(runnable);
        }
        if self.lifo_streak.get() < LIFO_IN_A_ROW
            && let Some(runnable) = self.take_lifo()
        {
            self.lifo_streak.set(self.lifo_streak.get() + 1);
            return Some(runnable);
        }
        self.lifo_streak.set(0);
        // A turn of its own: the tick beats together with the slot when two tasks wake each other.
        let pinned_first = self.pinned_first.replace(!self.pinned_first.get());
        let next = if pinned_first { self.pop_pinned() } else { None };
        next.or_else(|| self.pop_stealable())
            .or_else(|| self.pop_pinned())
            .or_else(|| self.take_lifo())
            .or_else(|| self.queue.borrow_mut().pop_injected())
    }

    fn pop_stealable(&self) -> Option<Runnable> {
        let next = self.queue.borrow_mut().pop();
        if next.is_some() {
            self.ahead.popped();
        }
        next
    }

    fn pop_pinned(&self) -> Option<Runnable> {
        let next = self.pinned.borrow_mut().pop_front();
        if next.is_some() {
            self.ahead_pinned.popped();
            self.counters.pinned_polls.add(1);
        }
        next
    }

    fn push_pinned(&self, runnable: Runnable) {
        self.pinned.borrow_mut().push_back(runnable);
        self.counters.pinned_queued.add(1);
    }

    fn take_lifo(&self) -> Option<Runnable> {
        let next = self.public().lifo.take()?;
        self.counters.lifo_polls.add(1);
        Some(next)
    }

    fn poll(&self, runnable: Runnable) {
        let public = self.public();
        self.leaves.set(LEAVES_PER_POLL);
        self.made.set(0);
        let count = public.poll_count.load(Ordering::Relaxed);
        public.poll_count.store(count.wrapping_add(1), Ordering::Relaxed);
        self.polling.set(true);
        // A panic of the future is caught inside of the task; one that still comes out of here is
        // our bug and ends the shard.
        let again = runnable.poll();
        self.polling.set(false);
        if let Some(runnable) = again {
            self.enqueue_last(runnable);
        }
        // Release pairs with L3: who sees that the poll is over sees what it queued.
        public.poll_count.store(count.wrapping_add(2), Ordering::Release);
    }

    /// Queues a task of this runtime that was woken on this thread.
    fn enqueue(&self, runnable: Runnable) {
        if self.exact {
            self.stamp(&runnable);
        }
        let meta = runnable.metadata();
        if meta.is_pinned() {
            let home = meta.home();
            if home != self.me {
                self.send_home(home, runnable);
            } else if !self.polling.get()
                && self.ahead_pinned.may(self.looks.get(), self.pinned.borrow().len(), true)
            {
                self.pinned.borrow_mut().push_front(runnable);
                self.counters.pinned_queued.add(1);
            } else {
                self.push_pinned(runnable);
            }
            return;
        }
        if !self.polling.get() {
            self.enqueue_between_polls(runnable);
            return;
        }
        // L1
        if let Some(before) = self.public().lifo.put(runnable) {
            self.queue.borrow_mut().push(before);
        }
        self.offer_in_poll();
    }

    /// Queues a stealable task that the ring, a timer or a message woke. Only what is queued anyway
    /// lets it into the slot, so a call for help comes before the next poll in any case.
    fn enqueue_between_polls(&self, runnable: Runnable) {
        let lifo = &self.public().lifo;
        let waiting = self.queue.borrow().len();
        if self.ahead.may(self.looks.get(), waiting, lifo.is_empty()) {
            // What was there is gone, if anybody took it.
            let before = lifo.put(runnable);
            debug_assert!(before.is_none(), "only this thread puts tasks there");
        } else {
            self.queue.borrow_mut().push(runnable);
        }
    }

    /// Queues a task that was polled here and woken meanwhile, behind all others. What waits with
    /// it has been offered before; the task itself is, if it may not be the next one.
    #[inline]
    fn enqueue_last(&self, runnable: Runnable) {
        if self.exact {
            self.stamp(&runnable);
        }
        if runnable.metadata().is_pinned() {
            self.push_pinned(runnable);
        } else {
            self.queue.borrow_mut().push(runnable);
            if !self.pinned.borrow().is_empty() {
                self.offer_backlog(Next::Queued);
            }
        }
    }

    /// Flushes doorbells at once.
    fn send_bells(&self) {
        self.flush_ring();
        if self.driver.borrow().pending() {
            self.collect();
            // A task is in hand, and what was woken waits behind its poll.
            self.offer_backlog(Next::InHand);
        }
    }

    fn flush_ring(&self) {
        let result = self.driver.borrow_mut().flush();
        self.bells_owed.set(false);
        self.prompt.submitted();
        self.note_enter(result.map(drop));
    }

    fn note_enter(&self, result: io::Result<()>) {
        self.public().counters.enters.set(self.driver.borrow().enters());
        self.note_driver(result);
    }

    fn note_driver(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure.borrow_mut().get_or_insert(error);
        }
    }
}

impl<A: Assembly> fmt::Debug for Shard<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("me", &self.me).finish_non_exhaustive()
    }
}

/// Runs `body` with the shard as scheduler and port of this thread.
fn on_shard<A: Assembly, R>(shard: &Shard<A>, body: impl FnOnce() -> R) -> R {
    task::with_local_scheduler(shard, || port::enter(shard, body))
}
