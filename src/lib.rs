//! Work-stealing async runtimes on Linux io_uring, assembled from parts.

#[allow(dead_code)]
mod primitive;

mod id;

pub use id::{ShardId, TaskId};
