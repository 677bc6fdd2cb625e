//! Options of sockets that no crate below has a safe call for.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sets an option that is a number.
pub(super) fn set(socket: &impl AsFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let (from, len) = (&raw const value, size_of::<i32>() as libc::socklen_t);
    // SAFETY:
    // - pointer and length are those of `value`, and the fd is borrowed during the call.
    match unsafe { libc::setsockopt(fd, level, name, from.cast(), len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks for an option that is so many numbers.
pub(super) fn get_numbers<const N: usize>(
    socket: &impl AsFd,
    level: i32,
    name: i32,
) -> io::Result<[i32; N]> {
    let fd = socket.as_fd().as_raw_fd();
    let mut value = [0; N];
    let mut len = size_of::<[i32; N]>() as libc::socklen_t;
    // SAFETY:
    // - pointer and length are those of `value`, any bytes of which are numbers; the fd is borrowed
    //   during the call.
    match unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut len) } {
        0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}
