//! What the shards of one runtime share.

use std::fmt;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;
use std::sync::{Arc as StdArc, Mutex as StdMutex, OnceLock, Weak as StdWeak};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::assembly::Assembly;
use crate::blocking::Pool;
use crate::buf::pool::Tally;
use crate::cancel::CancellationToken;
use crate::doorbell::{Doorbell, Gate, Idle};
use crate::driver::{Caps, Opcode, Token};
use crate::error::RuntimeError;
use crate::id::ShardId;
use crate::inflight::{Charge, Roster};
use crate::message::Hub;
use crate::observe::{Inquiry, TaskPanic};
use crate::options::Options;
use crate::placement::{LeastLoaded, Load, Loads, Placement, Wish};
use crate::port;
use crate::primitive::{Arc, AtomicU8, AtomicU32, AtomicU64, Mutex, Ordering, lock};
use crate::queue::{SharedQueue, StealQueue};
use crate::shard::mailbox::Mailbox;
use crate::shard::outpost::Outpost;
use crate::shard::quiet::Quiet;
use crate::shard::sighting::Sighting;
use crate::shard::slot::Slot;
use crate::stats::{Counter, Counters};
use crate::task::{Arrivals, Registry, Runnable, RuntimeId};
use crate::timer::TimerKey;

/// The owner's end of an assembly's queue of tasks.
pub(crate) type LocalOf<A> = <<A as Assembly>::Queue as StealQueue>::Local<Runnable>;
/// Everybody's end of an assembly's queue of tasks.
pub(crate) type SharedOf<A> = <<A as Assembly>::Queue as StealQueue>::Shared<Runnable>;
/// The far end of an assembly's doorbell.
pub(crate) type RingerOf<A> =
    <<A as Assembly>::Doorbell as Doorbell<<A as Assembly>::Driver>>::Ringer;

/// A letter to a shard.
pub(crate) enum Letter {
    /// An operation of a future that is polled elsewhere.
    Submit(Charge),
    /// An operation of this shard whose future is gone.
    Cancel(Token),
    /// A timer of this shard whose future has another deadline now.
    ResetTimer(TimerKey, Instant),
    /// A timer of this shard whose future is gone.
    ClearTimer(TimerKey),
    /// Somebody asks this shard, which is the one that is named, for its tasks.
    Inquire(StdArc<Inquiry>, ShardId),
}

/// How far a runtime is on its way down; it only goes forward.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Tasks are taken and run.
    Running = 0,
    /// Tasks run and may spawn others; none is taken from outside.
    Draining = 1,
    /// No task is taken any more; those that live are told to end.
    Closing = 2,
}

/// What one shard shows to the others.
pub(crate) struct Public<A: Assembly> {
    pub(crate) gate: CachePadded<Gate>,
    /// Tasks that run on this shard only and were woken elsewhere.
    pub(crate) arrivals: Arrivals,
    pub(crate) mailbox: CachePadded<Mailbox<Letter>>,
    pub(crate) queue: SharedOf<A>,
    /// The task that was woken last by the running one.
    pub(crate) lifo: CachePadded<Slot<Runnable>>,
    /// Counts each poll twice, when it begins and when it ends: odd while a task is polled. A thief
    /// that sees the same odd number again after a while knows that the poll is long.
    pub(crate) poll_count: CachePadded<AtomicU64>,
    /// When the shard last looked at the clock while no poll was going on, in nanoseconds since the
    /// epoch of the runtime.
    pub(crate) looked: AtomicU64,
    /// The task that is polled, while polls are timed one by one; 0 for none.
    pub(crate) polled: AtomicU64,
    /// The CPU that the shard ran on when it last ran out of work; `u32::MAX` if nobody knows.
    pub(crate) cpu: AtomicU32,
    /// Set once, when the shard has opened its doorbell.
    pub(crate) ringer: OnceLock<RingerOf<A>>,
    pub(crate) registry: Registry,
    /// What the driver of the shard can do; set once, when it has opened.
    pub(crate) caps: OnceLock<Caps>,
    /// What the shard's thread counts, which has a share of its own.
    pub(crate) counters: Arc<CachePadded<Counters>>,
    /// What those who place tasks saw of its polls.
    sighting: CachePadded<Sighting>,
    /// Doorbells coalesced, by whoever did.
    pub(crate) coalesced: Counter,
    /// Doorbells rung by threads outside of the runtime.
    pub(crate) rung_from_outside: Counter,
    /// Operations done by the blocking pool, by whoever asked for them.
    pub(crate) blocking_jobs: Counter,
    /// Receive buffers in use, by whoever has them.
    pub(crate) leases: Arc<Tally>,
    /// Spawns refused because too many tasks wait, by whoever was refused.
    pub(crate) refused: Counter,
    /// Times this shard was called for help, by whoever called.
    pub(crate) called: Counter,
}

impl<A: Assembly> Public<A> {
    /// How many polls of tasks have begun.
    pub(crate) fn polls(&self) -> u64 {
        self.poll_count.load(Ordering::Relaxed).div_ceil(2)
    }

