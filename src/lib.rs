//! Work-stealing async runtimes on Linux io_uring, assembled from parts.

#[allow(dead_code)]
mod primitive;

mod id;

pub mod doorbell;
pub mod driver;
pub mod placement;
pub mod queue;

pub use id::{ShardId, TaskId};
