//! How an inlet receives: the entries of its receives, and what their completions brought.

use std::fmt;
use std::os::fd::RawFd;

use crate::driver::Sqe;
use crate::op::{Outcome, RecvBuf, Room};

/// One receive of an inlet: many times into provided buffers, or once into memory of its own.
///
/// # Safety
///
/// - I1: what an entry names is kept by the value, or lies in it, until the operation has ended or
///   the value is dropped. It is not moved as long.
pub(in crate::net) unsafe trait Intake: fmt::Debug + Send + 'static {
    /// What the next receive is made from.
    type Plan: Send + Sync + 'static;
    /// What one completion brings.
    type Item: Send + 'static;

    /// Whether a receive of nothing is the end of everything.
    const ENDS: bool;

    fn new(plan: &Self::Plan) -> Self;

    /// The entry of a receive on the shard whose thread this is: one that fills about so many
    /// provided buffers, or without a bound as many as come on kernels that know none; one into
    /// memory of its own with `None`, and when there are no buffers.
    fn entry(&mut self, fd: RawFd, buffers: Option<usize>) -> Sqe;

    /// Whether the entry was one for many buffers.
    fn is_many(&self) -> bool;

    /// What a completion brought; `None` for nothing.
    ///
    /// # Safety
    ///
    /// It is a completion of the operation whose entry was made by [`entry`](Self::entry), and is
    /// taken once.
    unsafe fn brought(&mut self, outcome: Outcome) -> Option<Self::Item>;
}

// SAFETY: I1:
// - the room keeps what its entry names: a share of the memory of provided buffers, or memory on
//   the heap that stays where it is when `self` is moved.
unsafe impl Intake for Room {
    type Plan = ();
    type Item = RecvBuf;

    const ENDS: bool = true;

    fn new((): &()) -> Self {
        Self::default()
    }

    fn entry(&mut self, fd: RawFd, buffers: Option<usize>) -> Sqe {
        Room::entry(self, fd, buffers)
    }

    fn is_many(&self) -> bool {
        Room::is_many(self)
    }

    unsafe fn brought(&mut self, outcome: Outcome) -> Option<RecvBuf> {
        // SAFETY: the caller's promise.
        unsafe { Room::brought(self, outcome) }
    }
}
