//! Work that blocks: what the ring has no opcode for, and what users give away, on threads of the
//! runtime that are no shards.
//!
//! [`pool`] owns the threads and the limits, [`job`] the way of an answer back to its future.

mod job;
mod pool;

pub use job::CancelFlag;

pub(crate) use job::{Offload, clear_up, give, job};
pub(crate) use pool::{Pool, Refused};
