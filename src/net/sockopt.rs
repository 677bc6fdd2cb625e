//! Options of sockets that no crate below has a safe call for, or not with these limits.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use socket2::{Domain, SockRef};

use crate::net::keepalive::whole_seconds;

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

/// How many hops packets may take.
pub(super) fn ttl(socket: &SockRef<'_>) -> io::Result<u32> {
    if socket.domain()? == Domain::IPV6 { socket.unicast_hops_v6() } else { socket.ttl_v4() }
}

/// Sets how many hops packets may take.
pub(super) fn set_ttl(socket: &SockRef<'_>, hops: u32) -> io::Result<()> {
    if !(1..=255).contains(&hops) {
        let text = format!("a time to live of {hops} hops, the limits are 1 and 255");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if socket.domain()? == Domain::IPV6 {
        return socket.set_unicast_hops_v6(hops);
    }
    socket.set_ttl_v4(hops)
}

/// Sets how long closing waits for what is not sent yet.
pub(super) fn set_linger(socket: &SockRef<'_>, time: Option<Duration>) -> io::Result<()> {
    socket.set_linger(time.map(|time| Duration::from_secs(whole_seconds(time))))
}

/// Binds the socket to a network interface.
pub(super) fn bind_device(socket: &SockRef<'_>, interface: Option<&[u8]>) -> io::Result<()> {
    const MOST: usize = libc::IFNAMSIZ - 1;
    if let Some(name) = interface
        && name.len() > MOST
    {
        let text = format!(
            "interface {:?} has a name of {} bytes, the most is {MOST}",
            String::from_utf8_lossy(name),
            name.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    socket.bind_device(interface)
}