    /// How much others have left for the shard, and it has not got to. A hint.
    fn left_by_others(&self) -> usize {
        self.queue.len_hint() + self.arrivals.len() + self.mailbox.len()
    }

    /// How much waits for the shard altogether. A hint.
    fn waiting(&self) -> usize {
        let next = usize::from(!self.lifo.is_empty());
        self.left_by_others() + self.counters.pinned_waiting() + next
    }
}

/// What the shards of one runtime share.
pub(crate) struct Core<A: Assembly> {
    pub(crate) options: Options,
    pub(crate) placement: A::Placement,
    pub(crate) shards: Box<[Public<A>]>,
    pub(crate) idle: Idle,
    /// Messages between the shards.
    pub(crate) hub: Arc<Hub>,
    /// The operations that users gave to the rings by themselves.
    pub(crate) roster: Arc<Roster>,
    /// Whose turn it is, for what surfaces place.
    pub(crate) turns: LeastLoaded,
    /// The threads that do what blocks.
    pub(crate) blocking: Pool,
    phase: AtomicU8,
    /// Canceled as soon as the runtime begins to end.
    ending: CancellationToken,
    /// How far each shard is on its way down.
    pub(crate) quiet: Quiet,
    /// Operations that were still in flight when the time for their end was over.
    pub(crate) leaked: StdMutex<Vec<Opcode>>,
    /// Operations that were cancelled at the end.
    pub(crate) cancelled: StdAtomicUsize,
    /// Tasks that were told to end at the end.
    pub(crate) dropped: StdAtomicUsize,
    /// The panic that made the runtime end.
    pub(crate) panic: OnceLock<TaskPanic>,
    misplaced: Counter,
    /// What stamps of tasks and sightings count from.
    epoch: Instant,
    outposts: OnceLock<StdWeak<[Arc<Outpost<A>>]>>,
    deadline: Mutex<Option<Instant>>,
}

impl<A: Assembly> Core<A> {
    /// The shared state, and the owner's end of each shard's queue.
    pub(crate) fn new(options: Options, placement: A::Placement) -> (Self, Vec<LocalOf<A>>) {
        let count = options.shard_count();
        let mut locals = Vec::with_capacity(count);
        let mut shards = Vec::with_capacity(count);
        for _ in 0..count {
            let (local, queue) = A::Queue::pair::<Runnable>(&options.queue);
            locals.push(local);
            shards.push(Public {
                gate: CachePadded::new(Gate::new()),
                arrivals: Arrivals::new(),
                mailbox: CachePadded::new(Mailbox::new()),
                queue,
                lifo: CachePadded::new(Slot::new()),
                poll_count: CachePadded::new(AtomicU64::new(0)),
                looked: AtomicU64::new(0),
                polled: AtomicU64::new(0),
                cpu: AtomicU32::new(u32::MAX),
                ringer: OnceLock::new(),
                registry: Registry::new(options.max_tasks),
                caps: OnceLock::new(),
                counters: Arc::new(CachePadded::new(Counters::default())),
                sighting: CachePadded::new(Sighting::default()),
                coalesced: Counter::default(),
                rung_from_outside: Counter::default(),
                blocking_jobs: Counter::default(),
                leases: Arc::default(),
                refused: Counter::default(),
                called: Counter::default(),
            });
        }
        let core = Self {
            placement,
            shards: shards.into_boxed_slice(),
            idle: Idle::new(count),
            hub: Arc::new(Hub::new(count, &options.messages)),
            roster: Arc::new(Roster::new(count)),
            turns: LeastLoaded::new(),
            blocking: Pool::new(options.blocking),
            options,
            phase: AtomicU8::new(Phase::Running as u8),
            ending: CancellationToken::new(),
            quiet: Quiet::new(count),
            leaked: StdMutex::default(),
            cancelled: StdAtomicUsize::new(0),
            dropped: StdAtomicUsize::new(0),
            panic: OnceLock::new(),
            misplaced: Counter::default(),
            epoch: Instant::now(),
            outposts: OnceLock::new(),
            deadline: Mutex::new(None),
        };
        (core, locals)
    }

    /// Which runtime this is.
    pub(crate) fn runtime(&self) -> RuntimeId {
        RuntimeId(std::ptr::from_ref(self).addr())
    }

    /// What one shard shows to the others.
    pub(crate) fn public(&self, shard: ShardId) -> &Public<A> {
        &self.shards[shard.index()]
    }

