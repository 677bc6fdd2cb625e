//! Listening sockets of any family.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;

use crate::id::ShardId;
use crate::net::backlog::{Backlog, Ticket};
use crate::net::family::Family;
use crate::net::incoming::Incoming;
use crate::net::options::default_accept_ahead;
use crate::net::session::{StreamSessionPolicy, choose};
use crate::net::stream::Stream;
use crate::net::unix_path::BoundPath;
use crate::op::Fd;
use crate::placement::LeastLoaded;
use crate::port::{self, Lane, Port, ToLane};
use crate::primitive::Arc;

/// A listening socket; [`TcpListener`](super::TcpListener) is the one for TCP.
///
/// It is `Clone`, and any number of tasks may [`accept`](Self::accept) at the same time; they are
/// served in the order they came. A connection is that of the `accept` which waited first, until
/// that takes it or is dropped: one that comes later does not overtake it.
///
/// From the first `accept` on, the listener takes connections from the kernel ahead of time, with
/// one operation for many, on the ring of the shard that polled that `accept`; how many is set by
/// [`ListenOptions::accept_ahead`](super::ListenOptions::accept_ahead).
///
/// # Closing
///
/// When the last clone is dropped, connections that nobody accepted are closed, and the address
/// becomes free a moment later, when the shard has let go of it; [`close`](Self::close) waits for
/// that.
pub struct Listener<F: Family> {
    shared: Arc<Shared>,
    family: PhantomData<fn() -> F>,
}

struct Shared {
    // Field order is drop order: nobody finds the path once the socket is closed.
    path: Option<BoundPath>,
    fd: Fd,
    backlog: Closing,
    /// Of the shards, for connections that are placed.
    turns: LeastLoaded,
}

/// Closes the backlog when it goes.
struct Closing(Arc<Backlog>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<F: Family> Listener<F> {
    /// A listener on a socket that listens and has its options.
    ///
    /// `path` is the one that it has made.
    pub(super) fn new(
        fd: OwnedFd,
        lane: Arc<dyn Lane>,
        accept_ahead: usize,
        path: Option<BoundPath>,
    ) -> Self {
        let backlog = Backlog::new(Arc::clone(&lane), accept_ahead);
        let (fd, backlog) = (Fd::new(fd, lane), Closing(backlog));
        let shared = Shared { path, fd, backlog, turns: LeastLoaded::new() };
        Self { shared: Arc::new(shared), family: PhantomData }
    }

    /// Takes a listener of the standard library over. It becomes non-blocking, and connections get
    /// the options that those of a listener made here have (for TCP: no delay of small writes).
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`from_std_on`](Self::from_std_on); else what the system
    /// answers.
    pub fn from_std(listener: F::StdListener) -> io::Result<Self> {
        Self::adopt(listener, port::ambient_lane("Listener::from_std_on")?)
    }

    /// As [`from_std`](Self::from_std), for any thread: a listener of this runtime.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn from_std_on(lane: &impl ToLane, listener: F::StdListener) -> io::Result<Self> {
        Self::adopt(listener, lane.to_lane().0)
    }

    fn adopt(listener: F::StdListener, lane: Arc<dyn Lane>) -> io::Result<Self> {
        let fd: OwnedFd = listener.into();
        let socket = SockRef::from(&fd);
        socket.set_nonblocking(true)?;
        F::prepare_stream(&socket)?;
        Ok(Self::new(fd, lane, default_accept_ahead(), None))
    }

    /// The next connection, and the address of its other end.
    ///
    /// A connection that its peer reset before it was accepted is passed over.
    ///
    /// # Errors
    ///
    /// What the system answers, such as at the limit of open files of the process; the next
    /// `accept` tries again. `WouldBlock` at the limit of operations in flight.
    ///
    /// # Cancel safety
    ///
    /// No connection is lost when the future is dropped: the next `accept` gets it.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::TcpListener;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let (stream, peer) = listener.accept().await?;
    /// assert_eq!(stream.peer_addr()?, peer);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn accept(&self) -> Accept<'_, F> {
        Accept { listener: self, ticket: None, policy: None }
    }

    /// As [`accept`](Self::accept), for a stream that belongs to the shard which the policy says,
    /// whoever accepts it: see [`session_shard`](Stream::session_shard).
    ///
    /// # Errors
    ///
    /// As there, and `NotFound` for a policy that names a shard which the runtime does not have; no
    /// connection is taken then.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub fn accept_with_session_policy(&self, policy: StreamSessionPolicy) -> Accept<'_, F> {
        self.accept().placed(policy)
    }

    /// As [`accept`](Self::accept), for streams that belong to each shard in turn:
    /// [`StreamSessionPolicy::RoundRobin`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub fn accept_round_robin(&self) -> Accept<'_, F> {
        self.accept_with_session_policy(StreamSessionPolicy::RoundRobin)
    }

    /// The connections, one after the other.
    ///
    /// ```
    /// use spargio::net::{StreamSessionPolicy, TcpListener};
    /// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let addr = listener.local_addr()?;
    /// # let clients = [std::net::TcpStream::connect(addr)?, std::net::TcpStream::connect(addr)?];
    /// let mut incoming = listener.incoming().session_policy(StreamSessionPolicy::RoundRobin);
    /// for _ in 0..2 {
    ///     let (stream, peer) = incoming.next().await?;
    ///     println!("{peer} is served on shard {}", stream.session_shard());
    /// }
    /// # drop(clients);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn incoming(&self) -> Incoming<'_, F> {
        Incoming::new(self)
    }

    /// The shard that the listener belongs to: the one that it was made on or for.
    pub fn session_shard(&self) -> ShardId {
        self.shared.fd.lane().shard()
    }

    /// Closes the listener and waits until its address is free. If there are clones, the last of
    /// them closes it, and this does not wait.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the listener closes all the same.
    pub async fn close(self) {
        let Ok(Shared { path, fd, backlog, .. }) = Arc::try_unwrap(self.shared) else {
            return;
        };
        drop(path);
        backlog.0.close();
        poll_fn(|cx| backlog.0.poll_closed(cx)).await;
        // A direct call, because the close through the ring would come later.
        drop(fd.into_owned());
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn local_addr(&self) -> io::Result<F::Addr> {
        F::from_sock_addr(SockRef::from(&self.shared.fd).local_addr()?)
    }
}

