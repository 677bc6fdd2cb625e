//! The completion cell: the one place where a home shard and a stolen task meet.
//!
//! One atomic word holds a phase and the bit `SUBMITTED`. Two parties move it: the *future* (on
//! whatever thread polls or drops it) and the *home* (the shard on whose ring the operation is).
//!
//! ```text
//!             future polls, or is dropped
//!   WAITING ------------------------------> LOCKED ---- future is dropped ----> ORPHAN
//!    |   ^                                  |    |
//!    |   '---- future stored its waker -----'    | home completes
//!    | home completes                            v
//!    '------------> FINISHING ----------------> DONE
//!                     home has taken the waker
//! ```
//!
//! A home that goes while the kernel still has the operation moves as one that completes it, but to
//! `GONE` in the place of `DONE`, and leaves an `ORPHAN` as it is.
//!
//! A home that wants to know who waits goes to `FINISHING`, looks at the waker, and comes back to
//! `WAITING`; a future that polls meanwhile wakes itself and polls again.
//!
//! - A cell is born `WAITING`: it is made in the poll that wants to wait for it.
//! - From `DONE` the future takes the operation and the outcome, and frees the cell.
//! - From `ORPHAN` the home abandons the operation with its outcome, and frees the cell.
//! - In `GONE` nobody frees: the memory stays the kernel's (I1). The future learns that nothing
//!   will come, and takes its waker out.
//! - `SUBMITTED` says that the token is there and the kernel may know of the operation. A future
//!   that orphans the cell before that leaves it to the home to submit nothing; after that it
//!   asks the home to cancel.
//!
//! The party that moves last frees, so the cell is freed exactly once. The waker is written and
//! taken by the future in `LOCKED` and by the home in `FINISHING`, never by both. Why the home
//! does not go from `WAITING` to `DONE` in one step: a future that polls again at that moment
//! would take the result and free the cell under the home's hands. Why the future does not go
//! from `WAITING` to `ORPHAN` in one step: the home could free the cell before the future has
//! taken its waker out.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Waker;

use crate::contain::guard;
use crate::driver::{Sqe, Token, cqe_flags};
use crate::id::ShardId;
use crate::pool;
use crate::primitive::{AtomicU32, UnsafeCell};

/// What an operation carries and what becomes of it.
///
/// # Safety
///
/// - **I1** Every address in [`entry`](Self::entry) is into memory that `self` owns, directly or
///   behind a pointer, and that stays where it is as long as `self` is neither moved nor dropped.
///   Every fd in it is kept open by `self`.
pub(crate) unsafe trait Operation: Send + 'static {
    /// The entry to submit. `self` is not moved from this call to the final completion.
    fn entry(&mut self) -> Sqe;

    /// As [`entry`](Self::entry), on the shard whose ring it is for.
    fn ring_entry(&mut self) -> Sqe {
        self.entry()
    }

    /// Takes a completion that is not the last one; on the home shard, with its state borrowed, so
    /// that whom to wake is returned rather than woken.
    fn more(&mut self, outcome: Outcome) -> Option<Waker> {
        debug_assert!(false, "{outcome:?}: an operation with one completion got more");
        None
    }

    /// The home is gone while the kernel has the operation: nothing will come of it, and it is
    /// neither finished nor abandoned. Whom to wake besides its future.
    fn lost(&mut self) -> Option<Waker> {
        None
    }

    /// Takes back what nobody waits for any more. An fd in the outcome is closed or passed on.
    /// `None`: the operation was never submitted.
    ///
    /// It drops what the user gave, so it may panic: in the future's hands that is the panic of
    /// who drops the future, in the home's it goes no further.
    fn abandon(self, outcome: Option<Outcome>)
    where
        Self: Sized,
    {
        drop((self, outcome));
    }
}

/// What the kernel answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// At least 0, or a negated error number.
    pub(crate) result: i32,
    /// The flags of the completion.
    pub(crate) flags: u32,
}

