//! What a stream receives, buffer after buffer, with one operation of the ring for many of them.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::io::ReadHalf;
use crate::net::family::Family;
use crate::net::inlet::{GivenInlet, Inlet, LIMIT};
use crate::net::socket::Socket;
use crate::net::stash::{Given, Left};
use crate::net::stream::Stream;
use crate::net::transfer::take_given;
use crate::op::{RecvBuf, Room};
use crate::port::{self, Port};
use crate::primitive::Arc;

/// How much of an earlier receive is copied at a time.
const COPIED: usize = 4096;

impl<F: Family> Stream<F> {
    /// What is received from here on, in buffers that the shard provides: bytes are not copied, a
    /// stream that waits has no buffer, and one operation of the ring receives many times.
    ///
    /// It does the reading for the stream as long as it lives; it shares the socket, so it may go
    /// to a task of its own.
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
    /// # peer.write_all(vec![7; 100_000]).await.0?;
    /// # drop(peer);
    /// let mut incoming = stream.recv_stream();
    /// let mut total = 0;
    /// while let Some(bytes) = incoming.next().await {
    ///     total += bytes?.len();
    /// }
    /// assert_eq!(total, 100_000);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn recv_stream(&self) -> RecvStream {
        RecvStream::new(self.share_socket())
    }
}

impl<F: Family> ReadHalf<Stream<F>> {
    /// As [`Stream::recv_stream`].
    pub fn recv_stream(&self) -> RecvStream {
        self.get_ref().recv_stream()
    }
}

/// What a stream receives, buffer after buffer: [`Stream::recv_stream`].
///
/// It is a [`Stream`](futures_core::Stream) of [`RecvBuf`]s, none of them empty, which ends when
/// the peer has ended its direction. How the bytes are cut says nothing about how they were sent.
/// After an error the next call asks the system again.
///
/// # Pressure
///
/// A receive ends after as many bytes as [`limit`](Self::limit) buffers have room for, and it is
/// ended when so many buffers are filled, be it in part, and nobody takes them. The next one begins
/// when all are taken. What is sent meanwhile waits in the socket and, when that is full, with the
/// peer. (Kernels before Linux 6.18 are not asked for the former; then as many more buffers may be
/// filled as the shard has, before the kernel hears of the latter.)
///
/// When the kernel has no buffer left, because others hold them, the stream goes on with memory of
/// its own, receive by receive, until some have come back. On a kernel without provided buffers
/// (before Linux 6.0) it always does.
///
/// # Where it works
///
/// The operation runs on the ring of the shard that polled it first, with the buffers of that
/// shard, and stays there until it ends, wherever the task goes meanwhile.
///
/// # Cancel safety
///
/// No byte is lost when the future of [`next`](Self::next) is dropped, nor when the whole is: what
/// was received and not taken, the next read of the stream returns first.
#[must_use = "nothing is received until it is asked for"]
pub struct RecvStream {
    socket: Arc<Socket>,
    inlet: Arc<Inlet<Room>>,
    /// What a reader before left, whose bytes come first.
    earlier: Option<Box<dyn Given>>,
}

impl RecvStream {
    fn new(socket: Arc<Socket>) -> Self {
        let inlet = Inlet::new(Arc::clone(socket.lane()), LIMIT, ());
        Self { socket, inlet, earlier: None }
    }

    /// How many buffers may be filled and not taken; 0 counts as 1. Default 16.
    pub fn limit(self, buffers: usize) -> Self {
        self.inlet.set_limit(buffers);
        self
    }

    /// The next bytes, at least one; `None` when the peer has ended its direction.
    ///
    /// # Errors
    ///
    /// What the system answers, such as `ConnectionReset`; `WouldBlock` at the limit of operations
    /// in flight. What was received before comes first.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<io::Result<RecvBuf>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`next`](Self::next), for futures written by hand. The last waker is the one that is
    /// woken.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<RecvBuf>>> {
        if !port::with(|port| port.is_none_or(Port::consume_budget)) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while let Some(mut given) = self.earlier.take().or_else(|| self.take_stashed()) {
            if given.poll(cx.waker()).is_pending() {
                self.earlier = Some(given);
                return Poll::Pending;
            }
            if given.is_spent() {
                continue;
            }
            let mut bytes = Vec::with_capacity(COPIED);
            let (result, left) = take_given(&mut *given, &mut bytes, 0);
            if left == Left::Bytes {
                self.earlier = Some(given);
            }
            return Poll::Ready(match result {
                Ok(0) => None,
                Ok(_) => Some(Ok(RecvBuf::own(bytes))),
                Err(error) => Some(Err(error)),
            });
        }
        self.inlet.poll_next(Some(self.socket.fd()), cx)
    }

    fn take_stashed(&self) -> Option<Box<dyn Given>> {
        if self.socket.stash.is_filled() { self.socket.stash.take() } else { None }
    }
}

impl futures_core::Stream for RecvStream {
    type Item = io::Result<RecvBuf>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        if self.inlet.leave() {
            self.socket.stash.give_back(Box::new(GivenInlet(Arc::clone(&self.inlet))));
        }
        if let Some(earlier) = self.earlier.take() {
            self.socket.stash.give_back(earlier);
        }
    }
}

impl fmt::Debug for RecvStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream")
            .field("socket", &self.socket)
            .field("inlet", &self.inlet)
            .finish_non_exhaustive()
    }
}
