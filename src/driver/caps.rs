//! What a driver's kernel can do: probed once when the driver opens, never guessed later.

use std::fmt;

use crate::driver::opcode::Opcode;

/// What a driver can do on this machine.
///
/// ```
/// use spargio::driver::{Caps, Opcode};
/// let mut caps = Caps::default();
/// assert!(!caps.supports(Opcode::READ));
/// caps.add(Opcode::READ);
/// assert!(caps.supports(Opcode::READ));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Caps {
    /// The `IORING_SETUP_*` flags that the kernel took; 0 for a driver that is no ring.
    pub setup_flags: u32,
    /// The `IORING_FEAT_*` bits that the kernel reported.
    pub features: u32,
    /// Entries of the submission queue.
    pub sq_entries: u32,
    /// Entries of the completion queue.
    pub cq_entries: u32,
    /// The ring fd is registered with its thread, so that `enter` need not look it up.
    pub registered_ring: bool,
    /// A thread without a ring can post a message to a ring (Linux 6.13).
    pub foreign_msg_ring: bool,
    /// Waits take an absolute deadline (Linux 6.12); else it is turned into a time span.
    pub absolute_wait: bool,
    /// Waiting is not counted as waiting for I/O (Linux 6.15).
    pub no_iowait: bool,
    /// A ring of buffers can be [provided](crate::driver::Driver::provide) (Linux 5.19).
    pub provided_buffers: bool,
    /// One receive, of bytes or of messages, can take many of the provided buffers (Linux 6.0).
    pub recv_multishot: bool,
    /// Such a receive can be told to end after so many bytes (Linux 6.17; asked for by what came
    /// with 6.18).
    pub recv_limit: bool,
    /// A send with [`CQE_SKIP_SUCCESS`](crate::driver::sqe_flags::CQE_SKIP_SUCCESS) and
    /// `MSG_DONTWAIT` is over when its entry has been taken: its memory is not read any more, it
    /// has sent everything unless a completion is [pending](crate::driver::Driver::pending) by
    /// then, and one that was short says how much it sent (Linux 6.1, unless a kernel thread
    /// submits). Without it no send is silent.
    pub silent_sends: bool,
    opcodes: [u64; 4],
}

/// The `IORING_SETUP_*` flags of `linux/io_uring.h`, from bit 0 on.
const SETUP_FLAGS: [&str; 18] = [
    "IOPOLL",
    "SQPOLL",
    "SQ_AFF",
    "CQSIZE",
    "CLAMP",
    "ATTACH_WQ",
    "R_DISABLED",
    "SUBMIT_ALL",
    "COOP_TASKRUN",
    "TASKRUN_FLAG",
    "SQE128",
    "CQE32",
    "SINGLE_ISSUER",
    "DEFER_TASKRUN",
    "NO_MMAP",
    "REGISTERED_FD_ONLY",
    "NO_SQARRAY",
    "HYBRID_IOPOLL",
];

impl Caps {
    /// The names of the [setup flags](Self::setup_flags), without their `IORING_SETUP_`; bits that
    /// have no name here are left out.
    ///
    /// ```
    /// let mut caps = spargio::driver::Caps::default();
    /// caps.setup_flags = 1 << 12 | 1 << 13;
    /// assert!(caps.setup_flag_names().eq(["SINGLE_ISSUER", "DEFER_TASKRUN"]));
    /// ```
    pub fn setup_flag_names(&self) -> impl Iterator<Item = &'static str> {
        let flags = self.setup_flags;
        let named = SETUP_FLAGS.iter().enumerate();
        named.filter(move |&(bit, _)| flags >> bit & 1 == 1).map(|(_, &name)| name)
    }

    /// Whether the operation is supported.
    pub const fn supports(&self, opcode: Opcode) -> bool {
        let number = opcode.get();
        self.opcodes[number as usize / 64] >> (number % 64) & 1 == 1
    }

    /// Notes that the operation is supported.
    pub const fn add(&mut self, opcode: Opcode) {
        let number = opcode.get();
        self.opcodes[number as usize / 64] |= 1 << (number % 64);
    }
}

impl fmt::Debug for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opcodes: u32 = self.opcodes.iter().map(|word| word.count_ones()).sum();
        f.debug_struct("Caps")
            .field("setup_flags", &format_args!("{:#x}", self.setup_flags))
            .field("features", &format_args!("{:#x}", self.features))
            .field("sq_entries", &self.sq_entries)
            .field("cq_entries", &self.cq_entries)
            .field("registered_ring", &self.registered_ring)
            .field("foreign_msg_ring", &self.foreign_msg_ring)
            .field("absolute_wait", &self.absolute_wait)
            .field("no_iowait", &self.no_iowait)
            .field("provided_buffers", &self.provided_buffers)
            .field("recv_multishot", &self.recv_multishot)
            .field("recv_limit", &self.recv_limit)
            .field("opcodes", &opcodes)
            .finish()
    }
}