impl Outcome {
    /// The provided buffer that the kernel has used.
    pub(crate) fn buffer(self) -> Option<u16> {
        cqe_flags::buffer(self.flags)
    }
}

const PHASE: u32 = 0b111;
/// The future writes or takes the waker.
const LOCKED: u32 = 1;
/// A waker is stored.
const WAITING: u32 = 2;
/// The home takes the waker.
const FINISHING: u32 = 3;
/// The outcome is there; the home is gone.
const DONE: u32 = 4;
/// The future is gone.
const ORPHAN: u32 = 5;
/// The home is gone, and the operation is the kernel's for ever.
const GONE: u32 = 6;
/// The token is there.
const SUBMITTED: u32 = 0b1000;

struct Header {
    word: AtomicU32,
    vtable: &'static Vtable,
    home: ShardId,
    /// Written by the home before it sets `SUBMITTED`; read by the future after it saw the bit.
    token: UnsafeCell<Token>,
    /// Belongs to the future in `LOCKED` and in `GONE`, to the home in `FINISHING`.
    waker: UnsafeCell<Option<Waker>>,
    /// Belongs to the home up to `DONE`, then to the future.
    outcome: UnsafeCell<Outcome>,
}

#[repr(C)]
struct Cell<T> {
    header: Header,
    /// Belongs to the home up to `DONE`, then to the future.
    operation: UnsafeCell<ManuallyDrop<T>>,
}

/// What the home does to a cell whose type it does not know.
struct Vtable {
    entry: unsafe fn(NonNull<Header>) -> Sqe,
    more: unsafe fn(NonNull<Header>, Outcome) -> Option<Waker>,
    lost: unsafe fn(NonNull<Header>) -> Option<Waker>,
    abandon: unsafe fn(NonNull<Header>, Option<Outcome>),
}

/// The future's side of a cell.
///
/// It has no destructor, because giving it up may leave something to be done: see
/// [`abandon`](Self::abandon).
#[must_use = "a claim that is dropped leaks its cell, and nobody cancels the operation"]
pub(crate) struct Claim<T> {
    cell: NonNull<Cell<T>>,
    owns: PhantomData<T>,
}

// SAFETY: the claim is one of the two parties of the protocol above, which hands the fields from
// one to the other through the word; the operation itself is `Send`. (Not asked of the operation
// is `Operation`: within an async block the compiler forgets that a buffer was `&'static`, and
// would find none.)
unsafe impl<T: Send> Send for Claim<T> {}

// SAFETY: a shared claim gives access to nothing but the word and what is constant.
unsafe impl<T: Send> Sync for Claim<T> {}

/// The home's side of a cell.
///
/// It has no destructor: a charge that is lost is memory that the kernel may still use, and is
/// leaked rather than freed.
#[must_use = "a charge that is dropped leaks its operation"]
pub(crate) struct Charge {
    cell: NonNull<Header>,
}

// SAFETY: as for `Claim`; the operation behind it is `Send`.
unsafe impl Send for Charge {}

/// Why a claim has no outcome.
#[must_use]
pub(crate) enum Unfinished<T> {
    /// It is not there yet; the claim comes back.
    Pending(Claim<T>),
    /// It never will be: this shard went and left the operation to the kernel.
    Lost(ShardId),
}

/// What remains to be done after a claim was given up.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Abandoned {
    /// Nothing: it was finished, or its home will find it orphaned before it submits it.
    Nothing,
    /// Its home is to cancel it.
    Cancel { home: ShardId, token: Token },
}

/// What a completion led to.
#[must_use]
pub(crate) enum Finished {
    /// Somebody waits for it; wake it when no state of the shard is borrowed.
    Wake(Waker),
    /// Nobody is waiting yet, or nobody any more.
    Quiet,
}

