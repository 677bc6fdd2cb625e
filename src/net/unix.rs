//! What only sockets of this machine have: paths and abstract names, pairs, and who the peer is.

use std::fmt;
use std::io;
use std::os::unix::net as std_unix;

use socket2::{Domain, SockAddr, SockRef, Socket as StdSocket, Type};

use crate::net::credentials::Credentials;
use crate::net::datagram::Datagram;
use crate::net::family::{Family, Target, Unix};
use crate::net::listener::Listener;
use crate::net::options::{default_accept_ahead, default_backlog};
use crate::net::session::{StreamSessionPolicy, choose};
use crate::net::socket::{Socket, connect};
use crate::net::stream::Stream;
use crate::net::unix_path;
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

impl Listener<Unix> {
    /// Listens on a path, or on an abstract name.
    ///
    /// # The path
    ///
    /// The system makes a file for it, which is removed when the listener closes, unless the path
    /// names another file by then. A path that exists is taken if it is a socket that nobody
    /// listens on any more, which a listener of a process that was killed leaves. Everything else
    /// is refused: regular files, and sockets that somebody listens on. To find that out, a
    /// connection is made, which the other's `accept` may see.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`bind_on`](Self::bind_on). What the system answers, with
    /// the address: `AddrInUse` for a path that is not free, `NotFound` for one in no directory;
    /// `InvalidInput` for one of more than 107 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::{UnixListener, UnixStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # let path = std::env::temp_dir().join(format!("spargio-doc-{}", std::process::id()));
    /// # runtime.block_on(async {
    /// let listener = UnixListener::bind(&path).await?;
    /// let client = UnixStream::connect(&path).await?;
    /// let (server, _) = listener.accept().await?;
    /// assert_eq!(server.peer_credentials()?.pid, Some(std::process::id()));
    /// drop(listener);
    /// assert!(!path.exists());
    /// # drop(client);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn bind(addr: impl Target<Unix>) -> io::Result<Self> {
        let lane = port::ambient_lane("UnixListener::bind_on")?;
        Self::bind_lane(lane, &addr.sock_addr()?)
    }

    /// As [`bind`](Self::bind), on any thread: a listener of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn bind_on(lane: &impl ToLane, addr: impl Target<Unix>) -> io::Result<Self> {
        Self::bind_lane(lane.to_lane().0, &addr.sock_addr()?)
    }

    fn bind_lane(lane: Arc<dyn Lane>, addr: &SockAddr) -> io::Result<Self> {
        let backlog = i32::try_from(default_backlog()).unwrap_or(i32::MAX);
        let bound =
            unix_path::bind(Type::STREAM.nonblocking(), addr, |socket| socket.listen(backlog));
        let (socket, path) = bound.map_err(|error| naming("cannot listen on", addr, error))?;
        Ok(Self::new(socket.into(), lane, default_accept_ahead(), path))
    }
}

impl Stream<Unix> {
    /// Connects to a listener at a path, or with an abstract name. Waits while that one's backlog
    /// is full.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`connect_on`](Self::connect_on). What the system
    /// answers, with the address: `NotFound`, `ConnectionRefused`, `PermissionDenied`.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the attempt ends; a connection that was made is closed.
    pub async fn connect(addr: impl Target<Unix>) -> io::Result<Self> {
        let lane = port::ambient_lane("UnixStream::connect_on")?;
        Self::connect_lane(lane, addr.sock_addr()?).await
    }

    /// As [`connect`](Self::connect), on any thread: a stream of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_on(lane: &impl ToLane, addr: impl Target<Unix>) -> io::Result<Self> {
        let lane = lane.to_lane().0;
        Self::connect_lane(lane, addr.sock_addr()?).await
    }

    /// As [`connect`](Self::connect); the connection belongs to the shard that the policy says.
    ///
    /// # Errors
    ///
    /// As there; `NotFound` for a shard that does not exist.
    pub async fn connect_with_session_policy(
        addr: impl Target<Unix>,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        let lane = port::ambient_lane("UnixStream::connect_with_session_policy_on")?;
        Self::connect_placed(lane, addr.sock_addr()?, policy).await
    }

    /// As [`connect_with_session_policy`](Self::connect_with_session_policy), on any thread: a
    /// stream of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_with_session_policy_on(
        lane: &impl ToLane,
        addr: impl Target<Unix>,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        Self::connect_placed(lane.to_lane().0, addr.sock_addr()?, policy).await
    }

    async fn connect_placed(
        lane: Arc<dyn Lane>,
        addr: SockAddr,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        policy.check(&lane)?;
        Self::connect_lane(choose(lane.turns(), policy, &lane), addr).await
    }

    async fn connect_lane(lane: Arc<dyn Lane>, addr: SockAddr) -> io::Result<Self> {
        let connected = connect_one(&lane, addr.clone()).await;
        let socket = connected.map_err(|error| naming("cannot connect to", &addr, error))?;
        Ok(Self::from_socket(socket))
    }

    /// Two streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`pair_on`](Self::pair_on); else what the system answers.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::UnixStream;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let (near, far) = UnixStream::pair()?;
    /// near.write_all("ping").await.0?;
    /// let (read, buf) = far.read(Vec::with_capacity(16)).await;
    /// assert_eq!((read?, &buf[..]), (4, &b"ping"[..]));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn pair() -> io::Result<(Self, Self)> {
        Self::pair_lane(port::ambient_lane("UnixStream::pair_on")?)
    }

    /// As [`pair`](Self::pair), on any thread: two streams of this runtime.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn pair_on(lane: &impl ToLane) -> io::Result<(Self, Self)> {
        Self::pair_lane(lane.to_lane().0)
    }

    fn pair_lane(lane: Arc<dyn Lane>) -> io::Result<(Self, Self)> {
        let (near, far) = socket_pair(Type::STREAM.nonblocking())?;
        Ok((Self::from_fd(near.into(), Arc::clone(&lane)), Self::from_fd(far.into(), lane)))
    }

    /// Who made the connection (for the side that connected: who bound the listener), as the
    /// kernel vouches for.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        Credentials::of_peer(self)
    }
}

