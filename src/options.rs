//! The knobs of a runtime as plain values: types choose code, values choose sizes.

use std::time::Duration;

use crate::observe::{Hook, PanicPolicy, SlowPoll, TaskPanic};

/// Sizes for a queue; each queue says which it uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct QueueOptions {
    /// How many items the queue should have room for before it grows.
    pub initial_capacity: usize,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { initial_capacity: 256 }
    }
}

/// How a shard that has run out of work looks for it with others.
///
/// ```
/// use std::time::Duration;
///
/// let options = spargio::StealOptions { batch_size: 8, ..Default::default() };
/// assert_eq!(options.victim_stride, 1);
/// assert!(options.backoff_min <= options.backoff_max);
/// ```
///
/// `cargo bench --bench promises -- knobs` shows what each is worth on the machine at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StealOptions {
    /// The most tasks that one theft moves; at least 1. A theft takes at most half of what its
    /// victim has, rounded up. Default 32.
    pub batch_size: usize,
    /// How many other shards one search looks at; at least 1, and never more than there are.
    /// Default: all.
    pub victim_probe_count: usize,
    /// The distance from one looked-at shard to the next; at least 1, and taken modulo the number
    /// of shards. Default 1.
    pub victim_stride: usize,
    /// A victim keeps this many queued tasks to itself, also while it is in a long poll. Default 0.
    pub locality_margin: usize,
    /// What a look in vain costs: each one makes the next pause longer by so many times itself. 0
    /// keeps all pauses at `backoff_min`. Default 1: pauses double.
    pub fail_cost: u32,
    /// How long a shard that spins leaves the others alone after it has looked at them in vain for
    /// the first time; zero for not at all. At most `backoff_max`. Default 500 ns.
    pub backoff_min: Duration,
    /// The longest such pause. At most [`MAX_BACKOFF`]. Default 8 us.
    ///
    /// It is the longest that work which others have can wait for a shard that is awake and has
    /// none. Only looks of a spin are put off: what is left for the shard itself it sees at once,
    /// it looks at all others before it sleeps, and a doorbell ends the pause.
    pub backoff_max: Duration,
}

impl Default for StealOptions {
    fn default() -> Self {
        Self {
            batch_size: 32,
            victim_probe_count: usize::MAX,
            victim_stride: 1,
            locality_margin: 0,
            fail_cost: 1,
            backoff_min: Duration::from_nanos(500),
            backoff_max: Duration::from_micros(8),
        }
    }
}

/// The longest pause between two looks of a shard that spins which the builder takes: no spin lasts
/// much longer.
pub const MAX_BACKOFF: Duration = MAX_SPIN;

/// How long a shard without work stays awake before it sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpinOptions {
    /// The longest spin. Zero turns spinning off.
    pub limit: Duration,
}

impl Default for SpinOptions {
    /// 20 us: about what falling asleep and being woken costs on a virtual machine.
    fn default() -> Self {
        Self { limit: Duration::from_micros(20) }
    }
}

/// Messages between shards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MessageOptions {
    /// How many messages a lane holds.
    pub(crate) capacity: usize,
    /// Tags whose messages are hot events.
    pub(crate) hot: Vec<u16>,
    /// Tags whose values are added up.
    pub(crate) counted: Vec<u16>,
    /// A smaller count does not interrupt a shard that has other work.
    pub(crate) threshold: u64,
}

impl Default for MessageOptions {
    fn default() -> Self {
        Self { capacity: 4096, hot: Vec::new(), counted: Vec::new(), threshold: 1 }
    }
}

/// The threads that do what blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlockingOptions {
    /// How many there are at the same time, at most; at least 1.
    pub(crate) max_threads: usize,
    /// How many jobs wait for one, at most.
    pub(crate) max_waiting: usize,
    /// How long one without work stays.
    pub(crate) keep_alive: Duration,
}

impl Default for BlockingOptions {
    fn default() -> Self {
        Self { max_threads: 64, max_waiting: 1 << 16, keep_alive: Duration::from_secs(10) }
    }
}

