//! A TCP socket before it is connected or listens: the place for options that count from the first
//! packet on.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket as StdSocket, Type};

use crate::net::family::{Family, Ip};
use crate::net::keepalive::Keepalive;
use crate::net::listener::Listener;
use crate::net::options::default_accept_ahead;
use crate::net::sockopt;
use crate::net::stream::Stream;
use crate::net::tcp::{connect_socket, naming};
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

/// A TCP socket that is neither connected nor listens yet.
///
/// For options that must be set before: the address or the interface to connect from, buffer sizes
/// that the window is agreed on by, fast open. Most others can be set on a
/// [`TcpStream`](super::TcpStream) as well, and a listener has
/// [`ListenOptions`](super::ListenOptions), which take host names.
///
/// It does not block, and it sends small writes at once unless told otherwise. Setting an option is
/// one system call, on any thread.
///
/// # Examples
///
/// ```
/// use spargio::net::TcpSocket;
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuse_address(true)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(1024)?;
///
/// let socket = TcpSocket::new_v4()?;
/// socket.set_recv_buffer_size(1 << 20)?;
/// let stream = socket.connect(listener.local_addr()?).await?;
/// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct TcpSocket(StdSocket);

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    ///
    /// What the system answers, such as at the limit of open files.
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    ///
    /// As [`new_v4`](Self::new_v4).
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    /// A socket for addresses like this one.
    ///
    /// # Errors
    ///
    /// As [`new_v4`](Self::new_v4).
    pub fn new_for(addr: SocketAddr) -> io::Result<Self> {
        Self::new(Domain::for_address(addr))
    }

    fn new(domain: Domain) -> io::Result<Self> {
        let socket = StdSocket::new_raw(domain, Type::STREAM.nonblocking().cloexec(), None)?;
        Ip::prepare_stream(&SockRef::from(&socket))?;
        Ok(Self(socket))
    }

    /// Takes a socket of the standard library over, which may be neither connected nor listen. It
    /// becomes non-blocking, and keeps its options.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn from_std(socket: net::TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(StdSocket::from(socket)))
    }

    /// Gives the socket to the standard library, which has no other type for it. It stays
    /// non-blocking.
    pub fn into_std(self) -> net::TcpStream {
        self.0.into()
    }

    /// Gives the socket this address. Port 0 asks the system for a free one;
    /// [`local_addr`](Self::local_addr) tells which.
    ///
    /// # Errors
    ///
    /// What the system answers, with the address: `AddrInUse`, `AddrNotAvailable`,
    /// `PermissionDenied`.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.0.bind(&SockAddr::from(addr)).map_err(|error| naming("cannot bind to", addr, error))
    }

    /// Connects to an address.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`connect_on`](Self::connect_on); else what the system
    /// answers, with the address: `ConnectionRefused`, `TimedOut`, `NetworkUnreachable`.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the attempt ends, and the socket is closed.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<Stream<Ip>> {
        let lane = port::ambient_lane("TcpSocket::connect_on")?;
        self.connect_lane(lane, addr).await
    }

    /// As [`connect`](Self::connect), on any thread: a stream of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_on(self, lane: &impl ToLane, addr: SocketAddr) -> io::Result<Stream<Ip>> {
        let lane = lane.to_lane().0;
        self.connect_lane(lane, addr).await
    }

    async fn connect_lane(self, lane: Arc<dyn Lane>, addr: SocketAddr) -> io::Result<Stream<Ip>> {
        let connected = connect_socket(self.0, &lane, addr).await;
        let socket = connected.map_err(|error| naming("cannot connect to", addr, error))?;
        Ok(Stream::from_socket(socket))
    }

    /// Listens. The kernel keeps up to `backlog` connections that were not taken yet, and no more
    /// than its own limit (`net.core.somaxconn`). Connections get the options of the socket.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`listen_on`](Self::listen_on); else what the system
    /// answers.
    pub fn listen(self, backlog: u32) -> io::Result<Listener<Ip>> {
        let lane = port::ambient_lane("TcpSocket::listen_on")?;
        self.listen_lane(lane, backlog)
    }

    /// As [`listen`](Self::listen), on any thread: a listener of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn listen_on(self, lane: &impl ToLane, backlog: u32) -> io::Result<Listener<Ip>> {
        self.listen_lane(lane.to_lane().0, backlog)
    }

    fn listen_lane(self, lane: Arc<dyn Lane>, backlog: u32) -> io::Result<Listener<Ip>> {
        self.0.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(Listener::new(self.0.into(), lane, default_accept_ahead(), None))
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ip::from_sock_addr(self.0.local_addr()?)
    }

    /// Whether the address may be taken while connections of an earlier socket linger.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn reuse_address(&self) -> io::Result<bool> {
        self.0.reuse_address()
    }

    /// Sets whether the address may be taken while connections of an earlier socket linger
    /// (`SO_REUSEADDR`). Not at first.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_reuse_address(&self, on: bool) -> io::Result<()> {
        self.0.set_reuse_address(on)
    }

    /// Whether several sockets may have the same address.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn reuse_port(&self) -> io::Result<bool> {
        self.0.reuse_port()
    }

    /// Sets whether several sockets, all with this option, may have the same address and share its
    /// connections (`SO_REUSEPORT`). Not at first.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_reuse_port(&self, on: bool) -> io::Result<()> {
        self.0.set_reuse_port(on)
    }

    /// How many bytes the kernel keeps that were not read yet, its own overhead included.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.0.recv_buffer_size()
    }

    /// Sets how many bytes the kernel keeps that were not read yet (`SO_RCVBUF`). It doubles the
    /// number for its overhead, and cuts it at its limit (`net.core.rmem_max`).
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.0.set_recv_buffer_size(bytes)
    }

    /// How many bytes the kernel keeps that were not sent or acknowledged yet, its own overhead
    /// included.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.0.send_buffer_size()
    }

    /// Sets how many bytes the kernel keeps that were not sent or acknowledged yet (`SO_SNDBUF`).
    /// It doubles the number for its overhead, and cuts it at its limit (`net.core.wmem_max`).
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.0.set_send_buffer_size(bytes)
    }

    /// When the connection is probed while nothing happens; `None` if it is not.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn keepalive(&self) -> io::Result<Option<Keepalive>> {
        Keepalive::of(&SockRef::from(&self.0))
    }

    /// Sets when the connection is probed while nothing happens; as
    /// [`TcpStream::set_keepalive`](super::TcpStream::set_keepalive).
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond the limits of [`Keepalive`].
    pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
        Keepalive::give(keepalive, &SockRef::from(&self.0))
    }

    /// How long closing waits for what is not sent yet.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.0.linger()
    }

    /// Sets how long closing waits for what is not sent yet; as
    /// [`TcpStream::set_linger`](super::TcpStream::set_linger), whose page says why a time above
    /// zero blocks.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_linger(&self, time: Option<Duration>) -> io::Result<()> {
        sockopt::set_linger(&SockRef::from(&self.0), time)
    }

    /// How many hops packets may take.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn ttl(&self) -> io::Result<u32> {
        sockopt::ttl(&SockRef::from(&self.0))
    }

    /// Sets how many hops packets may take (`IP_TTL`, `IPV6_UNICAST_HOPS`): 1 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond these limits.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        sockopt::set_ttl(&SockRef::from(&self.0), hops)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.tcp_nodelay()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`, the default here) or gathered while
    /// earlier ones are unacknowledged.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.0.set_tcp_nodelay(on)
    }

    /// Sets how many connections a listener may have whose first bytes came before the handshake
    /// was complete (`TCP_FASTOPEN`); 0, the default, for none. Before [`listen`](Self::listen).
    ///
    /// The system must allow it (`net.ipv4.tcp_fastopen` with bit 1); else the option is without
    /// effect.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_fast_open_listen(&self, pending: u32) -> io::Result<()> {
        let pending = i32::try_from(pending).unwrap_or(i32::MAX);
        sockopt::set(&self.0, libc::SOL_TCP, libc::TCP_FASTOPEN, pending)
    }

    /// How many connections a listener may have whose first bytes came before the handshake was
    /// complete.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn fast_open_listen(&self) -> io::Result<u32> {
        let [pending] = sockopt::get_numbers(&self.0, libc::SOL_TCP, libc::TCP_FASTOPEN)?;
        Ok(u32::try_from(pending).unwrap_or(0))
    }

    /// Sets whether the first write goes with the first packet of the handshake
    /// (`TCP_FASTOPEN_CONNECT`), if the peer is known to take that. Not at first.
    ///
    /// [`connect`](Self::connect) then succeeds at once, and the first write tells whether there
    /// is a peer. What is written may reach it twice.
    ///
    /// # Errors
    ///
    /// What the system answers: `Unsupported` if it does not allow it (`net.ipv4.tcp_fastopen`
    /// without bit 0).
    pub fn set_fast_open_connect(&self, on: bool) -> io::Result<()> {
        sockopt::set(&self.0, libc::SOL_TCP, libc::TCP_FASTOPEN_CONNECT, i32::from(on))
    }

    /// Whether the first write goes with the first packet of the handshake.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn fast_open_connect(&self) -> io::Result<bool> {
        let [on] = sockopt::get_numbers(&self.0, libc::SOL_TCP, libc::TCP_FASTOPEN_CONNECT)?;
        Ok(on != 0)
    }

    /// The network interface that the socket is bound to; `None` for any.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.0.device()
    }

    /// Binds the socket to a network interface (`SO_BINDTODEVICE`), or with `None` to any: only
    /// packets of that interface are sent and received.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name of more than 15 bytes; else what the system answers, such as
    /// `NotFound`, or `PermissionDenied` for a change by an ordinary user.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        sockopt::bind_device(&SockRef::from(&self.0), interface)
    }
}

impl From<TcpSocket> for OwnedFd {
    fn from(socket: TcpSocket) -> Self {
        socket.0.into()
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket")
            .field("fd", &self.as_raw_fd())
            .field("local", &self.local_addr().ok())
            .finish()
    }
}
