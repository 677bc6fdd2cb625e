//! Address families: what differs between the streams of one kind of socket and another.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::OwnedFd;

use socket2::{SockAddr, SockRef};

/// A kind of stream socket: its addresses and its counterparts in the standard library.
///
/// Sealed: [`Tcp`] is the only one.
pub trait Family: sealed::Sealed + fmt::Debug + Send + Sync + 'static {
    /// An address of this family.
    type Addr: Clone + fmt::Debug + Send + Sync + 'static;
    /// The standard library's stream.
    type StdStream: From<OwnedFd> + Into<OwnedFd>;
    /// The standard library's listener.
    type StdListener: From<OwnedFd> + Into<OwnedFd>;

    /// Reads an address that the kernel gave.
    #[doc(hidden)]
    fn from_sock_addr(addr: SockAddr) -> io::Result<Self::Addr>;

    /// Sets the options that every socket of this family has from the start. Options of a
    /// listener go on to the connections it accepts.
    #[doc(hidden)]
    fn prepare(socket: &SockRef<'_>) -> io::Result<()>;
}

/// TCP over IPv4 and IPv6.
#[derive(Clone, Copy, Debug)]
pub enum Tcp {}

impl Family for Tcp {
    type Addr = SocketAddr;
    type StdStream = net::TcpStream;
    type StdListener = net::TcpListener;

    fn from_sock_addr(addr: SockAddr) -> io::Result<SocketAddr> {
        addr.as_socket().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the socket is of address family {}, not IPv4 or IPv6", addr.family()),
            )
        })
    }

    fn prepare(socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(true)
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Tcp {}
}
