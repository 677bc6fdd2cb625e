//! Work-stealing async runtimes on Linux io_uring, assembled from parts.
//!
//! A *shard* is one thread with one ring. A runtime has several shards, by default one per CPU that
//! the process may use. A task is *pinned* to a shard or *stealable*; a stealable task may move to
//! another shard between any two polls, and its next operation goes to the ring of the shard that
//! polls it then. Shards talk through memory, and one that sleeps is woken by a *doorbell*.
//!
//! # Quick start
//!
//! ```no_run
//! use spargio::net::TcpListener;
//!
//! #[spargio::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:7007").await?;
//!     loop {
//!         let (stream, _peer) = listener.accept().await?;
//!         spargio::spawn(async move {
//!             let mut buffer = Vec::with_capacity(4096);
//!             while let (Ok(1..), filled) = stream.read(buffer).await {
//!                 let (sent, same) = stream.write_all(filled).await;
//!                 buffer = same;
//!                 sent?;
//!                 buffer.clear();
//!             }
//!             std::io::Result::Ok(())
//!         })?;
//!     }
//! }
//! ```
//!
//! A buffer goes into an operation by value and comes back with the result ([`BufResult`]), because
//! the kernel uses it while the task does something else.
//!
//! Without the attribute, and with a runtime of your own:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! let runtime = spargio::Runtime::builder().shards(2).spin(Duration::ZERO).build()?;
//! let sum = runtime.block_on(async {
//!     let halves = [spargio::spawn(async { 40 })?, spargio::spawn(async { 2 })?];
//!     let mut sum = 0;
//!     for half in halves {
//!         sum += half.await?;
//!     }
//!     Ok::<_, spargio::RuntimeError>(sum)
//! })?;
//! assert_eq!(sum, 42);
//! println!("{}", runtime.stats_snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! # By task
//!
//! | To | see |
//! |---|---|
//! | start a program or a test | [`main`][main], [`test`][test], [`run`], [`run_local_on`] |
//! | build a runtime, and end it | [`Builder`], [`Runtime`], [`ShutdownReport`] |
//! | spawn here | [`spawn`], [`spawn_local`], [`spawn_stealable_on`] |
//! | spawn from anywhere, say where | [`RuntimeHandle`], [`TaskPlacement`], [`ShardCtx`] |
//! | send messages | [`RemoteShard`], [`RingMsg`], [`ShardCtx::next_event`], [`SendError`] |
//! | await, abort | [`JoinHandle`], [`LocalJoinHandle`], [`AbortHandle`], [`JoinError`] |
//! | speak TCP | [`net`]: [`TcpListener`](net::TcpListener), [`TcpStream`](net::TcpStream) |
//! | receive without copying | [`recv_stream`](net::Stream::recv_stream) |
//! | send datagrams | [`UdpSocket`](net::UdpSocket), [`UnixDatagram`](net::UnixDatagram) |
//! | talk on one machine | [`UnixListener`](net::UnixListener), [`UnixStream`](net::UnixStream) |
//! | read and write files | [`fs`]: [`File`](fs::File), [`OpenOptions`](fs::OpenOptions) |
//! | use any descriptor, any opcode | [`native`]: [`UringNativeAny`](native::UringNativeAny) |
//! | read and write anything | [`io`]: [`AsyncRead`](io::AsyncRead), [`framed`](io::framed) |
//! | sleep, bound, give way | [`time`]: [`sleep`], [`timeout`], [`yield_now`], [`consume_budget`] |
//! | do something every so often | [`interval`], [`Interval`], [`MissedTickBehavior`] |
//! | tell tasks to stop | [`CancellationToken`], [`DropGuard`] |
//! | run tasks as a group | [`TaskGroup`], [`JoinSet`] |
//! | lend buffers | [`IoBuf`], [`IoBufMut`], [`Slice`], [`BufResult`], [`BufResultExt`] |
//! | wait for each other | [`sync`]: [`Notify`](sync::Notify), `sync::oneshot`, `sync::mpsc` |
//! | talk to another runtime | [`boundary`]: [`BoundaryClient`](boundary::BoundaryClient) |
//! | watch | [`Runtime::stats_snapshot`], [`RuntimeStats`], [`Histogram`], [`Runtime::dump`] |
//! | hear of panics and slow polls | [`PanicPolicy`], [`TaskPanic`], [`SlowPoll`] |
//! | name a task | [`SpawnOptions`], [`spawn_with`] |
//! | take other parts, or write one | [`driver`], [`doorbell`], [`queue`], [`placement`] |
//!
//! [main]: macro@main
//! [test]: macro@test
//!
//! # The names of runtimes
//!
//! A runtime is generic over a bundle of four parts. The names most programs use are aliases:
//!
//! ```text
//! Runtime        = RuntimeOf<Native>
//! RuntimeHandle  = RuntimeHandleOf<Native>
//! TaskGroup      = TaskGroupOf<Native>
//! RuntimeBuilder = Builder<Uring, MsgRing, ChaseLev, LeastLoaded>
//! Native         = Assembled<Uring, MsgRing, ChaseLev, LeastLoaded>
//! ```
//!
//! [`Runtime::builder`] starts with these four; its setters replace one part each, and parts that
//! do not fit each other do not compile.
//!
//! # Ambient, or by name
//!
//! [`spawn`], `TcpListener::bind`, `File::open` and the like belong to the runtime of the thread
//! that they run on: a shard, or a thread inside of [`block_on`](RuntimeOf::block_on) or
//! [`enter`](RuntimeHandleOf::enter). Elsewhere they fail with an error that says so. The forms
//! that end in `_on` take the place as an argument, which is [`ToLane`]: a [`RuntimeHandle`], a
//! handle narrowed to one shard by [`on`](RuntimeHandleOf::on), or a [`ShardCtx`]. Those forms, and
//! what they make, work on every thread and under every executor: on a thread that is no shard of
//! the runtime, an operation goes to the shard that its file or socket was made on.
//!
//! # Dropped futures
//!
//! Any future of this crate may be dropped at any moment.
//!
//! - What the kernel may still use, a buffer, a path, an address, the descriptor, is owned by the
//!   operation and not by the future. Dropping the future asks the kernel to cancel; the memory is
//!   freed when the kernel has answered.
//! - What arrives all the same is put where it belongs: a connection goes to the listener's next
//!   `accept`, the bytes of a dropped `read` are the first that the stream's next read returns, a
//!   file that nobody waits for is closed.
//! - A write that is cancelled may have been carried out. The page of each method says what
//!   dropping its future means.
//! - Dropping a [`JoinHandle`] detaches the task; [`JoinHandle::abort`] ends it before its next
//!   poll. Shutting the runtime down ends all tasks, and every handle resolves.
//!
//! # Kernel
//!
//! Linux only. Opening a ring needs `IORING_FEAT_NODROP`, `FAST_POLL`, `EXT_ARG` and `CQE_SKIP`,
//! which Linux has together since 5.17; the default doorbell
//! [`MsgRing`](doorbell::MsgRing) needs 5.18, and [`EventFd`](doorbell::EventFd) does not. What a
//! kernel lacks beyond that is asked for once, when the driver opens, and done in another way:
//!
//! | Missing | Instead |
//! |---|---|
//! | receives that fill many provided buffers (6.0) | receives into memory of their own |
//! | `DEFER_TASKRUN` (6.1) | cooperative completion work; below that, plain rings |
//! | multishot accept (5.19) | one accept after the other |
//! | posting to a ring from a thread without one (6.13) | that thread rings through an eventfd |
//! | waiting for an absolute time (6.12) | the time is turned into a span |
//! | waits that do not count as waiting for I/O (6.15) | they count |
//!
//! Containers and hardened systems often refuse io_uring. Then [`Builder::build`] fails with a
//! [`BuildError`] that says what refused it, and what to do about it.
//!
//! # Features
//!
//! | Feature | What it adds |
//! |---|---|
//! | `macros` (default) | the attributes [`main`][main] and [`test`][test] |
//! | `tracing` | spans for tasks and events for operations, for subscribers of that crate |
//! | `testing` | suites that prove a part of one's own |
//!
//! # Limits
//!
//! What can be refused has a limit, and most limits are knobs of the [`Builder`]. A spawn at a
//! limit is [`Overloaded`](RuntimeError::Overloaded); an operation at a limit fails with
//! [`WouldBlock`](std::io::ErrorKind::WouldBlock) and gives the buffer back.

