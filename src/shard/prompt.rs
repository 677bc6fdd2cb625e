//! Whether what a shard without work submits may be answered at once, by what it is.
//!
//! One call can submit and sleep. But the way to sleep is long, about 1,000 instructions in which
//! the shard tells the others that it is not to be counted on, and an operation that the kernel
//! carries out while it takes the entry would be there before. So only what waits for somebody else
//! is left to the call that sleeps.

use std::cell::Cell;

use crate::driver::{Opcode, Sqe, sqe_flags};

/// What is queued for the next submission.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// Something among it may be answered at once.
    is_prompt: Cell<bool>,
    /// It was left to the call that sleeps.
    is_put_off: Cell<bool>,
}

impl Prompt {
    /// An entry is queued.
    #[inline]
    pub(super) fn note(&self, sqe: &Sqe) {
        let waits = matches!(sqe.opcode(), Opcode::RECV | Opcode::RECVMSG | Opcode::ACCEPT)
            || sqe.flags & sqe_flags::CQE_SKIP_SUCCESS != 0;
        if !waits {
            self.is_prompt.set(true);
        }
    }

    /// Whether nothing of what is queued is expected to be answered at once.
    #[inline]
    pub(super) fn may_put_off(&self) -> bool {
        !self.is_prompt.get()
    }

    /// What is queued is left to the call that sleeps.
    pub(super) fn put_off(&self) {
        self.is_put_off.set(true);
    }

    /// Whether something was left to a call that sleeps; that call, or another, comes now.
    #[inline]
    pub(super) fn take_put_off(&self) -> bool {
        self.is_put_off.take()
    }

    /// All that is queued is submitted.
    #[inline]
    pub(super) fn submitted(&self) {
        self.is_prompt.set(false);
    }
}
