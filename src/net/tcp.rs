//! What only TCP has: listening and connecting by address.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket as StdSocket, Type};

use crate::net::address::ToAddrs;
use crate::net::address::sealed::Wanted;
use crate::net::family::{Family, Ip};
use crate::net::listener::Listener;
use crate::net::lookup::addresses;
use crate::net::options::ListenOptions;
use crate::net::race::{ATTEMPT_DELAY, Attempt, Race};
use crate::net::socket::{Socket, connect};
use crate::net::stream::Stream;
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;
use crate::time::{Sleep, sleep, timeout_at};

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
    /// Connects to an address, or to the first of several that answers.
    ///
    /// Several addresses race each other (RFC 8305, happy eyeballs): IPv6 and IPv4 take turns,
    /// beginning with that of the first; the next is tried when one fails, or has not answered
    /// within 250 milliseconds. The first connection wins, and the other attempts are cancelled. At
    /// most 16 run at the same time.
    ///
    /// The stream sends small writes at once (`TCP_NODELAY`), as accepted ones do; see
    /// [`set_nodelay`](Self::set_nodelay). Options that must be set before connecting are those
    /// of a [`TcpSocket`](super::TcpSocket).
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`connect_on`](Self::connect_on). What the system answers
    /// for each address, with the address: `ConnectionRefused`, `TimedOut`, `NetworkUnreachable`;
    /// the kind is that of the last. What [`lookup_host`](super::lookup_host) answers.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the attempts end; a connection that was made is closed.
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

    pub(super) async fn connect_lane(lane: Arc<dyn Lane>, addr: impl ToAddrs) -> io::Result<Self> {
        let wanted = addr.wanted();
        Self::connect_addrs(lane, addresses(wanted).await?).await
    }

    /// Connects to the first of these addresses that answers.
    pub(super) async fn connect_addrs(
        lane: Arc<dyn Lane>,
        addrs: Vec<SocketAddr>,
    ) -> io::Result<Self> {
        if let [addr] = addrs[..] {
            let connected = connect_one(&lane, addr).await;
            let socket = connected.map_err(|error| naming("cannot connect to", addr, error))?;
            return Ok(Self::from_socket(socket));
        }
        let mut race = race(lane, addrs);
        match (&mut race).await {
            Some(socket) => Ok(Self::from_socket(socket)),
            None => Err(race.into_error(None)),
        }
    }

    /// As [`connect`](Self::connect), and gives up after `limit`, in which the lookup of a name and
    /// the attempts for all addresses must have come to their end.
    ///
    /// # Errors
    ///
    /// As there; `TimedOut` when the time is up, with what became of each address until then.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let addr = listener.local_addr()?;
    /// let stream = TcpStream::connect_timeout(addr, Duration::from_secs(5)).await?;
    /// # drop(stream);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn connect_timeout(addr: impl ToAddrs, limit: Duration) -> io::Result<Self> {
        let lane = port::ambient_lane("TcpStream::connect_timeout_on")?;
        Self::connect_timeout_lane(lane, addr, limit).await
    }

    /// As [`connect_timeout`](Self::connect_timeout), on any thread: a stream of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_timeout_on(
        lane: &impl ToLane,
        addr: impl ToAddrs,
        limit: Duration,
    ) -> io::Result<Self> {
        let lane = lane.to_lane().0;
        Self::connect_timeout_lane(lane, addr, limit).await
    }

    async fn connect_timeout_lane(
        lane: Arc<dyn Lane>,
        addr: impl ToAddrs,
        limit: Duration,
    ) -> io::Result<Self> {
        let deadline = sleep(limit).deadline();
        let wanted = addr.wanted();
        let name = match &wanted {
            Ok(Wanted::Host(host, _)) => host.clone(),
            _ => String::new(),
        };
        let addrs = timeout_at(deadline, addresses(wanted)).await.map_err(|_| {
            let text = format!("cannot connect within {limit:?}: host {name:?} is not found yet");
            io::Error::new(io::ErrorKind::TimedOut, text)
        })??;
        let mut race = race(lane, addrs);
        match timeout_at(deadline, &mut race).await {
            Ok(Some(socket)) => Ok(Self::from_socket(socket)),
            Ok(None) => Err(race.into_error(None)),
            Err(_) => Err(race.into_error(Some(limit))),
        }
    }
}

/// The race for these addresses.
fn race(
    lane: Arc<dyn Lane>,
    addrs: Vec<SocketAddr>,
) -> Race<
    Socket,
    impl FnMut(SocketAddr) -> Attempt<Socket> + Unpin + Send,
    impl FnMut() -> Sleep + Unpin + Send,
    Sleep,
> {
    let connect = move |addr| -> Attempt<Socket> {
        let lane = Arc::clone(&lane);
        Box::pin(async move { connect_one(&lane, addr).await })
    };
    Race::new(addrs, connect, || sleep(ATTEMPT_DELAY))
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
    connect(socket.fd(), SockAddr::from(addr)).await?;
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
