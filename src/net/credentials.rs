//! Who is at the other end of a socket of this machine.

use std::io;
use std::os::fd::AsFd;

use crate::net::sockopt;

/// Process, user and group of a peer, as the kernel vouches for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Credentials {
    /// The process; `None` if it is of a PID namespace that this process cannot see.
    pub pid: Option<u32>,
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
}

impl Credentials {
    /// Of who made the connection, or bound the listener, at that time.
    pub(super) fn of_peer(socket: &impl AsFd) -> io::Result<Self> {
        let numbers = sockopt::get_numbers(socket, libc::SOL_SOCKET, libc::SO_PEERCRED)?;
        Ok(Self::from_numbers(numbers))
    }

    /// From control data.
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let number = |at: usize| data.get(at..)?.first_chunk().copied().map(i32::from_ne_bytes);
        Some(Self::from_numbers([number(0)?, number(4)?, number(8)?]))
    }

    fn from_numbers([pid, uid, gid]: [i32; 3]) -> Self {
        let pid = u32::try_from(pid).ok().filter(|pid| *pid != 0);
        Self { pid, uid: uid as u32, gid: gid as u32 }
    }
}
