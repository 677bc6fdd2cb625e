//! Connected stream sockets of any family: reading, writing and the ends of it.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;

use socket2::SockRef;

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::net::family::Family;
use crate::net::polled::Polled;
use crate::net::session::{StreamSessionPolicy, choose};
use crate::net::socket::Socket;
use crate::net::transfer::{Read, Write};
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

/// A connected stream socket; [`TcpStream`](super::TcpStream) is the one for TCP.
///
/// It is `Clone`: the clones are one stream, which closes when the last of them is gone. All
/// methods take `&self`, so one task can read while another writes.
///
/// # Order
///
/// Bytes leave in the order of the writes, each of which is awaited or dropped before the next
/// begins. A write that is dropped is cancelled, and the next one waits until the kernel has let go
/// of it: what it had sent by then comes first, and none of it later.
///
/// One reader and one writer at a time. Several concurrent reads (or writes) are sound, but which
/// of them gets which bytes (or goes first, whole or in parts) is not defined.
///
/// # Cancel safety
///
/// [`read`](Self::read) loses nothing when its future is dropped. A receive that is in flight then
/// stays with the stream, with its buffer, and the next read takes its bytes first. So a read with
/// a time limit in a loop is fine, and costs no cancellation. The other methods say what they lose.
///
/// # Closing
///
/// When the last clone is dropped, a receive that stayed with the stream is cancelled and the
/// socket is closed: the peer reads to the end. [`shutdown`](Self::shutdown) ends one direction
/// before that.
pub struct Stream<F: Family> {
    socket: Arc<Socket>,
    /// What the polls of `futures-io` wait for: of this clone alone.
    polled: Polled,
    family: PhantomData<fn() -> F>,
}

impl<F: Family> Stream<F> {
    /// A stream of a connected socket that has its options.
    pub(super) fn from_fd(fd: OwnedFd, lane: Arc<dyn Lane>) -> Self {
        Self::from_socket(Socket::new(fd, lane))
    }

    pub(super) fn from_socket(socket: Socket) -> Self {
        Self::from_shared(Arc::new(socket))
    }

    fn from_shared(socket: Arc<Socket>) -> Self {
        Self { socket, polled: Polled::default(), family: PhantomData }
    }

