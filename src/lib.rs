//! Work-stealing async runtimes on Linux io_uring, assembled from parts.

#[allow(dead_code)]
mod primitive;

mod buf;
mod id;
#[allow(dead_code, unused_imports, reason = "the shard is its only user")]
mod timer;

pub use buf::{BufResult, BufResultExt, IoBuf, IoBufMut, MAX_TRANSFER, Slice};
pub use id::{ShardId, TaskId};
