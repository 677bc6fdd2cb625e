//! Ways to wait for each other that know what a shard is: [`Notify`], [`oneshot`], [`mpsc`].
//!
//! They work between tasks of one shard, between shards, between runtimes, and with threads and
//! executors that are none of ours: nothing in them needs a runtime, and each side wakes the other
//! through the waker that its executor gave it. A wake of a task of this crate goes through the
//! mailbox of its shard, and rings that shard only if it sleeps; these channels see to it that
//! there is no wake at all while the other side is awake.
//!
//! Each counts its ready operations against the budget of the task
//! ([`consume_budget`](crate::consume_budget)), so a loop over a channel that is never empty gives
//! way to others.
//!
//! What is not here, a mutex, a semaphore, a barrier, a watch, is in crates that belong to no
//! runtime and work in tasks of this one: `tokio::sync`, `async-lock`, `flume`, `async-channel`.

#[cfg(not(loom))]
mod budget;
#[cfg(loom)]
mod budget {
    //! There are no tasks under loom.

    pub(super) const fn consume() -> bool {
        true
    }
}
mod fifo;
pub mod mpsc;
mod notify;
pub mod oneshot;
mod wait_list;

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod testing;

pub(crate) use fifo::{Fifo, Key};
pub use notify::{Notified, Notify};
pub(crate) use wait_list::{Granted, Look, Place, WaitList, poll_place};
