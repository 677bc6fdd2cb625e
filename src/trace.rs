//! Spans of tasks and events of the runtime, for the `tracing` crate: nothing at all without the
//! feature of that name.
//!
//! Everything is of the target `spargio`. A subscriber is code of others: it is called while
//! nothing of a shard is borrowed, and a panic of it goes no further.

#[cfg(feature = "tracing")]
#[cfg(not(loom))]
mod on;
#[cfg(feature = "tracing")]
#[cfg(not(loom))]
pub(crate) use on::{
    ON, TaskSpan, attempted, completed, panicked, shard_started, shard_stopped, slow_poll,
    submitted,
};

#[cfg(any(loom, not(feature = "tracing")))]
mod off;
#[cfg(any(loom, not(feature = "tracing")))]
pub(crate) use off::{
    ON, TaskSpan, attempted, completed, panicked, shard_started, shard_stopped, slow_poll,
    submitted,
};
