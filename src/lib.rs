//! Work-stealing async runtimes on Linux io_uring, assembled from parts.

#[allow(dead_code)]
mod primitive;

mod id;
#[allow(dead_code)]
mod inflight;
#[allow(dead_code)]
mod task;

//pub mod doorbell;
//pub mod driver;
//pub mod placement;
//pub mod queue;

pub use id::{ShardId, TaskId};
