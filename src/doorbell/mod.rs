//! How a shard that sleeps is woken. The protocol that decides *when* is in `README.md` here.

use std::fmt;
use std::io;

use crate::driver::{Cqe, Driver, Token};
use crate::id::ShardId;

mod event_fd;
mod gate;
mod idle;
mod msg_ring;
#[cfg(test)]
mod suite;

pub use event_fd::{EventFd, EventFdRinger};
pub use msg_ring::{MsgRing, MsgRingRinger};

pub(crate) use gate::{Gate, Post};
pub(crate) use idle::{Help, Idle, Need};

/// How a shard that sleeps is woken.
///
/// One instance per shard, on its thread; its far end, the [`Ringer`](Self::Ringer), is shared by
/// everybody who may ring. A ring carries nothing: what it announces travels through memory.
/// A ring for a shard that is awake is harmless.
///
/// The trait is safe to implement: a doorbell that does not ring costs liveness, not memory.
/// An implementation promises:
///
/// - **O1** After `ring` and the next flush of the sender's driver, or after `ring_foreign`, the
///   target's [`Driver::park`] returns.
/// - **O2** It keeps O1 for any number of rings: it arms itself again without being asked, at the
///   latest when `answered` sees its completion.
/// - **O3** `ring` makes no system call unless the sender's queue is full.
/// - **O4** A ring that the system refused shows as [`Answer::Failed`] or as the error of the call,
///   never as silence.
/// - **O5** `ring_foreign` works from any thread, also one without a ring, and does not block.
#[diagnostic::on_unimplemented(
    message = "the doorbell `{Self}` does not fit the driver `{D}`",
    label = "this doorbell cannot wake a shard of this driver",
    note = "`MsgRing` needs a driver that is an io_uring (`RingDriver`); `EventFd` fits every driver that can poll an fd"
)]
pub trait Doorbell<D: Driver>: Sized + 'static {
    /// The far end, shared by all who may ring.
    type Ringer: fmt::Debug + Send + Sync + 'static;

    /// Opens the doorbell of a shard on its thread, and arms it.
    ///
    /// # Errors
    ///
    /// What the system answers.
    fn open(driver: &mut D, shard: ShardId) -> io::Result<(Self, Self::Ringer)>;

    /// Rings from the shard that owns the driver `from`: queued, and sent with its next flush.
    ///
    /// # Errors
    ///
    /// What the system answers, if the sender's queue was full and had to be flushed. `WouldBlock`
    /// says that this made no room: the shard rings as a thread without a ring does instead.
    fn ring(from: &mut D, to: &Self::Ringer) -> io::Result<()>;

    /// Rings from a thread that is no shard of this runtime.
    ///
    /// # Errors
    ///
    /// What the system answers.
    fn ring_foreign(to: &Self::Ringer) -> io::Result<()>;

    /// Queues a message that is a completion on the target's ring, with this token and result, from
    /// the shard that owns the driver `from`; it goes with its next flush. `sent` is the token of
    /// the entry, which is to complete only if it failed. `false`: this doorbell carries no
    /// messages, and they travel through memory, as they do by default.
    ///
    /// # Errors
    ///
    /// What the system answers, if the sender's queue was full and had to be flushed. The message
    /// was not queued.
    fn carry(
        _from: &mut D,
        _to: &Self::Ringer,
        _token: Token,
        _result: i32,
        _sent: Token,
    ) -> io::Result<bool> {
        Ok(false)
    }

    /// Takes a completion of class [`Bell`](crate::driver::Class::Bell),
    /// [`BellSent`](crate::driver::Class::BellSent) or [`Watch`](crate::driver::Class::Watch).
    ///
    /// # Errors
    ///
    /// What the system answers when the doorbell arms itself again. `WouldBlock` says that the
    /// driver's queue has no room at the moment: the shard asks again, with the same completion,
    /// and does not sleep before.
    fn answered(&mut self, driver: &mut D, cqe: Cqe) -> io::Result<Answer>;
}

/// What a completion of a doorbell means.
#[derive(Debug)]
#[must_use]
pub enum Answer {
    /// Somebody rang here.
    Heard,
    /// A ring that this shard sent did not arrive: ring again.
    Failed {
        /// Whom it was for.
        target: ShardId,
        /// Why.
        error: io::Error,
    },
}
