//! Address families: what differs between the sockets of one family and those of another.

use std::fmt;
use std::io;
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::os::unix::net as unix;

use socket2::{SockAddr, SockRef};

/// A family of sockets: its addresses and its counterparts in the standard library.
///
/// Sealed: [`Ip`] and [`Unix`] are all.
pub trait Family: Sized + sealed::Sealed + fmt::Debug + Send + Sync + 'static {
    /// An address of this family.
    type Addr: Target<Self> + Clone + fmt::Debug + Send + Sync + 'static;
    /// The standard library's stream.
    type StdStream: fmt::Debug + From<OwnedFd> + Into<OwnedFd>;
    /// The standard library's listener.
    type StdListener: fmt::Debug + From<OwnedFd> + Into<OwnedFd>;
    /// The standard library's socket for datagrams.
    type StdDatagram: fmt::Debug + From<OwnedFd> + Into<OwnedFd>;

    /// How many bytes the kernel needs at most for an address.
    #[doc(hidden)]
    const NAME_ROOM: usize;

    /// Reads an address that the kernel gave.
    #[doc(hidden)]
    fn from_sock_addr(addr: SockAddr) -> io::Result<Self::Addr>;

    /// Sets the options that every stream of this family has from the start. Options of a listener
    /// go on to the connections it accepts.
    #[doc(hidden)]
    fn prepare_stream(socket: &SockRef<'_>) -> io::Result<()>;

    /// The same for sockets for datagrams.
    #[doc(hidden)]
    fn prepare_datagram(socket: &SockRef<'_>) -> io::Result<()>;
}

/// IPv4 and IPv6: TCP for streams, UDP for datagrams.
#[derive(Clone, Copy, Debug)]
pub enum Ip {}

impl Family for Ip {
    type Addr = SocketAddr;
    type StdStream = net::TcpStream;
    type StdListener = net::TcpListener;
    type StdDatagram = net::UdpSocket;

    const NAME_ROOM: usize = size_of::<libc::sockaddr_in6>();

    fn from_sock_addr(addr: SockAddr) -> io::Result<SocketAddr> {
        addr.as_socket().ok_or_else(|| stranger(&addr, "IPv4 or IPv6"))
    }

    fn prepare_stream(socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(true)
    }

    fn prepare_datagram(socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_nonblocking(true)
    }
}

/// Sockets of this machine, named by paths or by abstract names.
#[derive(Clone, Copy, Debug)]
pub enum Unix {}

impl Family for Unix {
    type Addr = unix::SocketAddr;
    type StdStream = unix::UnixStream;
    type StdListener = unix::UnixListener;
    type StdDatagram = unix::UnixDatagram;

    // A path of full length gets a zero behind it.
    const NAME_ROOM: usize = size_of::<libc::sockaddr_un>() + 1;

    fn from_sock_addr(addr: SockAddr) -> io::Result<unix::SocketAddr> {
        use std::os::linux::net::SocketAddrExt as _;

        if let Some(name) = addr.as_abstract_namespace() {
            return unix::SocketAddr::from_abstract_name(name);
        }
        match addr.as_pathname() {
            Some(path) => unix::SocketAddr::from_pathname(path),
            // A datagram of a socket without a name has no family either.
            None if addr.is_unnamed() || addr.len() == 0 => unix::SocketAddr::from_pathname(""),
            None => Err(stranger(&addr, "Unix")),
        }
    }

    fn prepare_stream(_: &SockRef<'_>) -> io::Result<()> {
        Ok(())
    }

    fn prepare_datagram(socket: &SockRef<'_>) -> io::Result<()> {
        // When a receiver that the socket is not connected to has no room, the kernel cannot say
        // when there is some: the socket itself has room. Only a call that may block waits for it,
        // which the ring makes on a thread of its own. No other call blocks: direct ones ask not
        // to.
        socket.set_nonblocking(false)
    }
}

fn stranger(addr: &SockAddr, wanted: &str) -> io::Error {
    let text = format!("the socket is of address family {}, not {wanted}", addr.family());
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// What names one address of a family, without being looked up.
///
/// For [`Ip`]: [`SocketAddr`], its two versions, and pairs of an IP address and a port. For
/// [`Unix`]: paths, as `Path`, `PathBuf`, `str`, `String` or `OsStr`, and
/// [`SocketAddr`](unix::SocketAddr) of the standard library, which may be an abstract name. For
/// both also references to them.
///
/// Sealed: implemented for these types only.
pub trait Target<F: Family>: sealed::Target<F> {}

impl<F: Family, T: sealed::Target<F> + ?Sized> Target<F> for T {}

pub(super) mod sealed {
    use std::io;

    use socket2::SockAddr;

    pub trait Sealed {}

    impl Sealed for super::Ip {}
    impl Sealed for super::Unix {}

    /// Keeps [`Target`](super::Target) to the types of this file.
    pub trait Target<F> {
        /// As the kernel takes it.
        fn sock_addr(&self) -> io::Result<SockAddr>;
    }
}

impl<F: Family, T: sealed::Target<F> + ?Sized> sealed::Target<F> for &T {
    fn sock_addr(&self) -> io::Result<SockAddr> {
        T::sock_addr(self)
    }
}

/// Implements [`Target`] for what is a socket address by conversion.
macro_rules! ip_targets {
    ($($name:ty),*) => {
        $(impl sealed::Target<Ip> for $name {
            fn sock_addr(&self) -> io::Result<SockAddr> {
                Ok(SockAddr::from(SocketAddr::from(*self)))
            }
        })*
    };
}

ip_targets!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

/// Implements [`Target`] for what is a path.
macro_rules! path_targets {
    ($($name:ty),*) => {
        $(impl sealed::Target<Unix> for $name {
            fn sock_addr(&self) -> io::Result<SockAddr> {
                path_addr(self.as_ref())
            }
        })*
    };
}

path_targets!(
    std::path::Path,
    std::path::PathBuf,
    str,
    String,
    std::ffi::OsStr,
    std::ffi::OsString
);

impl sealed::Target<Unix> for unix::SocketAddr {
    fn sock_addr(&self) -> io::Result<SockAddr> {
        use std::ffi::OsStr;
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::ffi::OsStrExt as _;

        if let Some(path) = self.as_pathname() {
            return path_addr(path);
        }
        match self.as_abstract_name() {
            Some(name) => {
                let name = [&[0], name].concat();
                SockAddr::unix(OsStr::from_bytes(&name))
            }
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "the address has no name")),
        }
    }
}

fn path_addr(path: &std::path::Path) -> io::Result<SockAddr> {
    // Checks what the kernel would take for something else: an empty path, and one with a zero.
    if path.as_os_str().is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path of a socket is empty"));
    }
    unix::SocketAddr::from_pathname(path).map_err(|error| {
        let text = format!("{} cannot be the path of a socket: {error}", path.display());
        io::Error::new(error.kind(), text)
    })?;
    SockAddr::unix(path)
}
