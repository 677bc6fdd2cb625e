//! Queues of runnable tasks with an owner end and a shared end.

use std::fmt;

mod bwos;
mod chase_lev;
#[cfg(loom)]
#[cfg(test)]
mod loom_tests;
mod mutex;
#[cfg(not(loom))]
#[cfg(test)]
mod tests;

pub use crate::options::QueueOptions;
pub use bwos::{BlockLocal, BlockQueue, BlockShared};
pub use chase_lev::{ChaseLev, ChaseLevLocal, ChaseLevShared};
pub use mutex::{MutexLocal, MutexQueue, MutexShared};

/// A queue with an owner end and a shared end.
///
/// Each shard has one. Its thread owns the [`Local`](Self::Local) end; every thread can inject
/// into and measure the [`Shared`](Self::Shared) end, and other shards steal through it. The items
/// are runnable tasks.
///
/// # Safety
///
/// An item handed out twice would alias a task's future. An implementation promises:
///
/// - **O1** Every item that was pushed or injected is handed out at most once, whatever threads
///   pop and steal at the same time.
/// - **O2** Handing over an item synchronises: what happened before the push happens before what
///   the receiver does with the item.
/// - **O3** No item is lost: until it is handed out it stays in the queue, and dropping both ends
///   drops it.
/// - **O4** Both ends can be dropped in either order, also while others hold the shared end.
pub unsafe trait StealQueue: fmt::Debug + 'static {
    /// The owner's end.
    type Local<T: Send + 'static>: LocalQueue<T, Shared = Self::Shared<T>>;
    /// Everybody's end.
    type Shared<T: Send + 'static>: SharedQueue<T>;

    /// Makes both ends. The launcher calls it, then moves the owner's end to the shard's thread.
    fn pair<T: Send + 'static>(options: &QueueOptions) -> (Self::Local<T>, Self::Shared<T>);
}

/// The owner's end of a [`StealQueue`]; used by one thread at a time.
///
/// - **O5** Items come out so that none waits for ever while others pass it: `pop` prefers the
///   oldest, or hands out everything within a bounded number of pops.
/// - **O6** `steal_from` takes at most `max` items, `first` included, and at least one when `max`
///   is not 0, the victim has stealable items and nobody else is at its queue.
pub trait LocalQueue<T: Send + 'static>: fmt::Debug + Send + 'static {
    /// The other end.
    type Shared;

    /// Adds an item; never refuses, because a wake must not be lost.
    fn push(&mut self, item: T);

    /// Takes the next of the owner's items. `None` if there is none but perhaps injected ones.
    fn pop(&mut self) -> Option<T>;

    /// Takes the next injected item, and may move a few more to the owner's part.
    fn pop_injected(&mut self) -> Option<T>;

    /// Whether there are injected items. A shard without work asks this again and again while it
    /// spins, so it must be cheap; an item whose `inject` returned before is not missed.
    fn has_injected(&self) -> bool;

    /// Takes up to `max` items of another queue; all but the first go into this one. A thief that
    /// is its own victim takes its next item.
    fn steal_from(&mut self, victim: &Self::Shared, max: usize) -> Stolen<T>;

    /// How many items the owner would find, injected ones not counted.
    fn len(&self) -> usize;

    /// Whether the owner would find none, injected ones not counted.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Everybody's end of a [`StealQueue`].
pub trait SharedQueue<T: Send + 'static>: fmt::Debug + Send + Sync + 'static {
    /// Adds an item from any thread; never refuses. Limits are kept by who calls.
    fn inject(&self, item: T);

    /// Roughly how many items could be stolen, injected ones included. It may be out of date by
    /// what other threads do at this moment, not by more (**O7**).
    fn len_hint(&self) -> usize;
}

/// What a try to steal gave.
#[derive(Debug)]
#[must_use]
pub enum Stolen<T> {
    /// The victim had nothing.
    Empty,
    /// Somebody else was at the queue at the same moment; trying again may pay.
    Retry,
    /// One item to run now; `moved` more went into the thief's own queue.
    Took {
        /// The item to run now.
        first: T,
        /// How many more were moved, less those which others took from the thief meanwhile.
        moved: usize,
    },
}