/// Makes a cell for an operation whose future waits for it already.
pub(crate) fn cell<T: Operation>(operation: T, home: ShardId, waker: Waker) -> (Claim<T>, Charge) {
    let header = Header {
        word: AtomicU32::new(WAITING),
        vtable: const {
            &Vtable {
                entry: entry::<T>,
                more: more::<T>,
                lost: lost::<T>,
                abandon: abandon_and_free::<T>,
            }
        },
        home,
        token: UnsafeCell::new(Token::default()),
        waker: UnsafeCell::new(Some(waker)),
        outcome: UnsafeCell::new(Outcome { result: 0, flags: 0 }),
    };
    let operation = UnsafeCell::new(ManuallyDrop::new(operation));
    let cell = pool::allocate(Cell { header, operation });
    (Claim { cell, owns: PhantomData }, Charge { cell: cell.cast() })
}

/// # Safety
///
/// The header is that of a `Cell<T>`, and the operation belongs to the caller.
unsafe fn entry<T: Operation>(header: NonNull<Header>) -> Sqe {
    // SAFETY:
    // - the caller vouches for the type, and the cell is alive while one party holds it.
    let cell = unsafe { header.cast::<Cell<T>>().as_ref() };
    cell.operation.with_mut(|operation| {
        // SAFETY:
        // - the operation belongs to the caller.
        let operation = unsafe { &mut *operation };
        operation.ring_entry()
    })
}

/// # Safety
///
/// As [`entry`].
unsafe fn more<T: Operation>(header: NonNull<Header>, outcome: Outcome) -> Option<Waker> {
    // SAFETY:
    // - the caller vouches for the type, and the cell is alive while one party holds it.
    let cell = unsafe { header.cast::<Cell<T>>().as_ref() };
    cell.operation.with_mut(|operation| {
        // SAFETY:
        // - the operation belongs to the caller.
        let operation = unsafe { &mut *operation };
        operation.more(outcome)
    })
}

/// # Safety
///
/// As [`entry`].
unsafe fn lost<T: Operation>(header: NonNull<Header>) -> Option<Waker> {
    // SAFETY:
    // - the caller vouches for the type, and the cell is alive while one party holds it.
    let cell = unsafe { header.cast::<Cell<T>>().as_ref() };
    cell.operation.with_mut(|operation| {
        // SAFETY:
        // - the operation belongs to the caller.
        let operation = unsafe { &mut *operation };
        operation.lost()
    })
}

/// # Safety
///
/// As [`entry`]; the caller is the last party, and the cell is gone afterwards.
unsafe fn abandon_and_free<T: Operation>(header: NonNull<Header>, outcome: Option<Outcome>) {
    // SAFETY:
    // - passed on to the caller.
    let operation = unsafe { take_and_free(header.cast::<Cell<T>>()) };
    // The task that the panic of a user's destructor would end is gone, and the shard has no part
    // in it. The panic hook has reported it.
    guard(|| operation.abandon(outcome));
}

/// # Safety
///
/// The caller is the last party, the operation belongs to it, and the cell is gone afterwards.
unsafe fn take_and_free<T: Operation>(cell: NonNull<Cell<T>>) -> T {
    // SAFETY:
    // - the cell came from `pool::allocate` and the caller is the last to hold it.
    let Cell { header, operation } = unsafe { pool::free(cell) };
    let operation = operation.with_mut(|operation| {
        // SAFETY:
        // - the operation belongs to the caller.
        let operation = unsafe { &mut *operation };
        // SAFETY:
        // - it is taken once: its cell is gone.
        unsafe { ManuallyDrop::take(operation) }
    });
    let waker = header.waker.with_mut(|slot| {
        // SAFETY:
        // - the caller is the last party.
        unsafe { (*slot).take() }
    });
    // Last, because the waker of a future that was not woken may panic when it is dropped.
    drop(waker);
    operation
}

mod charge;
mod claim;

#[cfg(test)]
#[cfg(loom)]
#[path = "cell/loom.rs"]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