    /// The socket, and what the polls of this clone wait for.
    pub(super) fn polled(&mut self) -> (&Arc<Socket>, &mut Polled) {
        (&self.socket, &mut self.polled)
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn share_socket(&self) -> Arc<Socket> {
        Arc::clone(&self.socket)
    }

    pub(super) fn lane(&self) -> &Arc<dyn Lane> {
        self.socket.lane()
    }

    /// Takes a stream of the standard library over. It becomes non-blocking, and gets the options
    /// that a stream made here has (for TCP: no delay of small writes).
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`from_std_on`](Self::from_std_on); else what the system
    /// answers.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::TcpStream;
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let addr = listener.local_addr().unwrap();
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let stream = TcpStream::from_std(std::net::TcpStream::connect(addr)?)?;
    /// assert_eq!(stream.peer_addr()?, addr);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn from_std(stream: F::StdStream) -> io::Result<Self> {
        Self::adopt(stream, port::ambient_lane("Stream::from_std_on")?)
    }

    /// As [`from_std`](Self::from_std), for any thread: a stream of this runtime.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn from_std_on(lane: &impl ToLane, stream: F::StdStream) -> io::Result<Self> {
        Self::adopt(stream, lane.to_lane().0)
    }

    /// As [`from_std`](Self::from_std); the connection belongs to the shard that the policy says.
    ///
    /// # Errors
    ///
    /// As there; `NotFound` for a shard that does not exist.
    pub fn from_std_with_session_policy(
        stream: F::StdStream,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        let lane = port::ambient_lane("Stream::from_std_with_session_policy_on")?;
        Self::adopt_placed(stream, policy, &lane)
    }

    /// As [`from_std_with_session_policy`](Self::from_std_with_session_policy), for any thread: a
    /// stream of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_std_with_session_policy_on(
        lane: &impl ToLane,
        stream: F::StdStream,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        Self::adopt_placed(stream, policy, &lane.to_lane().0)
    }

    fn adopt_placed(
        stream: F::StdStream,
        policy: StreamSessionPolicy,
        lane: &Arc<dyn Lane>,
    ) -> io::Result<Self> {
        policy.check(lane)?;
        Self::adopt(stream, choose(lane.turns(), policy, lane))
    }

    fn adopt(stream: F::StdStream, lane: Arc<dyn Lane>) -> io::Result<Self> {
        let fd: OwnedFd = stream.into();
        let socket = SockRef::from(&fd);
        socket.set_nonblocking(true)?;
        F::prepare_stream(&socket)?;
        Ok(Self::from_fd(fd, lane))
    }

    /// Gives the socket to the standard library. It stays non-blocking.
    ///
    /// # Errors
    ///
    /// The stream comes back while clones of it exist, while an operation on it is in flight, or
    /// while it keeps a receive that a dropped [`read`](Self::read) left (read once more, then).
    /// After a [`recv_stream`](Self::recv_stream) was dropped that is so until the kernel has let
    /// go of its receive.
    pub fn into_std(self) -> Result<F::StdStream, Self> {
        let Self { socket, polled, family: _ } = self;
        // Its waits have the socket too.
        drop(polled);
        let socket = Arc::try_unwrap(socket).map_err(Self::from_shared)?;
        socket.into_owned().map(F::StdStream::from).map_err(Self::from_socket)
    }

    /// Receives some bytes: as many as are there, at least one, at most what the buffer has room
    /// for ([`IoBuf::bytes_total`]). Waits until there are some. `Ok(0)` says that the peer has
    /// ended its direction.
    ///
    /// With a buffer that has no room the answer is `Ok(0)` at once, without a system call, and
    /// says nothing about the peer.
    ///
    /// # Errors
    ///
    /// What the system answers, such as `ConnectionReset`; `WouldBlock` at the limit of operations
    /// in flight.
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped, at whatever stage. A receive in flight stays
    /// with the stream together with the buffer, and the next read takes its bytes first, as many
    /// as it has room for.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let peer = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (stream, _) = listener.accept().await?;
    /// # peer.write_all("ping").await.0?;
    /// let mut buf = Vec::with_capacity(4096);
    /// let read;
    /// (read, buf) = stream.read(buf).await;
    /// assert_eq!(read?, buf.len());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn read<B: IoBufMut>(&self, buf: B) -> Read<'_, B> {
        Read::new(&self.socket, buf, 0)
    }

    /// Receives until the buffer is full. To bound it, pass a [slice](IoBuf::slice): a vector's
    /// capacity may be larger than was asked for.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the peer ends its direction before, else as [`read`](Self::read). The
    /// buffer then holds what came before.
    ///
    /// # Cancel safety
    ///
    /// Bytes that are in the buffer when the future is dropped are dropped with it. Those that a
    /// receive in flight brings are not: they stay with the stream.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let peer = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (stream, _) = listener.accept().await?;
    /// # peer.write_all(vec![0, 0, 0, 7]).await.0?;
    /// let (result, header) = stream.read_exact(Box::new([0; 4])).await;
    /// result?;
    /// assert_eq!(u32::from_be_bytes(*header), 7);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn read_exact<B: IoBufMut>(&self, mut buf: B) -> BufResult<(), B> {
        let total = buf.bytes_total();
        let mut filled = 0;
        while filled < total {
            let result;
            (result, buf) = Read::new(&self.socket, buf, filled).await;
            match result {
                Ok(0) => {
                    let kind = io::ErrorKind::UnexpectedEof;
                    let text = format!("the peer ended after {filled} of {total} bytes");
                    return (Err(io::Error::new(kind, text)), buf);
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Sends some bytes of the buffer: as many as the socket has room for, at least one. Waits
    /// until there is room. That they are sent does not say that the peer got them.
    ///
    /// An empty buffer is sent at once, without a system call: the answer is `Ok(0)`.
    ///
    /// # Errors
    ///
    /// What the system answers, such as `BrokenPipe` (no signal is raised); `WouldBlock` at the
    /// limit of operations in flight.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the send is cancelled; some of the bytes may have been sent, and
    /// nothing says how many. None is sent after those of a later write.
    pub fn write<B: IoBuf>(&self, buf: B) -> Write<'_, B> {
        Write::new(&self.socket, buf)
    }

    /// Sends the whole buffer, waiting for room as often as it takes.
    ///
    /// A buffer of 4 MiB or more to a peer on another machine is sent without a copy, as by
    /// [`send_zc`](Self::send_zc): [`set_zero_copy`](Self::set_zero_copy) has the threshold.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write). Some of the bytes may have been sent.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, some of the bytes may have been sent, and nothing says how many.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let (result, request) = stream.write_all("GET / HTTP/1.0\r\n\r\n").await;
    /// result?;
    /// # assert_eq!(request.len(), 18);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn write_all<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        if self.socket.zero_copy.pays(buf.bytes_init(), self.socket.fd()) {
            return self.send_large(buf).await;
        }
        self.write_from(buf, 0, 0).await
    }

    /// Boxed: the writes that are not large need no room for its state.
    fn send_large<B: IoBuf>(
        &self,
        buf: B,
    ) -> Pin<Box<dyn Future<Output = BufResult<(), B>> + Send + '_>> {
        Box::pin(self.send_uncopied(buf, true))
    }

    /// As [`write_all`](Self::write_all), and tells the kernel that more follows: it may hold the
    /// end of the bytes back until they fill a packet (`MSG_MORE`). A message that is written in
    /// pieces leaves in as few packets as if it were written at once.
    ///
    /// The last piece is written by one of the other methods, whatever that is; it takes along what
    /// is held back. Without one, TCP sends it after 200 ms, when the stream closes or its writing
    /// direction is [shut down](Self::shutdown), or when it is told once more not to delay
    /// (`set_nodelay(true)`). So do not wait for an answer to what was written like this. A Unix
    /// stream holds nothing back.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cost
    ///
    /// As [`write_all`](Self::write_all), but most pieces make no packet of their own, which is the
    /// larger part of what a small write costs.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let peer = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (stream, _) = listener.accept().await?;
    /// let body = String::from("forty-two");
    /// stream.write_all_more(vec![body.len() as u8]).await.0?;
    /// stream.write_all(body).await.0?;
    /// # let (result, got) = peer.read_exact(Box::new([0; 10])).await;
    /// # result?;
    /// # assert_eq!(*got, *b"\x09forty-two");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn write_all_more<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        self.write_from(buf, 0, libc::MSG_MORE).await
    }

    /// Sends the rest of the buffer, after the first `done` bytes, with `MSG_*` flags.
    pub(super) async fn write_from<B: IoBuf>(
        &self,
        mut buf: B,
        mut done: usize,
        flags: i32,
    ) -> BufResult<(), B> {
        let total = buf.bytes_init();
        while done < total {
            // What does not fit at once is left to the kernel in one operation.
            let is_whole = done > 0 || self.socket.is_send_blocked();
            let whole = if is_whole { libc::MSG_WAITALL } else { 0 };
            let sent = self.socket.send(buf, done, flags | whole).await;
            if done == 0 {
                self.socket.note_sent(&sent);
            }
            buf = sent.buf;
            match sent.result {
                Ok(0) => {
                    let text = format!("the socket took {done} of {total} bytes");
                    return (Err(io::Error::new(io::ErrorKind::WriteZero, text)), buf);
                }
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Ends one direction, or both. After the end of the writing direction the peer reads what was
    /// sent and then the end; reading goes on.
    ///
    /// It ends the connection for all clones, and what is in flight in that direction. It does not
    /// wait.
    ///
    /// # Errors
    ///
    /// What the system answers; `NotConnected` if the peer has reset the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let peer = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (stream, _) = listener.accept().await?;
    /// stream.shutdown(std::net::Shutdown::Write).await?;
    /// assert_eq!(peer.read(vec![0]).await.0?, 0);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // The ring would hand it to a kernel thread; the call itself does not block.
        SockRef::from(self.socket.fd()).shutdown(how)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn local_addr(&self) -> io::Result<F::Addr> {
        F::from_sock_addr(SockRef::from(self.socket.fd()).local_addr()?)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// What the system answers; `NotConnected` if the peer has reset the connection.
    pub fn peer_addr(&self) -> io::Result<F::Addr> {
        F::from_sock_addr(SockRef::from(self.socket.fd()).peer_addr()?)
    }
}

impl<F: Family> Clone for Stream<F> {
    fn clone(&self) -> Self {
        Self::from_shared(Arc::clone(&self.socket))
    }
}

impl<F: Family> AsFd for Stream<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.fd().as_fd()
    }
}

impl<F: Family> AsRawFd for Stream<F> {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.fd().number()
    }
}

impl<F: Family> fmt::Debug for Stream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("fd", &self.as_raw_fd())
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}
