//! What this kernel's io_uring can do, found out by asking it.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, Parameters, Probe};

use crate::driver::caps::Caps;
use crate::driver::entry::Token;
use crate::driver::opcode::Opcode;
use crate::driver::uring::enter::{Gate, Wait, post};

/// Features that a kernel reports (`IORING_FEAT_*`).
pub(super) mod features {
    pub(crate) const NODROP: u32 = 1 << 1;
    pub(crate) const FAST_POLL: u32 = 1 << 5;
    pub(crate) const EXT_ARG: u32 = 1 << 8;
    pub(crate) const CQE_SKIP: u32 = 1 << 11;
    pub(crate) const NO_IOWAIT: u32 = 1 << 17;
    /// Without these there is no driver: completions could be lost, sleeps would need timer
    /// entries, sockets would need worker threads, and doorbells would answer their sender.
    pub(crate) const REQUIRED: u32 = NODROP | FAST_POLL | EXT_ARG | CQE_SKIP;
    /// The first kernel that has all of them.
    pub(crate) const REQUIRED_SINCE: &str = "5.17";
}

/// The part of `struct io_uring_params` that says what the kernel made of the wish.
#[repr(C)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    rest: [u32; 24],
}

const _: () = assert!(size_of::<Params>() == size_of::<Parameters>());
const _: () = assert!(align_of::<Params>() <= align_of::<Parameters>());

/// What the setup call itself told.
pub(super) fn from_params(parameters: &Parameters) -> Caps {
    // SAFETY: `Parameters` is a transparent wrapper of the kernel's structure, of which `Params`
    // repeats the layout; all of it is integers.
    let params = unsafe { &*std::ptr::from_ref(parameters).cast::<Params>() };
    let mut caps = Caps::default();
    caps.setup_flags = params.flags;
    caps.features = params.features;
    caps.sq_entries = params.sq_entries;
    caps.cq_entries = params.cq_entries;
    caps.no_iowait = params.features & features::NO_IOWAIT != 0;
    caps
}

/// `IORING_SETUP_SQPOLL`.
const SQPOLL: u32 = 1 << 1;

/// Completes `caps` by trying things on the ring, which must be new: about 3 us.
///
/// # Errors
///
/// What the system answers when it does not list its operations, or lets nobody enter the ring.
pub(super) fn complete(caps: &mut Caps, ring: &mut IoUring, gate: &mut Gate) -> io::Result<()> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    for number in 0..=u8::MAX {
        if probe.is_supported(number) {
            caps.add(Opcode::new(number));
        }
    }
    if caps.no_iowait {
        gate.set_no_iowait();
    }
    caps.registered_ring = gate.register_fd();
    caps.provided_buffers = gate.knows_buffer_rings();
    // Receives that take many buffers came with the same kernel as zero-copy sends (6.0), and have
    // no number of their own to ask for.
    caps.recv_multishot = caps.provided_buffers && caps.supports(Opcode::SEND_ZC);
    caps.recv_limit = caps.recv_multishot && gate.knows_queries();
    // Since Linux 6.1, which brought zero-copy `sendmsg`, a short send says so also when it fails.
    caps.silent_sends = caps.setup_flags & SQPOLL == 0 && caps.supports(Opcode::SENDMSG_ZC);
    // The message goes to ourselves: nothing but a kernel that can do it answers with success.
    // The call after it collects the message, and it is thrown away.
    caps.foreign_msg_ring = post(ring.as_raw_fd(), Token::default()).is_ok();
    caps.absolute_wait = gate.takes_absolute_deadlines().map_err(io::Error::from_raw_os_error)?;
    if caps.foreign_msg_ring {
        if ring.completion().is_empty() {
            // A signal came between, or the kernel refused the call above whole.
            let _taken = gate.enter(0, Wait::No, 0);
        }
        ring.completion().for_each(drop);
    }
    Ok(())
}
