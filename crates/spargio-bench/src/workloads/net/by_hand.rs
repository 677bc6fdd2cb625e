//! What the loops by hand have in common: a connection without a runtime.

use std::io;
use std::net::{TcpListener, TcpStream};

use super::LOOPBACK;

/// Two ends of a connection, without delay.
pub(super) fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(LOOPBACK)?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _peer) = listener.accept()?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    Ok((near, far))
}
