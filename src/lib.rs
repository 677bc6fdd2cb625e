//! Work-stealing async runtimes on Linux io_uring, assembled from parts.

mod primitive;

mod assembly;
mod buf;
pub mod doorbell;
pub mod driver;
pub mod fs;
mod id;
mod inflight;
mod op;
mod options;
pub mod placement;
mod port;
pub mod queue;
mod shard;
mod stats;
mod task;
pub mod time;
mod timer;

pub use assembly::{Assembled, Assembly, Native};
pub use buf::{BufResult, BufResultExt, IoBuf, IoBufMut, MAX_TRANSFER, Slice};
pub use id::{ShardId, TaskId};
pub use options::{SpinOptions, StealOptions};
pub use stats::{RuntimeStats, ShardStats};
pub use task::{AbortHandle, JoinError, JoinHandle, LocalJoinHandle};
pub use time::{Sleep, Timeout, TimeoutError, sleep, sleep_until, timeout, timeout_at, yield_now};
