//! The doorbell that is a message from ring to ring.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use crate::doorbell::event_fd::{answer, push_or_flush, sent_token};
use crate::doorbell::{Answer, Doorbell, EventFd, EventFdRinger};
use crate::driver::{Class, Cqe, Opcode, RingDriver, Sqe, Token, post, sqe_flags};
use crate::id::ShardId;

/// A doorbell that posts a completion on the ring of the shard (`IORING_OP_MSG_RING`).
///
/// A shard's ring is one entry that goes with its next submission, about 0.3 us within a batch. A
/// foreign thread posts by `io_uring_register(2)` (Linux 6.13); on older kernels the shard watches
/// an [`EventFd`] for foreign threads.
#[derive(Debug)]
pub struct MsgRing {
    /// For threads without a ring, where the kernel cannot post from one.
    foreign: Option<EventFd>,
}

/// The far end of a [`MsgRing`].
///
/// It names the ring by the number of its fd. The runtime keeps the ring open while anybody may
/// ring: a number used again would ring at somebody else's door. A message to an open ring whose
/// thread has ended is lost without an error, so a doorbell proves nothing about who lives.
#[derive(Debug)]
pub struct MsgRingRinger {
    ring: RawFd,
    target: ShardId,
    foreign: Option<EventFdRinger>,
}

impl MsgRing {
    /// The token that the target finds. A ring names nobody who sent it: what it announces travels
    /// through memory, and the queue it is pushed to does not know its shard.
    const TOKEN: Token = Token::new(Class::Bell, 0, ShardId::EXTERNAL.get() as u32);
}

impl<D: RingDriver> Doorbell<D> for MsgRing {
    type Ringer = MsgRingRinger;

    fn open(driver: &mut D, shard: ShardId) -> io::Result<(Self, MsgRingRinger)> {
        if !driver.caps().supports(Opcode::MSG_RING) {
            let text = "the kernel has no MSG_RING (Linux 5.18); use the EventFd doorbell";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let ring = driver.ring_fd().as_raw_fd();
        let (foreign, far) = if driver.caps().foreign_msg_ring {
            (None, None)
        } else {
            let (bell, far) = EventFd::watch(driver, shard)?;
            (Some(bell), Some(far))
        };
        Ok((Self { foreign }, MsgRingRinger { ring, target: shard, foreign: far }))
    }

    #[inline]
    fn ring(from: &mut D, to: &MsgRingRinger) -> io::Result<()> {
        let message = Sqe::msg_ring(to.ring, Self::TOKEN, 0)
            .flags(sqe_flags::CQE_SKIP_SUCCESS)
            .token(sent_token(to.target));
        // SAFETY: the entry names no memory. The target's ring is open while anybody may ring; if
        // it were not, the message would fail or reach a ring whose owner drops what it does not
        // know.
        unsafe { push_or_flush(from, message) }
    }

    fn ring_foreign(to: &MsgRingRinger) -> io::Result<()> {
        match &to.foreign {
            Some(event) => event.ring_foreign(),
            None => post(to.ring, Self::TOKEN),
        }
    }

    fn carry(
        from: &mut D,
        to: &MsgRingRinger,
        token: Token,
        result: i32,
        sent: Token,
    ) -> io::Result<bool> {
        let message =
            Sqe::msg_ring(to.ring, token, result).flags(sqe_flags::CQE_SKIP_SUCCESS).token(sent);
        // SAFETY: as in `ring`.
        unsafe { push_or_flush(from, message) }?;
        Ok(true)
    }

    fn answered(&mut self, driver: &mut D, cqe: Cqe) -> io::Result<Answer> {
        if let (Some(Class::Watch), Some(bell)) = (cqe.token.class(), &mut self.foreign) {
            bell.watched(driver, cqe)?;
        }
        Ok(answer(cqe))
    }
}

#[cfg(test)]
mod tests;