// Under loom nobody above the parts is there to use them.
#![cfg_attr(loom, allow(dead_code, unused_imports, unreachable_pub, unused_qualifications))]

mod primitive;

mod buf;
mod cancel;
mod contain;
mod cpu;
pub mod doorbell;
pub mod driver;
mod error;
mod id;
mod inflight;
mod message;
mod observe;
mod options;
pub mod placement;
mod pool;
pub mod queue;
mod stats;
pub mod sync;
mod task;
mod timer;
mod trace;

// Loom explores the parts, and of the shard the mailbox and the slot. What is made of them shares
// itself as `Arc<dyn ..>`, which loom's `Arc` cannot be.
#[cfg(not(loom))]
mod assembly;
#[cfg(not(loom))]
mod blocking;
#[cfg(not(loom))]
pub mod boundary;
#[cfg(not(loom))]
mod builder;
#[cfg(not(loom))]
pub mod fs;
/// What the fuzz targets run; not part of the interface.
#[cfg(not(loom))]
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(not(loom))]
mod group;
#[cfg(not(loom))]
pub mod io;
#[cfg(not(loom))]
pub mod native;
#[cfg(not(loom))]
pub mod net;
#[cfg(not(loom))]
mod op;
#[cfg(not(loom))]
mod port;
#[cfg(not(loom))]
mod runtime;
#[cfg(not(loom))]
mod shard;
#[cfg(loom)]
mod shard {
    mod mailbox;
    mod slot;
}
#[cfg(doctest)]
#[cfg(not(loom))]
mod snippets;
#[cfg(not(loom))]
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(not(loom))]
pub mod time;