impl Datagram<Unix> {
    /// Binds to a path, or to an abstract name. The path is treated as that of a
    /// [listener](Listener::bind).
    ///
    /// # Errors
    ///
    /// As there; [`bind_on`](Self::bind_on) is the form for threads without a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::UnixDatagram;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # let path = std::env::temp_dir().join(format!("spargio-dgram-{}", std::process::id()));
    /// # runtime.block_on(async {
    /// let far = UnixDatagram::bind(&path).await?;
    /// let near = UnixDatagram::unbound()?;
    /// near.send_to("ping", &path).await.0?;
    /// assert_eq!(far.recv(Vec::with_capacity(16)).await.0?, 4);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn bind(addr: impl Target<Unix>) -> io::Result<Self> {
        let lane = port::ambient_lane("UnixDatagram::bind_on")?;
        Self::bind_lane(lane, &addr.sock_addr()?)
    }

    /// As [`bind`](Self::bind), on any thread: a socket of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn bind_on(lane: &impl ToLane, addr: impl Target<Unix>) -> io::Result<Self> {
        Self::bind_lane(lane.to_lane().0, &addr.sock_addr()?)
    }

    fn bind_lane(lane: Arc<dyn Lane>, addr: &SockAddr) -> io::Result<Self> {
        let bound = unix_path::bind(Type::DGRAM, addr, |_| Ok(()));
        let (socket, path) = bound.map_err(|error| naming("cannot bind to", addr, error))?;
        Ok(Self::from_fd(socket.into(), lane, path))
    }

    /// A socket without a name: it sends, and receives nothing unless it is connected to one that
    /// knows it.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`unbound_on`](Self::unbound_on); else what the system
    /// answers.
    pub fn unbound() -> io::Result<Self> {
        Self::unbound_lane(port::ambient_lane("UnixDatagram::unbound_on")?)
    }

    /// As [`unbound`](Self::unbound), on any thread: a socket of this runtime.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn unbound_on(lane: &impl ToLane) -> io::Result<Self> {
        Self::unbound_lane(lane.to_lane().0)
    }

    fn unbound_lane(lane: Arc<dyn Lane>) -> io::Result<Self> {
        let socket = StdSocket::new_raw(Domain::UNIX, Type::DGRAM.cloexec(), None)?;
        Ok(Self::from_fd(socket.into(), lane, None))
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`pair_on`](Self::pair_on); else what the system answers.
    pub fn pair() -> io::Result<(Self, Self)> {
        Self::pair_lane(port::ambient_lane("UnixDatagram::pair_on")?)
    }

    /// As [`pair`](Self::pair), on any thread: two sockets of this runtime.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn pair_on(lane: &impl ToLane) -> io::Result<(Self, Self)> {
        Self::pair_lane(lane.to_lane().0)
    }

    fn pair_lane(lane: Arc<dyn Lane>) -> io::Result<(Self, Self)> {
        let (near, far) = socket_pair(Type::DGRAM)?;
        let near = Self::from_fd(near.into(), Arc::clone(&lane), None);
        Ok((near, Self::from_fd(far.into(), lane, None)))
    }

    /// Connects to a path, or to an abstract name: [`send`](Self::send) goes there, and only what
    /// comes from there is received. It does not wait.
    ///
    /// # Errors
    ///
    /// What the system answers, with the address: `NotFound`, `ConnectionRefused` if nobody has
    /// the path any more.
    pub fn connect(&self, addr: impl Target<Unix>) -> io::Result<()> {
        let addr = addr.sock_addr()?;
        let connected = SockRef::from(self).connect(&addr);
        connected.map_err(|error| naming("cannot connect to", &addr, error))
    }

    /// Sets whether [`recv_msg`](Self::recv_msg) says who sent a datagram (`SO_PASSCRED`).
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_recv_credentials(&self, on: bool) -> io::Result<()> {
        SockRef::from(self).set_passcred(on)
    }
}

fn socket_pair(kind: Type) -> io::Result<(StdSocket, StdSocket)> {
    StdSocket::pair_raw(Domain::UNIX, kind.cloexec(), None)
}

async fn connect_one(lane: &Arc<dyn Lane>, addr: SockAddr) -> io::Result<Socket> {
    // Not non-blocking yet: the kernel would not wait for room in a full backlog, and has no way to
    // say when there is some.
    let socket = StdSocket::new_raw(Domain::UNIX, Type::STREAM.cloexec(), None)?;
    let socket = Socket::new(socket.into(), Arc::clone(lane));
    connect(socket.fd(), addr).await?;
    SockRef::from(socket.fd()).set_nonblocking(true)?;
    Ok(socket)
}

/// An error of the system together with the address that it is about.
#[derive(Debug)]
struct AddrError {
    what: &'static str,
    addr: Option<std_unix::SocketAddr>,
    error: io::Error,
}

impl fmt::Display for AddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr.as_ref().and_then(|addr| addr.as_pathname()) {
            Some(path) => write!(f, "{} {}: {}", self.what, path.display(), self.error),
            None => write!(f, "{} {:?}: {}", self.what, self.addr, self.error),
        }
    }
}

impl std::error::Error for AddrError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The error, of the same kind, that says what could not be done with which address.
fn naming(what: &'static str, addr: &SockAddr, error: io::Error) -> io::Error {
    let addr = Unix::from_sock_addr(addr.clone()).ok();
    io::Error::new(error.kind(), AddrError { what, addr, error })
}
