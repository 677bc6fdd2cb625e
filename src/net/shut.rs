//! Sockets of which receiving was shut down, and that have nothing left.

use std::io::{self, ErrorKind};
use std::os::fd::RawFd;

use socket2::{SockRef, Type};

use crate::op::Fd;

/// The answer of a receive that would wait for ever.
pub(super) fn error() -> io::Error {
    io::Error::new(ErrorKind::BrokenPipe, "receiving was shut down, and no datagram is left")
}

/// Whether it is a socket for datagrams of which receiving was shut down: it always seems to have
/// something, and answers `EAGAIN` when it has not.
///
/// The system is asked, because it knows of every `shutdown(2)`, also of those that fail (of a UDP
/// socket that is not connected) and of those of another process.
pub(super) fn is_shut(fd: &Fd) -> bool {
    is_for_datagrams(fd) && is_hung_up(fd.number())
}

/// Streams end with a receive of nothing.
fn is_for_datagrams(fd: &Fd) -> bool {
    SockRef::from(fd).r#type().is_ok_and(|kind| kind == Type::DGRAM)
}

fn is_hung_up(fd: RawFd) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLRDHUP, revents: 0 };
    // SAFETY:
    // - the one entry lives as long as the call, which does not wait.
    let found = unsafe { libc::poll(&raw mut poll, 1, 0) };
    found > 0 && poll.revents & libc::POLLRDHUP != 0
}
