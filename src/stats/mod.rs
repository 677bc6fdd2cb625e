//! What a runtime counts: cheap counters that each shard keeps for itself, and the snapshot that
//! users read.
//!
//! [`numbers`] is the one list of what is counted. The counters, the public snapshot, the table for
//! people and the text for Prometheus are made of it, so that none of them can forget a number.

mod blocking;
mod counters;
mod display;
mod histogram;
mod numbers;
mod prometheus;
mod runtime;
mod shard;

pub use blocking::BlockingStats;
pub use histogram::Histogram;
pub use runtime::RuntimeStats;
pub use shard::ShardStats;

pub(crate) use counters::{Counter, Counters};

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
