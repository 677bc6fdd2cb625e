//! When sleeping tasks are due: a hierarchical timing wheel as plain data, without a clock.
//!
//! The owner passes the time in as nanoseconds since an epoch of its choice and gets back what is
//! due; [`Wheel::next_deadline`] says until when it may sleep. Nothing here blocks, allocates in
//! steady state, or is shared between threads.

mod place;
mod slab;
mod wheel;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub(crate) use slab::{Full, TimerKey};
pub(crate) use wheel::Wheel;
