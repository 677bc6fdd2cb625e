//! The builder: four parts as types, everything else as values.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::assembly::{Assembled, Assembly};
use crate::doorbell::{Doorbell, MsgRing};
use crate::driver::{Driver, Uring, UringSetup};
use crate::error::BuildError;
use crate::options::{Options, SpinOptions, StealOptions};
use crate::placement::{LeastLoaded, Placement};
use crate::queue::{ChaseLev, StealQueue};
use crate::runtime::{RuntimeOf, launch};

mod check;
mod watching;

/// The builder of the default assembly; see [`Builder`].
pub type RuntimeBuilder = Builder<Uring, MsgRing, ChaseLev, LeastLoaded>;

/// Puts a runtime together.
///
/// Decide in this order; every step has a default:
///
/// 1. *Parts.* [`driver`](Self::driver), then [`doorbell`](Self::doorbell), which must fit it;
///    [`steal_queue`](Self::steal_queue); [`placement`](Self::placement). Each of these setters
///    changes the builder's type.
/// 2. *Shards.* [`shards`](Self::shards), [`thread_affinity`](Self::thread_affinity),
///    [`thread_prefix`](Self::thread_prefix).
/// 3. *Rings.* For [`Uring`]: [`ring_entries`](Self::ring_entries),
///    [`cq_entries`](Self::cq_entries), [`sqpoll`](Self::sqpoll).
/// 4. *Limits.* [`stealable_queue_capacity`](Self::stealable_queue_capacity),
///    [`max_tasks`](Self::max_tasks), [`max_operations`](Self::max_operations),
///    [`max_timers`](Self::max_timers), [`msg_ring_queue_capacity`](Self::msg_ring_queue_capacity),
///    [`recv_buffer_size`](Self::recv_buffer_size), [`recv_buffers`](Self::recv_buffers).
/// 5. *Behaviour.* [`spin`](Self::spin), [`steal`](Self::steal) and the knobs it is made of,
///    [`packing`](Self::packing), [`poll_histograms`](Self::poll_histograms).
/// 6. *Watching.* [`panic_policy`](Self::panic_policy), [`on_task_panic`](Self::on_task_panic),
///    [`slow_poll_threshold`](Self::slow_poll_threshold), [`on_slow_poll`](Self::on_slow_poll).
/// 7. *Messages.* [`hot_msg_tags`](Self::hot_msg_tags),
///    [`coalesced_hot_msg_tags`](Self::coalesced_hot_msg_tags),
///    [`hot_counter_wake_threshold`](Self::hot_counter_wake_threshold).
///
/// Then [`build`](Self::build). Wrong values are found there and named in the [`BuildError`]; parts
/// that do not fit each other do not compile.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use spargio::Runtime;
/// use spargio::doorbell::EventFd;
/// use spargio::placement::RoundRobin;
/// use spargio::queue::MutexQueue;
///
/// let runtime = Runtime::builder()
///     .doorbell::<EventFd>()
///     .steal_queue::<MutexQueue>()
///     .placement(RoundRobin::default())
///     .shards(2)
///     .ring_entries(64)
///     .build()?;
/// assert_eq!(runtime.shard_count(), 2);
/// # Ok(())
/// # }
/// ```
///
/// # Types
///
/// Nobody writes the four parameters; they show in error messages only, as
/// `Builder<driver, doorbell, queue, placement>`.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<D: Driver, B, Q, P> {
    options: Options,
    setup: D::Setup,
    placement: P,
    parts: PhantomData<fn() -> (B, Q)>,
}

impl RuntimeBuilder {
    /// The default parts with default values: as many shards as this process may use CPUs.
    pub fn new() -> Self {
        Self {
            options: Options::default(),
            setup: UringSetup::default(),
            placement: LeastLoaded::default(),
            parts: PhantomData,
        }
    }
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Driver, B, Q, P> Builder<D, B, Q, P> {
    /// Takes this driver, opened on each shard from the recipe. The doorbell must fit it.
    pub fn driver<X: Driver>(self, setup: X::Setup) -> Builder<X, B, Q, P> {
        let Self { options, placement, .. } = self;
        Builder { options, setup, placement, parts: PhantomData }
    }

    /// Takes this doorbell.
    pub fn doorbell<X: Doorbell<D>>(self) -> Builder<D, X, Q, P> {
        let Self { options, setup, placement, .. } = self;
        Builder { options, setup, placement, parts: PhantomData }
    }

    /// Takes this queue.
    pub fn steal_queue<X: StealQueue>(self) -> Builder<D, B, X, P> {
        let Self { options, setup, placement, .. } = self;
        Builder { options, setup, placement, parts: PhantomData }
    }

    /// Takes this placement.
    pub fn placement<X: Placement>(self, placement: X) -> Builder<D, B, Q, X> {
        let Self { options, setup, .. } = self;
        Builder { options, setup, placement, parts: PhantomData }
    }

    /// How many shards, 1 to 65,535. Default: the CPUs that this process may use, by its affinity
    /// and its cgroup.
    pub fn shards(mut self, shards: usize) -> Self {
        self.options.shards = Some(shards);
        self
    }

    /// What the names of the shard threads begin with; `-` and the number follow. At most 9 bytes
    /// of it show in tools, because Linux cuts thread names to 15. Default `spargio-shard`.
    pub fn thread_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.options.thread_prefix = prefix.into();
        self
    }