/// Receive buffers that a shard provides to its kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BufferOptions {
    /// How many bytes each has.
    pub(crate) size: usize,
    /// How many there are at first, and when the shard has nothing to do.
    pub(crate) first: usize,
    /// How many there are at most; 0 for none at all.
    pub(crate) most: usize,
}

impl Default for BufferOptions {
    /// Half a mebibyte at first, and at most 32 times that. Measured on a virtual machine with
    /// Linux 6.18: a stream in full flow costs a shard 650 ns per KiB in buffers of 4 KiB, 490 in
    /// those of 16 KiB and 370 to 450 in those of 64 KiB; an echo of 64 bytes costs the same with
    /// 1, 4 and 16 KiB.
    fn default() -> Self {
        Self { size: 16_384, first: 32, most: 1024 }
    }
}

/// The most receive buffers that the builder lets a shard have: what a ring of them holds.
pub(crate) const MAX_RECV_BUFFERS: usize = 1 << 15;

/// The largest receive buffer that the builder takes.
pub(crate) const MAX_RECV_BUFFER_SIZE: usize = 1 << 20;

/// The most messages that the builder lets a lane hold: 128 MiB of slots.
pub(crate) const MAX_LANE: usize = 1 << 24;

/// What is told about tasks, and done about those that panic.
#[derive(Clone, Default, Debug)]
pub(crate) struct ObserveOptions {
    pub(crate) panic_policy: PanicPolicy,
    pub(crate) on_task_panic: Option<Hook<TaskPanic>>,
    /// A poll that takes as long is told. `None`: none is, and polls are not timed for it.
    pub(crate) slow_poll: Option<Duration>,
    pub(crate) on_slow_poll: Option<Hook<SlowPoll>>,
}

/// Everything the scheduler is told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// `None`: as many as this process may use CPUs.
    pub(crate) shards: Option<usize>,
    pub(crate) thread_prefix: String,
    pub(crate) thread_affinity: Vec<usize>,
    pub(crate) stealable_queue_capacity: usize,
    pub(crate) max_tasks: usize,
    pub(crate) max_operations: usize,
    pub(crate) max_timers: usize,
    pub(crate) poll_budget: u32,
    pub(crate) time_budget: Duration,
    pub(crate) packing: bool,
    pub(crate) poll_histograms: bool,
    pub(crate) messages: MessageOptions,
    pub(crate) buffers: BufferOptions,
    pub(crate) queue: QueueOptions,
    pub(crate) steal: StealOptions,
    pub(crate) spin: SpinOptions,
    pub(crate) blocking: BlockingOptions,
    pub(crate) observe: ObserveOptions,
}

impl Options {
    /// How many shards there are to be.
    pub(crate) fn shard_count(&self) -> usize {
        // Counts the affinity mask and the cgroup quota; 1 if the system does not say. Reading the
        // quota costs a dozen system calls, so it is asked for only when it decides.
        self.shards.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shards: None,
            thread_prefix: "spargio-shard".to_owned(),
            thread_affinity: Vec::new(),
            stealable_queue_capacity: 1 << 16,
            max_tasks: 1 << 22,
            max_operations: 1 << 20,
            max_timers: 1 << 22,
            poll_budget: 61,
            time_budget: Duration::from_micros(200),
            packing: true,
            poll_histograms: false,
            messages: MessageOptions::default(),
            buffers: BufferOptions::default(),
            queue: QueueOptions::default(),
            steal: StealOptions::default(),
            spin: SpinOptions::default(),
            blocking: BlockingOptions::default(),
            observe: ObserveOptions::default(),
        }
    }
}

/// The longest spin that the builder takes: a longer one is a busy loop.
pub const MAX_SPIN: Duration = Duration::from_millis(10);

/// Ready operations that one poll of a task may have before it yields.
pub(crate) const LEAVES_PER_POLL: i64 = 128;

/// How many of them an operation on a file stands for that a direct call has finished: it takes
/// microseconds, where a message or a timer takes nanoseconds, and there is always one more.
pub(crate) const LEAVES_PER_FILE_CALL: i64 = 8;
