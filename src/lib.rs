//! Work-stealing async runtimes on Linux io_uring, assembled from parts.

mod primitive;

mod assembly;
mod buf;
pub mod doorbell;
pub mod driver;
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
mod timer;

pub use assembly::{Assembled, Assembly, Native};
pub use buf::{BufResult, BufResultExt, IoBuf, IoBufMut, MAX_TRANSFER, Slice};
pub use id::{ShardId, TaskId};
pub use options::{SpinOptions, StealOptions};
pub use stats::{RuntimeStats, ShardStats};
pub use task::{AbortHandle, JoinError, JoinHandle, LocalJoinHandle};