    /// The CPUs to bind shards to, sorted and each once: shard `i` gets CPU `i` modulo their
    /// number. An empty list binds none. A CPU that this process may not use is an error at
    /// `build`.
    pub fn thread_affinity(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        let mut cpus: Vec<usize> = cpus.into_iter().collect();
        cpus.sort_unstable();
        cpus.dedup();
        self.options.thread_affinity = cpus;
        self
    }

    /// How many tasks from elsewhere may wait at a shard before a spawn there is
    /// [`Overloaded`](crate::RuntimeError::Overloaded); 0 counts as 1. Default 65,536.
    pub fn stealable_queue_capacity(mut self, capacity: usize) -> Self {
        self.options.stealable_queue_capacity = capacity.max(1);
        self
    }

    /// How many tasks spawned through one shard may be alive; 0 counts as 1. Default 4,194,304.
    ///
    /// Never more are alive. From 1,024 on a shard keeps up to 64 places at hand for its own
    /// spawns, so that a spawn from elsewhere may be refused that many too early.
    pub fn max_tasks(mut self, tasks: usize) -> Self {
        self.options.max_tasks = tasks.max(1);
        self
    }

    /// How many operations of one shard may be in flight; 0 counts as 1. Default 1,048,576.
    pub fn max_operations(mut self, operations: usize) -> Self {
        self.options.max_operations = operations.max(1);
        self
    }

    /// How many timers of one shard may be set; 0 counts as 1. Default 4,194,304.
    pub fn max_timers(mut self, timers: usize) -> Self {
        self.options.max_timers = timers.max(1);
        self
    }

    /// How many threads of the runtime do what blocks, at most; at least 1. They are started when
    /// they are needed, and end when they have had no work for
    /// [a while](Self::blocking_keep_alive). Default 64.
    pub fn max_blocking_threads(mut self, threads: usize) -> Self {
        self.options.blocking.max_threads = threads.max(1);
        self
    }

    /// How many blocking jobs wait for a thread, at most; at least 1. One more is refused. Default
    /// 65,536.
    pub fn blocking_queue_capacity(mut self, jobs: usize) -> Self {
        self.options.blocking.max_waiting = jobs.max(1);
        self
    }

    /// How long a blocking thread without work stays. Default 10 s.
    pub fn blocking_keep_alive(mut self, time: Duration) -> Self {
        self.options.blocking.keep_alive = time;
        self
    }

    /// How many messages a lane between two shards holds, and how many events, and as many hot
    /// ones, a shard keeps that its tasks have not read; 0 counts as 1, at most 16,777,216. At
    /// the limit a sender gets [`Backpressure`](crate::SendError::Backpressure). A lane that was
    /// ever used has 8 bytes for each. Default 4,096.
    pub fn msg_ring_queue_capacity(mut self, messages: usize) -> Self {
        self.options.messages.capacity = messages.max(1);
        self
    }

    /// Messages with this tag are hot events: they have lanes of their own, and are read with
    /// [`ShardCtx::next_hot_event`](crate::ShardCtx::next_hot_event). Adds to those named before.
    pub fn hot_msg_tag(self, tag: u16) -> Self {
        self.hot_msg_tags([tag])
    }

    /// As [`hot_msg_tag`](Self::hot_msg_tag), for several.
    pub fn hot_msg_tags(mut self, tags: impl IntoIterator<Item = u16>) -> Self {
        self.options.messages.hot.extend(tags);
        self
    }

    /// Messages with this tag are counted: their values are added up, and the sum is taken with
    /// [`ShardCtx::next_hot_count`](crate::ShardCtx::next_hot_count). Adds to those named before; a
    /// tag that is also named hot is counted.
    pub fn coalesced_hot_msg_tag(self, tag: u16) -> Self {
        self.coalesced_hot_msg_tags([tag])
    }

