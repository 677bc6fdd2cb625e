//! Telling tasks to stop: tokens that any number of futures wait for, and a tree of them.
//!
//! A [`CancellationToken`] belongs to no runtime and works under every executor. What waits for a
//! token has an entry in a list of that token, under a lock that is held for some instructions and
//! never while a waker runs: registering and unregistering are O(1), and nothing is allocated but
//! the list as it grows. A token knows its children, and a child its place in the list of its
//! parent, so that a child which is dropped costs O(1) as well; see `node.rs`.

mod future;
mod node;
mod slab;
mod token;

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use future::{CancellationFuture, CancellationFutureOwned, RunUntilCancelled};
pub use token::{CancellationToken, DropGuard};

pub(crate) use slab::{Key, Slab};
