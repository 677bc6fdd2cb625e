//! What only TCP has: listening and connecting by address.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use socket2::{Domain, SockAddr, SockRef, Socket as StdSocket, Type};

use crate::net::address::ToAddrs;
use crate::net::family::{Family, Ip};
use crate::net::listener::Listener;
use crate::net::lookup::addresses;
use crate::net::options::ListenOptions;
use crate::net::socket::{Connect, Socket};
use crate::net::stream::Stream;
use crate::op::Op;
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

impl Listener<Ip> {
    /// Listens on an address, or on the first of several that can be had. Port 0 asks the system
    /// for a free one; [`local_addr`](Self::local_addr) tells which.
    ///
    /// The address may be reused while connections of an earlier listener linger; other options are
    /// set with [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`bind_on`](Self::bind_on). What the system answers, with
    /// the address: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied`. What
    /// [`lookup_host`](super::lookup_host) answers.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped there is no listener.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let listener = spargio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn bind(addr: impl ToAddrs) -> io::Result<Self> {
        let lane = port::ambient_lane("TcpListener::bind_on")?;
        ListenOptions::new().bind_lane(lane, addr).await
    }

    /// As [`bind`](Self::bind), on any thread: a listener of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn bind_on(lane: &impl ToLane, addr: impl ToAddrs) -> io::Result<Self> {
        let lane = lane.to_lane().0;
        ListenOptions::new().bind_lane(lane, addr).await
    }

    /// Options, to be set before listening.
    pub fn builder() -> ListenOptions {
        ListenOptions::new()
    }
}

impl Stream<Ip> {
    /// Connects to an address, or to the first of several that answers; they are tried in order.
    ///
    /// The stream sends small writes at once (`TCP_NODELAY`), as accepted ones do; see
    /// [`set_nodelay`](Self::set_nodelay). Options that must be set before connecting are those
    /// of a [`TcpSocket`](super::TcpSocket).
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`connect_on`](Self::connect_on). What the system answers
    /// for the last address, with the address: `ConnectionRefused`, `TimedOut`,
    /// `NetworkUnreachable`. What [`lookup_host`](super::lookup_host) answers.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the attempt ends; a connection that was made is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn connect(addr: impl ToAddrs) -> io::Result<Self> {
        let lane = port::ambient_lane("TcpStream::connect_on")?;
        Self::connect_lane(lane, addr).await
    }

    /// As [`connect`](Self::connect), on any thread: a stream of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_on(lane: &impl ToLane, addr: impl ToAddrs) -> io::Result<Self> {
        let lane = lane.to_lane().0;
        Self::connect_lane(lane, addr).await
    }

    async fn connect_lane(lane: Arc<dyn Lane>, addr: impl ToAddrs) -> io::Result<Self> {
        let wanted = addr.wanted();
        let mut failure = None;
        for addr in addresses(wanted).await? {
            match connect_one(&lane, addr).await {
                Ok(socket) => return Ok(Self::from_socket(socket)),
                Err(error) => failure = Some(naming("cannot connect to", addr, error)),
            }
        }
        Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }
}

async fn connect_one(lane: &Arc<dyn Lane>, addr: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = StdSocket::new_raw(Domain::for_address(addr), kind, None)?;
    Ip::prepare_stream(&SockRef::from(&socket))?;
    connect_socket(socket, lane, addr).await
}

/// Connects a socket that has its options.
pub(super) async fn connect_socket(
    socket: StdSocket,
    lane: &Arc<dyn Lane>,
    addr: SocketAddr,
) -> io::Result<Socket> {
    let socket = Socket::new(socket.into(), Arc::clone(lane));
    Op::new(Connect::new(socket.fd().clone(), SockAddr::from(addr)), lane).await?;
    Ok(socket)
}

/// An error of the system together with the address that it is about.
#[derive(Debug)]
struct AddrError {
    what: &'static str,
    addr: SocketAddr,
    error: io::Error,
}

impl fmt::Display for AddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.what, self.addr, self.error)
    }
}

impl std::error::Error for AddrError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The error, of the same kind, that says what could not be done with which address.
pub(super) fn naming(what: &'static str, addr: SocketAddr, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), AddrError { what, addr, error })
}