    /// How far the runtime is on its way down.
    pub(crate) fn phase(&self) -> Phase {
        // Acquire pairs with `close`.
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Closing,
        }
    }

    /// Whether the shards are to end.
    pub(crate) fn is_closing(&self) -> bool {
        self.phase() == Phase::Closing
    }

    /// Takes no more tasks from outside, and tells those that listen to come to an end.
    pub(crate) fn drain(&self) {
        let (from, to) = (Phase::Running as u8, Phase::Draining as u8);
        // AcqRel pairs with `phase`. It may be on its way down already.
        let _further = self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        self.ending.cancel();
    }

    /// A token that is canceled as soon as the runtime begins to end.
    pub(crate) fn shutdown_token(&self) -> CancellationToken {
        self.ending.child_token()
    }

    /// Takes no more tasks. Whether this call did it.
    pub(crate) fn close(&self) -> bool {
        // AcqRel pairs with `phase`.
        let was = self.phase.swap(Phase::Closing as u8, Ordering::AcqRel);
        for public in &self.shards {
            public.registry.close();
        }
        self.ending.cancel();
        was != Phase::Closing as u8
    }

    /// Notes the ways to the shards, which hold this in turn.
    pub(crate) fn adopt(&self, outposts: &Arc<[Arc<Outpost<A>>]>) {
        let already = self.outposts.set(StdArc::downgrade(outposts)).is_err();
        assert!(!already, "a runtime is launched once");
    }

    /// The ways to the shards, while anybody has them.
    pub(crate) fn outposts(&self) -> Option<Arc<[Arc<Outpost<A>>]>> {
        self.outposts.get()?.upgrade()
    }

    /// A shard did not open its parts: others must not wait for it.
    pub(crate) fn never_started(&self, shard: ShardId) {
        self.close();
        self.quiet.arrive(shard);
        self.wake_all();
    }

    /// A panic of ours, or of a part, took a shard: a runtime without it would lose wakes, and
    /// others must not wait for what it can no longer do.
    pub(crate) fn lost_shard(&self, shard: ShardId) {
        /// How long the others have for their own end.
        const GRACE: Duration = Duration::from_secs(1);
        self.limit(Instant::now() + GRACE);
        self.never_started(shard);
    }

    /// Whether this thread is one of the shards.
    pub(crate) fn is_here(&self) -> bool {
        port::with(|port| port.is_some_and(|port| port.runtime() == self.runtime()))
    }

    /// Whether a shard takes a task from elsewhere: it must not have too many waiting.
    pub(crate) fn admit(&self, shard: ShardId) -> Result<(), RuntimeError> {
        let is_open = match self.phase() {
            Phase::Running => true,
            Phase::Draining => self.is_here(),
            Phase::Closing => false,
        };
        if !is_open {
            return Err(RuntimeError::Closed);
        }
        let public = self.public(shard);
        let limit = self.options.stealable_queue_capacity;
        if public.left_by_others() >= limit {
            public.refused.add_shared(1);
            return Err(RuntimeError::Overloaded { what: "tasks waiting on the shard", limit });
        }
        Ok(())
    }

    /// Sets when waiting for the end is over; the earliest wins.
    pub(crate) fn limit(&self, deadline: Instant) {
        let mut slot = lock(&self.deadline);
        *slot = Some(slot.map_or(deadline, |set| set.min(deadline)));
    }

    /// When waiting for the end is over, if that was said.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        *lock(&self.deadline)
    }

    /// Wakes every shard that sleeps, so that it sees the phase.
    pub(crate) fn wake_all(&self) {
        for index in 0..self.shards.len() {
            self.wake_from_anywhere(ShardId::from_index(index));
        }
    }

    /// How many tasks there have been.
    pub(crate) fn spawned(&self) -> u64 {
        self.shards.iter().map(|public| public.registry.spawned()).sum()
    }

    /// How many tasks are alive.
    pub(crate) fn live_tasks(&self) -> usize {
        self.shards.iter().map(|public| public.registry.len()).sum()
    }

    /// The time as stamps of tasks and sightings count it, in nanoseconds.
    pub(crate) fn since_epoch(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// How busy a shard looks.
    pub(crate) fn load(&self, shard: ShardId) -> Load {
        let public = self.public(shard);
        let in_flight = public.counters.in_flight.get() as usize;
        let poll = public.poll_count.load(Ordering::Relaxed);
        let long_poll = public.sighting.is_long(poll, || self.since_epoch(Instant::now()));
        Load::new(public.waiting(), in_flight, !public.gate.is_parked()).with_long_poll(long_poll)
    }

    /// How much waits for a shard, as the statistics show it.
    pub(crate) fn queued(&self, shard: ShardId) -> usize {
        self.public(shard).waiting()
    }

    /// Asks the placement, and sees to it that the answer is a shard.
    pub(crate) fn place(&self, wish: Wish) -> ShardId {
        let count = self.shards.len();
        if count == 1 {
            return ShardId::new(0);
        }
        let read = |shard: ShardId| self.load(shard);
        let answer = self.placement.place(wish, &Loads::new(count, &read));
        if answer.index() < count {
            return answer;
        }
        self.misplaced.add_shared(1);
        ShardId::from_index(answer.index() % count)
    }

    /// How many answers of the placement named no shard.
    pub(crate) fn misplaced(&self) -> u64 {
        self.misplaced.get()
    }
}

impl<A: Assembly> fmt::Debug for Core<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("shards", &self.shards.len())
            .field("phase", &self.phase())
            .field("live_tasks", &self.live_tasks())
            .finish_non_exhaustive()
    }
}
