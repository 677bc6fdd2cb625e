//! What is measured around and inside of a workload.

mod latency;
mod meter;
mod spread;
mod usage;

pub(crate) use latency::Latencies;
pub(crate) use meter::{Meter, Slice, Wrong};
pub(crate) use spread::Spread;
pub(crate) use usage::resident;
