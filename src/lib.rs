//! Work-stealing async runtimes on Linux io_uring, assembled from parts.

#[allow(dead_code)]
mod primitive;

mod id;
#[allow(dead_code, reason = "the shard is its only owner")]
mod timer;

pub use id::{ShardId, TaskId};