pub use buf::{
    BufResult, BufResultExt, FixedBuf, FixedPart, FixedPool, IoBuf, IoBufMut, MAX_TRANSFER, Slice,
};
pub use cancel::{
    CancellationFuture, CancellationFutureOwned, CancellationToken, DropGuard, RunUntilCancelled,
};
pub use error::{BuildError, JoinError, RuntimeError, TrySpawnError};
pub use id::{ShardId, TaskId};
pub use message::{Event, RingMsg, SendError, UnknownMessage};
pub use observe::{
    Dump, PanicPolicy, SlowPoll, StuckShard, TaskDump, TaskPanic, TaskState, TimerDump,
};
pub use options::{MAX_BACKOFF, MAX_SPIN, SpinOptions, StealOptions};
pub use stats::{BlockingStats, Histogram, RuntimeStats, ShardStats};
pub use task::{AbortHandle, JoinHandle, LocalJoinHandle};

#[cfg(not(loom))]
pub use crate::{
    assembly::{Assembled, Assembly, Native},
    blocking::CancelFlag,
    builder::{Assemble, Builder, RuntimeBuilder},
    group::{JoinSet, TaskGroupEnd, TaskGroupEnds, TaskGroupJoinHandle, TaskGroupOf},
    port::{ShardLane, ToLane},
    runtime::{
        Description, NextEvent, NextHotCount, RemoteShard, RuntimeHandleOf, RuntimeOf, SendTicket,
        ShardCtx, ShardHandleOf, ShutdownReport, SpawnOptions, TaskPlacement, run, run_local_on,
        run_with, spawn, spawn_blocking, spawn_blocking_with, spawn_local, spawn_local_with,
        spawn_stealable_on, spawn_with,
    },
    time::{
        Interval, MissedTickBehavior, Sleep, Timeout, TimeoutError, consume_budget, interval,
        interval_at, sleep, sleep_until, timeout, timeout_at, unconstrained, yield_now,
    },
};

#[cfg(not(loom))]
pub use crate::native::ext as extension;

/// The runtime of the default parts.
#[cfg(not(loom))]
pub type Runtime = RuntimeOf<Native>;

/// A handle of the [`Runtime`] of the default parts.
#[cfg(not(loom))]
pub type RuntimeHandle = RuntimeHandleOf<Native>;

/// A [`TaskGroupOf`] the runtime of the default parts.
#[cfg(not(loom))]
pub type TaskGroup = TaskGroupOf<Native>;

#[cfg(feature = "macros")]
pub use spargio_macros::{main, test};

/// What the attributes expand to; not part of the interface.
#[cfg(not(loom))]
#[doc(hidden)]
pub mod __private {
    pub use crate::runtime::run_main;
}
