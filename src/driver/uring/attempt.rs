//! Operations finished at once by a direct system call that cannot block.

use std::ffi::c_long;
use std::ptr;

use crate::driver::entry::Sqe;
use crate::driver::opcode::Opcode;
use crate::driver::uring::enter::errno;

/// Flags of a send that mean the same in a direct call. Not among them: `MSG_WAITALL`, whose
/// partial effect could not be taken back, and `MSG_ZEROCOPY`, which keeps the memory.
const SEND_FLAGS: i32 =
    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | libc::MSG_MORE | libc::MSG_EOR | libc::MSG_DONTROUTE;

/// Flags of a receive that mean the same in a direct call.
const RECV_FLAGS: i32 = libc::MSG_DONTWAIT
    | libc::MSG_NOSIGNAL
    | libc::MSG_PEEK
    | libc::MSG_TRUNC
    | libc::MSG_CMSG_CLOEXEC;

/// Finishes the operation without blocking, or leaves it without effect and answers `None`.
///
/// # Safety
///
/// The memory and the fd that the entry names are valid for the length of the call.
#[inline]
pub(super) unsafe fn attempt(sqe: &Sqe) -> Option<i32> {
    if !is_plain(sqe) {
        return None;
    }
    match sqe.opcode() {
        // SAFETY: the caller's promise.
        Opcode::READ => unsafe { read(sqe) },
        // SAFETY: the caller's promise.
        Opcode::RECV => unsafe { recv(sqe) },
        // SAFETY: the caller's promise.
        Opcode::SEND => unsafe { send(sqe) },
        // SAFETY: the caller's promise.
        Opcode::STATX => unsafe { statx::statx(sqe) },
        // SAFETY: the caller's promise.
        Opcode::RECVMSG => unsafe { recv_msg(sqe) },
        // SAFETY: the caller's promise.
        Opcode::SENDMSG => unsafe { send_msg(sqe) },
        _ => None,
    }
}

/// Whether nothing is asked for but the operation itself: no link, no provided or registered
/// buffer, no other credentials, no multishot, no flag of `ioprio`.
fn is_plain(sqe: &Sqe) -> bool {
    let small = u32::from(sqe.flags)
        | u32::from(sqe.ioprio)
        | u32::from(sqe.buf_index)
        | u32::from(sqe.personality);
    small == 0 && sqe.splice_fd == 0 && sqe.addr3 == 0 && sqe.reserved == 0
}

/// # Safety
///
/// As [`attempt`].
unsafe fn read(sqe: &Sqe) -> Option<i32> {
    // With the file's own cursor (-1) a short answer would already have moved it, and whoever
    // shares it would see that; it is left to the ring like every other negative offset.
    let offset = i64::try_from(sqe.off).ok()?;
    if sqe.op_flags != 0 {
        return None;
    }
    let part = libc::iovec { iov_base: address(sqe).cast_mut(), iov_len: sqe.len as usize };
    // The offset is one argument on the 64-bit machines that io_uring is built for; the half above
    // it is 0.
    let number = libc::SYS_preadv2;
    // SAFETY: one part, which lives until the call returns; its memory is the caller's promise.
    let count = unsafe {
        libc::syscall(number, sqe.fd, &raw const part, 1usize, offset, 0usize, libc::RWF_NOWAIT)
    };
    match outcome(count) {
        // A pipe or socket has no offset for this call; the ring ignores the offset.
        Some(failed) if failed == -libc::ESPIPE => None,
        // A filter or an old kernel knows the ring's read but not this one.
        Some(failed) if failed == -libc::ENOSYS || failed == -libc::EPERM => None,
        other => other,
    }
}

/// # Safety
///
/// As [`attempt`].
unsafe fn recv(sqe: &Sqe) -> Option<i32> {
    let flags = sqe.op_flags as i32;
    if flags & !RECV_FLAGS != 0 || sqe.off != 0 {
        return None;
    }
    let (to, len) = (address(sqe).cast_mut(), sqe.len as usize);
    // SAFETY: the caller's promise.
    let count = unsafe { libc::recv(sqe.fd, to, len, flags | libc::MSG_DONTWAIT) };
    outcome(count as c_long)
}

/// # Safety
///
/// As [`attempt`].
unsafe fn send(sqe: &Sqe) -> Option<i32> {
    let flags = sqe.op_flags as i32;
    // `off` would be the address of the receiver.
    if flags & !SEND_FLAGS != 0 || sqe.off != 0 {
        return None;
    }
    let (from, len) = (address(sqe), sqe.len as usize);
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the caller's promise.
    let count = unsafe { libc::send(sqe.fd, from, len, flags) };
    outcome(count as c_long)
}

/// # Safety
///
/// As [`attempt`].
unsafe fn recv_msg(sqe: &Sqe) -> Option<i32> {
    let flags = sqe.op_flags as i32;
    if flags & !RECV_FLAGS != 0 || sqe.off != 0 || sqe.len != 1 {
        return None;
    }
    let header = address(sqe).cast_mut().cast::<libc::msghdr>();
    // SAFETY: the caller's promise. A call that finds nothing leaves the header as it is.
    let count = unsafe { libc::recvmsg(sqe.fd, header, flags | libc::MSG_DONTWAIT) };
    outcome(count as c_long)
}

/// # Safety
///
/// As [`attempt`].
unsafe fn send_msg(sqe: &Sqe) -> Option<i32> {
    let flags = sqe.op_flags as i32;
    if flags & !SEND_FLAGS != 0 || sqe.off != 0 || sqe.len != 1 {
        return None;
    }
    let header = address(sqe).cast::<libc::msghdr>();
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the caller's promise.
    let count = unsafe { libc::sendmsg(sqe.fd, header, flags) };
    outcome(count as c_long)
}

fn address(sqe: &Sqe) -> *const libc::c_void {
    ptr::with_exposed_provenance(sqe.addr as usize)
}

/// The result of a direct call as a completion would say it; `None` if the call did nothing for a
/// reason that the ring deals with.
fn outcome(count: c_long) -> Option<i32> {
    if count >= 0 {
        // The kernel cuts every transfer below 2 GiB.
        return Some(count as i32);
    }
    match errno() {
        libc::EAGAIN | libc::EINTR | libc::EOPNOTSUPP => None,
        other => Some(-other),
    }
}

mod statx;

#[cfg(test)]
mod tests;