    /// As [`coalesced_hot_msg_tag`](Self::coalesced_hot_msg_tag), for several.
    pub fn coalesced_hot_msg_tags(mut self, tags: impl IntoIterator<Item = u16>) -> Self {
        self.options.messages.counted.extend(tags);
        self
    }

    /// A count below this does not interrupt a shard that has other work: the task that waits for
    /// it is woken when the shard has nothing else to do, and after 16 turns at the latest. 0
    /// counts as 1. Default 1: at once.
    pub fn hot_counter_wake_threshold(mut self, count: u64) -> Self {
        self.options.messages.threshold = count.max(1);
        self
    }

    /// How many bytes each of the buffers has that a shard lends to its kernel for
    /// [`recv_stream`](crate::net::Stream::recv_stream): 64 to 1,048,576, rounded up to a multiple
    /// of 64. What comes in one piece is cut to this. Default 16,384.
    pub fn recv_buffer_size(mut self, bytes: usize) -> Self {
        // What is too large stays so, to be refused.
        let multiple = bytes.max(1).checked_next_multiple_of(64);
        self.options.buffers.size = multiple.unwrap_or(bytes);
        self
    }

    /// How many of these buffers a shard has: the number at first, made when the first stream asks
    /// for one, and the most; at most 32,768. When few are left there are twice as many, and when
    /// the shard has less to do, half as many again. At the most, a stream receives into memory of
    /// its own. With 0 for the most, all of them always do. Default 32 and 1,024.
    ///
    /// A shard reserves addresses for the most, and has memory for those that were used.
    pub fn recv_buffers(mut self, first: usize, most: usize) -> Self {
        (self.options.buffers.first, self.options.buffers.most) = (first, most);
        self
    }

    /// How long a shard without work stays awake while that has paid lately. Zero never spins.
    /// Default 20 us; at most [`MAX_SPIN`](crate::MAX_SPIN).
    pub fn spin(mut self, limit: Duration) -> Self {
        self.options.spin = SpinOptions { limit };
        self
    }

    /// How a shard without work looks for it with others; counts of 0 count as 1. The methods
    /// below change one knob each.
    pub fn steal(mut self, options: StealOptions) -> Self {
        self.options.steal = options;
        self.options.steal.batch_size = options.batch_size.max(1);
        self.options.steal.victim_probe_count = options.victim_probe_count.max(1);
        self.options.steal.victim_stride = options.victim_stride.max(1);
        self
    }

    /// The most tasks that one theft moves; 0 counts as 1. See
    /// [`StealOptions::batch_size`].
    pub fn steal_batch_size(self, tasks: usize) -> Self {
        let steal = StealOptions { batch_size: tasks, ..self.options.steal };
        self.steal(steal)
    }

    /// How many other shards one search looks at; 0 counts as 1. See
    /// [`StealOptions::victim_probe_count`].
    pub fn steal_victim_probe_count(self, shards: usize) -> Self {
        let steal = StealOptions { victim_probe_count: shards, ..self.options.steal };
        self.steal(steal)
    }

    /// The distance from one looked-at shard to the next; 0 counts as 1. See
    /// [`StealOptions::victim_stride`].
    pub fn steal_victim_stride(self, shards: usize) -> Self {
        let steal = StealOptions { victim_stride: shards, ..self.options.steal };
        self.steal(steal)
    }

    /// How many queued tasks a victim keeps to itself. See [`StealOptions::locality_margin`].
    pub fn steal_locality_margin(self, tasks: usize) -> Self {
        let steal = StealOptions { locality_margin: tasks, ..self.options.steal };
        self.steal(steal)
    }

    /// How much longer each look in vain makes the next pause. See [`StealOptions::fail_cost`].
    pub fn steal_fail_cost(self, cost: u32) -> Self {
        let steal = StealOptions { fail_cost: cost, ..self.options.steal };
        self.steal(steal)
    }

    /// The first pause after a look in vain, at most
    /// [`steal_backoff_max`](Self::steal_backoff_max). See [`StealOptions::backoff_min`].
    pub fn steal_backoff_min(self, pause: Duration) -> Self {
        let steal = StealOptions { backoff_min: pause, ..self.options.steal };
        self.steal(steal)
    }

    /// The longest pause after a look in vain, at most [`MAX_BACKOFF`](crate::MAX_BACKOFF). See
    /// [`StealOptions::backoff_max`].
    pub fn steal_backoff_max(self, pause: Duration) -> Self {
        let steal = StealOptions { backoff_max: pause, ..self.options.steal };
        self.steal(steal)
    }

