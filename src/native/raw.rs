//! An entry that somebody made, as an operation: what it holds, and what its answer becomes.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::task::Waker;

use crate::driver::Sqe;
use crate::id::ShardId;
use crate::native::cqe::UringCqe;
use crate::op::{self, Complete, Lease, Listed, Operation, Outcome};

/// A value at an address that stays: moving this moves a pointer.
///
/// Not a `Box`, because moving a box ends the loans of what is in it, and the kernel's is one.
pub(super) struct Held<S>(NonNull<S>);

// SAFETY: it owns the value as a box does.
unsafe impl<S: Send> Send for Held<S> {}

impl<S> Held<S> {
    pub(super) fn new(value: S) -> Self {
        Self(NonNull::from(Box::leak(Box::new(value))))
    }

    pub(super) fn get_mut(&mut self) -> &mut S {
        // SAFETY:
        // - the value is there until this is dropped, and whoever has `&mut self` has it alone.
        unsafe { self.0.as_mut() }
    }

    pub(super) fn into_inner(self) -> S {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY:
        // - the pointer came from a box, and is not used any more: `this` is never dropped.
        *unsafe { Box::from_raw(this.0.as_ptr()) }
    }
}

impl<S> Drop for Held<S> {
    fn drop(&mut self) {
        // SAFETY:
        // - the pointer came from a box, and this is the destructor.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// What an operation resolves to, also if nothing will come of it.
pub(super) trait Answer: Sized {
    /// The shard `home` went while the kernel had the operation.
    fn lost(home: ShardId) -> Self;
}

impl<T> Answer for io::Result<T> {
    fn lost(home: ShardId) -> Self {
        Err(op::lost(home))
    }
}

impl<T, B> Answer for (io::Result<T>, B) {
    fn lost(home: ShardId) -> Self {
        panic!("{}; its buffer is leaked", op::lost(home))
    }
}

/// An entry with what it names.
pub(super) struct Raw<S, C, T> {
    // Field order is drop order: the lease ends before the descriptor may close.
    listed: Listed,
    lease: Option<Lease>,
    owned: Held<S>,
    complete: C,
    sqe: Sqe,
    /// The first completion, if others followed it.
    first: Option<Outcome>,
    answer: PhantomData<fn() -> T>,
}

impl<S, C, T> Raw<S, C, T> {
    /// # Safety
    ///
    /// The memory and the descriptors that the entry names stay as they are while `owned` is
    /// neither moved nor dropped.
    pub(super) unsafe fn new(
        owned: Held<S>,
        sqe: Sqe,
        complete: C,
        listed: Listed,
        lease: Option<Lease>,
    ) -> Self {
        Self { listed, lease, owned, complete, sqe, first: None, answer: PhantomData }
    }
}

impl<S, C, T> Raw<S, C, T>
where
    C: FnOnce(S, io::Result<UringCqe>) -> T,
{
    fn settle(self, answer: io::Result<UringCqe>) -> T {
        let Self { listed, lease, owned, complete, .. } = self;
        // Before the user's code, which may look, and may close the descriptor.
        drop(listed);
        drop(lease);
        complete(owned.into_inner(), answer)
    }
}

// SAFETY: I1:
// - whoever made it vouched for the addresses and the descriptors of the entry, which `owned`
//   keeps, and `owned` neither moves nor drops its value when `self` is moved.
unsafe impl<S, C, T> Operation for Raw<S, C, T>
where
    S: Send + 'static,
    C: FnOnce(S, io::Result<UringCqe>) -> T + Send + 'static,
    T: 'static,
{
    fn entry(&mut self) -> Sqe {
        self.sqe
    }

    fn more(&mut self, outcome: Outcome) -> Option<Waker> {
        // The result of a zero-copy send comes first, and that its buffer is free comes last.
        self.first.get_or_insert(outcome);
        None
    }

    fn abandon(self, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            drop(self.answered(outcome));
        }
    }
}

impl<S, C, T> Raw<S, C, T>
where
    C: FnOnce(S, io::Result<UringCqe>) -> T,
{
    fn answered(mut self, last: Outcome) -> T {
        let first = self.first.take();
        let answer = UringCqe::answer(last);
        self.settle(answer.map(|last| first.map_or(last, UringCqe::from)))
    }
}

impl<S, C, T> Complete for Raw<S, C, T>
where
    S: Send + 'static,
    C: FnOnce(S, io::Result<UringCqe>) -> T + Send + 'static,
    T: Answer + 'static,
{
    type Output = T;

    fn finish(self, outcome: io::Result<Outcome>) -> T {
        match outcome {
            Ok(outcome) => self.answered(outcome),
            Err(error) => self.settle(Err(error)),
        }
    }

    fn end(self, outcome: Outcome) -> T {
        self.answered(outcome)
    }

    fn finish_lost(home: ShardId) -> T {
        T::lost(home)
    }
}

impl<S, C, T> fmt::Debug for Raw<S, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").field("sqe", &self.sqe).finish_non_exhaustive()
    }
}
