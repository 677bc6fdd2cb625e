//! Work-stealing async runtimes on Linux io_uring, assembled from parts.

mod primitive;

mod assembly;
mod buf;
mod builder;
mod cpu;
pub mod doorbell;
pub mod driver;
mod error;
pub mod fs;
mod id;
mod inflight;
pub mod net;
mod op;
mod options;
pub mod placement;
mod pool;
mod port;
pub mod queue;
mod runtime;
mod shard;
mod stats;
mod task;
pub mod time;
mod timer;

pub use assembly::{Assembled, Assembly, Native};
pub use buf::{BufResult, BufResultExt, IoBuf, IoBufMut, MAX_TRANSFER, Slice};
pub use builder::{Assemble, Builder, RuntimeBuilder};
pub use error::{BuildError, JoinError, RuntimeError, TrySpawnError};
pub use id::{ShardId, TaskId};
pub use options::{MAX_SPIN, SpinOptions, StealOptions};
pub use port::{ShardLane, ToLane};
pub use runtime::{
    RuntimeHandleOf, RuntimeOf, ShardCtx, ShardHandleOf, ShutdownReport, TaskPlacement, run,
    run_local_on, run_with, spawn, spawn_local, spawn_stealable_on,
};
pub use stats::{RuntimeStats, ShardStats};
pub use task::{AbortHandle, JoinHandle, LocalJoinHandle};
pub use time::{Sleep, Timeout, TimeoutError, sleep, sleep_until, timeout, timeout_at, yield_now};

/// The runtime of the default parts.
pub type Runtime = RuntimeOf<Native>;

/// A handle of the [`Runtime`] of the default parts.
pub type RuntimeHandle = RuntimeHandleOf<Native>;

#[cfg(feature = "macros")]
pub use spargio_macros::{main, test};

/// What the attributes expand to; not part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::runtime::run_main;
}