impl<F: Family> Clone for Listener<F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), family: PhantomData }
    }
}

impl<F: Family> AsFd for Listener<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}

impl<F: Family> AsRawFd for Listener<F> {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.fd.number()
    }
}

impl<F: Family> fmt::Debug for Listener<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("fd", &self.as_raw_fd())
            .field("local", &self.local_addr().ok())
            .field("backlog", &self.shared.backlog.0)
            .finish()
    }
}

/// The future of [`Listener::accept`].
#[must_use = "an accept does nothing until it is polled"]
pub struct Accept<'l, F: Family> {
    listener: &'l Listener<F>,
    ticket: Option<Ticket>,
    /// Where the stream belongs, if that is not where the listener does.
    policy: Option<StreamSessionPolicy>,
}

impl<F: Family> Accept<'_, F> {
    /// Of streams that belong where the policy says.
    pub(super) fn placed(mut self, policy: StreamSessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    fn connection(&self, fd: OwnedFd) -> io::Result<(Stream<F>, F::Addr)> {
        let addr = F::from_sock_addr(SockRef::from(&fd).peer_addr()?)?;
        let Shared { fd: listening, turns, .. } = &*self.listener.shared;
        let lane = match self.policy {
            None => Arc::clone(listening.lane()),
            Some(policy) => choose(turns, policy, listening.lane()),
        };
        Ok((Stream::from_fd(fd, lane), addr))
    }

    /// Polls for a connection; after one is ready, for the next.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Stream<F>, F::Addr)>> {
        if !port::with(|port| port.is_none_or(Port::consume_budget)) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let shared = &self.listener.shared;
        if let Some(policy) = self.policy {
            policy.check(shared.fd.lane())?;
        }
        loop {
            let fd = ready!(shared.backlog.0.poll_accept(&shared.fd, &mut self.ticket, cx))?;
            match self.connection(fd) {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                connection => return Poll::Ready(connection),
            }
        }
    }
}

impl<F: Family> Future for Accept<'_, F> {
    type Output = io::Result<(Stream<F>, F::Addr)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_next(cx)
    }
}

impl<F: Family> Drop for Accept<'_, F> {
    fn drop(&mut self) {
        self.listener.shared.backlog.0.leave(&mut self.ticket);
    }
}

impl<F: Family> fmt::Debug for Accept<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("listener", &self.listener).finish_non_exhaustive()
    }
}