    /// Whether a shard that is woken again and again for one short stealable task hands it to
    /// another shard that sleeps as much, so that one wake-up serves both. Default on.
    pub fn packing(mut self, on: bool) -> Self {
        self.options.packing = on;
        self
    }

    /// Whether every poll of a task is timed by itself, and every task from when it is queued to
    /// its poll: [`ShardStats::poll_times`](crate::ShardStats::poll_times) is exact then, and
    /// [`wake_to_poll`](crate::ShardStats::wake_to_poll) is counted. It costs three looks at the
    /// clock per poll, some 60 to 100 ns. Default off: the times of polls are sampled at no cost.
    pub fn poll_histograms(mut self, on: bool) -> Self {
        self.options.poll_histograms = on;
        self
    }

    /// Starts the runtime: returns when every shard has opened its parts.
    ///
    /// # Errors
    ///
    /// [`BuildError`]; shards that did start are ended first.
    pub fn build(self) -> Result<RuntimeOf<Assembled<D, B, Q, P>>, BuildError>
    where
        B: Doorbell<D>,
        Q: StealQueue,
        P: Placement,
    {
        self.assemble()
    }
}

impl<B, Q, P> Builder<Uring, B, Q, P> {
    /// Entries of each shard's submission queue, at most 32,768; 0 counts as 1. The kernel rounds
    /// up to a power of two. Default 256.
    pub fn ring_entries(mut self, entries: u32) -> Self {
        self.setup.entries = entries.max(1);
        self
    }

    /// Entries of each shard's completion queue, at least those of the submission queue and at most
    /// 65,536. Default: four times the submission queue.
    pub fn cq_entries(mut self, entries: u32) -> Self {
        self.setup.cq_entries = Some(entries);
        self
    }

    /// Lets a kernel thread take submissions; it sleeps when it found none for so many
    /// milliseconds. Default: no such thread.
    pub fn sqpoll(mut self, idle_ms: u32) -> Self {
        self.setup.sqpoll = Some(Duration::from_millis(u64::from(idle_ms)));
        self
    }

    /// Binds that kernel thread to a CPU; turns it on with 2,000 ms if it is off.
    pub fn sqpoll_cpu(mut self, cpu: u32) -> Self {
        self.setup.sqpoll.get_or_insert(Duration::from_millis(2_000));
        self.setup.sqpoll_cpu = Some(cpu);
        self
    }

    /// The recipe of the rings, for everything else.
    pub fn uring(mut self, change: impl FnOnce(&mut UringSetup)) -> Self {
        change(&mut self.setup);
        self
    }
}

impl<D: Driver, B, Q, P: Clone> Clone for Builder<D, B, Q, P> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            setup: self.setup.clone(),
            placement: self.placement.clone(),
            parts: PhantomData,
        }
    }
}

impl<D: Driver, B, Q, P: fmt::Debug> fmt::Debug for Builder<D, B, Q, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("options", &self.options)
            .field("setup", &self.setup)
            .field("placement", &self.placement)
            .finish()
    }
}

/// A builder whose parts fit each other.
///
/// Sealed: every [`Builder`] with fitting parts is one.
#[diagnostic::on_unimplemented(
    message = "the parts of this runtime do not fit each other",
    label = "`build` with parts that do not fit",
    note = "read `Builder<driver, doorbell, queue, placement>`: the doorbell must implement `Doorbell<driver>`; `MsgRing` needs an io_uring, `EventFd` fits every driver that can poll an fd"
)]
pub trait Assemble: sealed::Sealed + Sized {
    /// The four parts.
    type Assembly: Assembly;

    /// As [`Builder::build`].
    ///
    /// # Errors
    ///
    /// As there.
    fn assemble(self) -> Result<RuntimeOf<Self::Assembly>, BuildError>;
}

mod sealed {
    use super::Builder;
    use crate::driver::Driver;

    /// Keeps [`Assemble`](super::Assemble) to builders.
    pub trait Sealed {}

    impl<D: Driver, B, Q, P> Sealed for Builder<D, B, Q, P> {}
}

impl<D, B, Q, P> Assemble for Builder<D, B, Q, P>
where
    D: Driver,
    B: Doorbell<D>,
    Q: StealQueue,
    P: Placement,
{
    type Assembly = Assembled<D, B, Q, P>;

    fn assemble(self) -> Result<RuntimeOf<Self::Assembly>, BuildError> {
        check::options(&self.options)?;
        D::check(&self.setup)?;
        launch(self.options, &self.setup, self.placement)
    }
}
