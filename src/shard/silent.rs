//! Sends that say nothing when they end well, so that they do not end the sleep that submits them.
//!
//! A request goes to the ring with the receive of its reply, and one call submits both and waits.
//! A completion of the send would end the wait at once. So the kernel is asked for none unless the
//! send fails or is short; and since it may not wait for room, it is over when the call that
//! submitted it is.
//!
//! Nothing would wake the shard for a silent send alone, so it goes into a sleep only in company:
//! of a receive of the same socket that was queued after it. Whoever waits for both misses nothing
//! by hearing of the send when the receive ends. One without company is flushed, and over.

use std::os::fd::RawFd;

use crate::assembly::Assembly;
use crate::driver::{Cqe, Driver, Opcode, Sqe, Token, sqe_flags};
use crate::shard::Shard;

/// A send that says nothing when it ends well.
#[derive(Debug)]
pub(super) struct Silent {
    token: Token,
    /// How many bytes all of it is.
    len: u32,
    fd: RawFd,
    has_company: bool,
}

impl<A: Assembly> Shard<A> {
    /// Notes an entry that asks for silence, and sees to it that a short send is no success. Where
    /// the driver does not promise that silence is success, it is to be heard.
    #[inline]
    pub(super) fn note_silent(&self, sqe: Sqe) -> Sqe {
        if sqe.flags & sqe_flags::CQE_SKIP_SUCCESS == 0 || sqe.opcode() != Opcode::SEND {
            return sqe;
        }
        if !self.driver.borrow().caps().silent_sends {
            return Sqe { flags: sqe.flags & !sqe_flags::CQE_SKIP_SUCCESS, ..sqe };
        }
        let Sqe { token, len, fd, .. } = sqe;
        self.silent.borrow_mut().push(Silent { token, len, fd, has_company: false });
        Sqe { op_flags: sqe.op_flags | libc::MSG_WAITALL as u32, ..sqe }
    }

    /// An entry is to be queued: whether it is the company of a silent one.
    #[inline]
    pub(super) fn is_company(&self, sqe: &Sqe) -> bool {
        if sqe.opcode() == Opcode::RECV
            && let Some(last) = self.silent.borrow_mut().last_mut()
            && last.fd == sqe.fd
        {
            last.has_company = true;
            return true;
        }
        false
    }

    /// Whether a silent send is queued that must not wait for another poll.
    #[inline]
    pub(super) fn is_silent_queued(&self) -> bool {
        !self.silent.borrow().is_empty()
    }

    /// Whether every silent send has company.
    pub(super) fn silent_have_company(&self) -> bool {
        self.silent.borrow().iter().all(|silent| silent.has_company)
    }

    /// Completes those that were submitted, and of which nothing was heard: they sent everything.
    #[inline]
    pub(super) fn settle_silent(&self) {
        // As a rule there are none.
        if !self.silent.borrow().is_empty() {
            self.end_silent();
        }
    }

    fn end_silent(&self) {
        if !self.overflow.borrow().is_empty() {
            return;
        }
        {
            let driver = self.driver.borrow();
            // A completion that is yet to be collected may be one of theirs.
            if driver.queued() > 0 || driver.pending() {
                return;
            }
        }
        let mut ended = self.silent.take();
        for Silent { token, len, .. } in ended.drain(..) {
            let is_in_flight = self.table.borrow().is_in_flight(token);
            if is_in_flight {
                let result = i32::try_from(len).unwrap_or(i32::MAX);
                self.complete(Cqe { token, result, flags: 0 });
            }
        }
        // The list is kept for its capacity; who was woken may have left one in the new one.
        let mut silent = self.silent.borrow_mut();
        ended.append(&mut silent);
        *silent = ended;
    }
}
