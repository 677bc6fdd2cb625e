//! A completion backend: what a shard submits to and collects from.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::time::Instant;

use crate::error::BuildError;
use crate::id::ShardId;

mod caps;
mod entry;
mod opcode;
mod uring;

pub use caps::Caps;
pub use entry::{BufferRing, Class, Cqe, Sqe, Token};
pub use opcode::{Opcode, cqe_flags, ioprio, sqe_flags};
pub(crate) use uring::post;
pub use uring::{RefusalReason, Uring, UringRefused, UringSetup};

/// One completion backend, owned by one shard.
///
/// The shard calls it from its own thread only, several times a turn. [`Uring`] is the part that
/// the default assembly uses.
///
/// # Safety
///
/// A completion ends the loan of memory that its submission began, so a driver that lies breaks
/// memory. An implementation promises:
///
/// - **O1** Every entry that [`push`](Self::push) took and that is not
///   [silent](Sqe::is_silent) leads to exactly one completion without `MORE` that carries its
///   token, whatever [`flush`](Self::flush) or [`park`](Self::park) returned meanwhile; a silent
///   one leads to at most one, and only for a failure. None is lost when a queue overflows.
/// - **O2** After the completion without `MORE` of an entry (of a zero-copy send: after the one
///   with `NOTIF`), the backend touches none of the memory that the entry names.
/// - **O3** A token that was never pushed is never returned with [`Class::Op`], nor with
///   [`Class::Close`]; and a close that is answered with `-ECANCELED` has not happened, while after
///   any other answer the fd is closed. After `-ECANCELED` the shard closes the number in the token
///   itself, which would be anybody's fd if the answer were unasked for or untrue.
/// - **O4** [`push`](Self::push) makes no system call, and an entry it refuses has had no effect.
/// - **O5** [`attempt`](Self::attempt) does not block, and when it returns `None` the operation has
///   had no effect. When it returns a result, the memory of the entry is no longer used.
/// - **O6** [`park`](Self::park) returns when a completion is ready to drain, when the shard's
///   doorbell was rung after the last [`drain`](Self::drain), or at the deadline, whichever is
///   first; it may return early for no reason. It submits what is pushed before it sleeps.
/// - **O7** [`pending`](Self::pending) makes no system call. It may miss what came a moment ago,
///   but not for ever.
/// - **O8** Dropping the driver with entries in flight does not return memory to anybody: it is
///   the caller who keeps that memory (a shard drops its driver when its table is empty, or leaks
///   both).
/// - **O10** A driver that can [`provide`](Self::provide) buffers takes each buffer at most once
///   for each time that it was put into the ring, and only for an entry that names the group. The
///   completion that has used one names it, exactly one does, and its result is no more than the
///   buffer's length; from then on the backend touches the buffer no more. After
///   [`retract`](Self::retract) has returned `Ok` it does not touch the ring, and takes no buffer.
///   (**O9** is one of [`RingDriver`].)
pub unsafe trait Driver: Sized + 'static {
    /// The recipe: cheap to copy to the shard's thread, where the part itself is opened.
    type Setup: Clone + fmt::Debug + Default + Send + Sync + 'static;

    /// Whether the recipe has only values that can be: asked once, before any thread starts. One
    /// that is refused here is named by the builder's knob for it; [`open`](Self::open) may refuse
    /// it too.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](BuildError::InvalidConfig). By default none.
    fn check(setup: &Self::Setup) -> Result<(), BuildError> {
        let _ = setup; // Not every recipe can be wrong.
        Ok(())
    }

    /// Opens the backend on the thread of the shard.
    ///
    /// # Errors
    ///
    /// What the system answers. For a refused io_uring the error says what refused it (seccomp,
    /// sysctl, memlock, kernel version) and what to do.
    fn open(setup: &Self::Setup, shard: ShardId) -> io::Result<Self>;

    /// What this backend can do.
    fn caps(&self) -> &Caps;

    /// The time. The clock belongs to the driver, so that a simulated driver owns time.
    fn now(&self) -> Instant;

    /// Queues an entry, without a system call.
    ///
    /// # Errors
    ///
    /// [`SqFull`] hands the entry back: flush, then push again.
    ///
    /// # Safety
    ///
    /// The memory and the fd that the entry names stay valid, and are not otherwise used in a way
    /// that conflicts with the operation, until O2 releases them.
    unsafe fn push(&mut self, sqe: Sqe) -> Result<(), SqFull>;

    /// Finishes the operation now if that is possible without blocking; the result has the
    /// meaning of [`Cqe::result`]. `None`: push it.
    ///
    /// The caller does not try a read of a file that was opened for direct I/O: no flag keeps the
    /// kernel from sleeping in it.
    ///
    /// # Safety
    ///
    /// The memory and the fd that the entry names are valid for the length of the call.
    unsafe fn attempt(&mut self, sqe: &Sqe) -> Option<i32>;

    /// Provides the buffers of a ring, those included that will be put there later, to entries that
    /// name its group. Only where [`Caps::provided_buffers`] says so.
    ///
    /// # Errors
    ///
    /// What the system answers, and then nothing is provided; `Unsupported` by default, for a
    /// driver that lacks it.
    ///
    /// # Safety
    ///
    /// The ring stays where it is, and is not written to but as [`BufferRing`] says, until it was
    /// retracted or the driver is dropped. No other ring of that group is provided. A buffer that
    /// is in the ring is not otherwise used; its memory stays valid until a completion has named
    /// it, or the ring was retracted and every entry that named the group has completed.
    unsafe fn provide(&mut self, ring: BufferRing) -> io::Result<()> {
        let _ = ring; // Nothing is done with it.
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes back what was provided as this group. Entries in flight that name it may still tell of
    /// buffers that they have used before.
    ///
    /// # Errors
    ///
    /// What the system answers; then the ring is provided still, if it was.
    fn retract(&mut self, group: u16) -> io::Result<()> {
        let _ = group; // There is none.
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes memory known by a number below 64, for entries of
    /// [`READ_FIXED`](Opcode::READ_FIXED) and [`WRITE_FIXED`](Opcode::WRITE_FIXED) that name it as
    /// their [`buf_index`](Sqe::buf_index); or with `None` makes the number mean nothing.
    ///
    /// # Errors
    ///
    /// What the system answers, `ENOMEM` if it may not be locked; `Unsupported` by default, for a
    /// driver that lacks it.
    ///
    /// # Safety
    ///
    /// No entry that was pushed and has not completed names the number. The memory stays valid
    /// until every entry that will name it has completed. Nothing else uses a part of it that an
    /// entry names until that has completed.
    unsafe fn register(&mut self, number: u16, memory: Option<NonNull<[u8]>>) -> io::Result<()> {
        let _ = (number, memory); // Nothing is done with it.
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How many entries are pushed and not yet handed over.
    fn queued(&self) -> usize;

    /// Hands over what is pushed and collects what is ready, without waiting. Returns how many
    /// entries were taken; what was not taken stays queued.
    ///
    /// # Errors
    ///
    /// Only what makes the backend useless; full queues and interrupted calls are not errors.
    fn flush(&mut self) -> io::Result<usize>;

    /// Hands over what is pushed, then sleeps as O6 says. `None` sleeps without a deadline.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    fn park(&mut self, until: Option<Instant>) -> io::Result<()>;

    /// Whether something is ready to be collected: a look from user space.
    fn pending(&self) -> bool;

    /// Passes every completion that is ready to the sink, and returns how many. The driver is
    /// borrowed meanwhile, so the sink only sorts: it wakes and answers nothing.
    fn drain(&mut self, sink: impl FnMut(Cqe)) -> usize;

    /// How many times the backend entered the kernel to submit, collect or wait.
    fn enters(&self) -> u64;
}

/// A driver that is an io_uring and lends its ring to a doorbell.
///
/// # Safety
///
/// - **O9** The fd is that of the ring that [`Driver::push`] submits to, and it stays open as long
///   as the driver lives.
#[diagnostic::on_unimplemented(
    message = "the driver `{Self}` is no io_uring, which the doorbell `MsgRing` needs",
    label = "this doorbell cannot wake a shard of this driver",
    note = "`EventFd` fits every driver that can poll an fd: `.doorbell::<EventFd>()`"
)]
pub unsafe trait RingDriver: Driver {
    /// The fd of the ring.
    fn ring_fd(&self) -> BorrowedFd<'_>;
}

/// The submission queue is full; the entry comes back.
#[derive(Clone, Copy, Debug)]
pub struct SqFull(pub Sqe);

impl fmt::Display for SqFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the submission queue is full; {:?} was not queued", self.0.opcode())
    }
}

impl std::error::Error for SqFull {}
