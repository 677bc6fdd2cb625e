//! The same room in every socket for datagrams, so that no runtime loses what another keeps.

use std::io;
use std::os::fd::RawFd;

/// What is asked for in each direction. The kernel counts a datagram of 1 KiB as somewhat more than
/// twice that, so that this is enough for a hundred of them.
const ROOM: libc::c_int = 256 * 1024;

/// Gives a socket the room in both directions that all are measured with.
///
/// # Errors
///
/// If the system lets nobody have that much.
pub(crate) fn make_room(socket: RawFd) -> io::Result<()> {
    for option in [libc::SO_RCVBUF, libc::SO_SNDBUF] {
        set(socket, option)?;
        let got = get(socket, option)?;
        // What is told is twice what one may ask for; the rest pays for the kernel's books.
        if got < ROOM {
            let wanted = format!("a socket has room for {got} bytes instead of {ROOM}");
            return Err(io::Error::other(wanted));
        }
    }
    Ok(())
}

fn set(socket: RawFd, option: libc::c_int) -> io::Result<()> {
    let room = ROOM;
    let size = size_of_val(&room) as libc::socklen_t;
    // SAFETY:
    // - the pointer is to a number of the size that is given, which the call reads; a descriptor
    //   that is none, or not of a socket, is an error.
    let result = unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, option, (&raw const room).cast(), size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn get(socket: RawFd, option: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut size = size_of_val(&value) as libc::socklen_t;
    // SAFETY:
    // - as above; the call writes a number of the size that is given, and how much of it.
    let result = unsafe {
        libc::getsockopt(socket, libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut size)
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}
