//! What a socket receives, datagram after datagram, with one operation of the ring for many.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::net::datagram::receive::Kept;
use crate::net::datagram::{Datagram, Sockets};
use crate::net::envelope::Received;
use crate::net::family::Family;
use crate::net::inlet::{Inlet, LIMIT};
use crate::net::message::Came;
use crate::net::message::out::Rooms;
use crate::net::message::room::{Message, MessageRoom};
use crate::op::RecvBuf;
use crate::port::{self, Port};
use crate::primitive::Arc;

/// The most room for control data in each buffer. What the kernel says of a datagram, and the 253
/// descriptors that it may come with, need no 2 KiB.
const MAX_CONTROL: usize = 64 << 10;

impl<F: Family> Datagram<F> {
    /// What is received from here on, in buffers that the shard provides: bytes are not copied, a
    /// socket that waits has no buffer, and one operation of the ring receives many datagrams.
    ///
    /// It does the receiving for the socket as long as it lives; it shares the socket, so it may go
    /// to a task of its own. Not for a socket of which receiving was [shut down](Self::shutdown).
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::UdpSocket;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// for text in ["one", "two"] {
    ///     client.send_to(text, server.local_addr()?).await.0?;
    /// }
    /// let mut incoming = server.recv_stream();
    /// for text in ["one", "two"] {
    ///     let (received, bytes) = incoming.next().await?;
    ///     assert_eq!(&bytes[..], text.as_bytes());
    ///     // The bytes go back as they came.
    ///     server.send_to(bytes, received.from()).await.0?;
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn recv_stream(&self) -> DatagramStream<F> {
        DatagramStream::new(Arc::clone(&self.sockets), 0)
    }
}

/// What a socket receives, datagram after datagram: [`Datagram::recv_stream`].
///
/// It is a [`Stream`](futures_core::Stream) that never ends, of what [`Datagram::recv_msg`] would
/// tell of each datagram and its bytes, which may be none. After an error the next call asks the
/// system again.
///
/// # Large datagrams
///
/// Each datagram lies in one buffer, behind the address of its sender: there is room for
/// [`recv_buffer_size`](crate::Builder::recv_buffer_size) bytes (16,384 if nothing else is said)
/// less 48 for UDP or 128 on this machine, and less the room for [control](Self::control) data. One
/// that is larger is cut, and [says so](Received::is_cut). If that leaves no room at all, datagrams
/// are received one by one into memory of their own, of the size of a buffer.
///
/// # Pressure
///
/// A receive is ended when [`limit`](Self::limit) datagrams have come and nobody takes them, and
/// the next one begins when all are taken. Until the kernel hears of that, as many more may come
/// as the shard has buffers. What is sent meanwhile waits in the socket; when that is full, the
/// kernel drops it, or lets the sender wait if it is on this machine.
///
/// When the kernel has no buffer left, because others hold them, the stream goes on with memory of
/// its own, datagram by datagram, until some have come back. On a kernel without provided buffers
/// (before Linux 6.0) it always does.
///
/// # Where it works
///
/// The operation runs on the ring of the shard that polled it first, with the buffers of that
/// shard, and stays there until it ends, wherever the task goes meanwhile.
///
/// # Cancel safety
///
/// No datagram is lost when the future of [`next`](Self::next) is dropped, nor when the whole is:
/// what was received and not taken, the next receives of the socket return first. (They may have
/// less room than it needs, and cut it.) An error that was not taken goes with the stream.
/// A receive or another stream that waits already when it is dropped learns of what it left only
/// with the next datagram.
#[must_use = "nothing is received until it is asked for"]
pub struct DatagramStream<F: Family> {
    sockets: Arc<Sockets>,
    inlet: Arc<Inlet<MessageRoom>>,
    limit: usize,
    /// What receives before left, whose datagrams come first.
    earlier: Option<Box<dyn Kept>>,
    family: PhantomData<fn() -> F>,
}

impl<F: Family> DatagramStream<F> {
    fn new(sockets: Arc<Sockets>, control: usize) -> Self {
        let rooms = Rooms::new(F::NAME_ROOM, control);
        let inlet = Inlet::new(Arc::clone(sockets.socket.lane()), LIMIT, rooms);
        Self { sockets, inlet, limit: LIMIT, earlier: None, family: PhantomData }
    }

    /// How many datagrams may have come and not be taken; 0 counts as 1. Default 16.
    pub fn limit(mut self, datagrams: usize) -> Self {
        self.limit = datagrams;
        self.inlet.set_limit(datagrams);
        self
    }

    /// Room for so many bytes of control data in each buffer: for what the socket was asked to say
    /// of each datagram, and for descriptors. Default 0: none is received, and descriptors are
    /// closed; [`is_control_cut`](Received::is_control_cut) tells. More than 65,536 counts as that:
    /// it is far more than comes with a datagram.
    ///
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use spargio::net::UdpSocket;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_recv_local_ip(true)?;
    /// let mut incoming = socket.recv_stream().control(64);
    /// # socket.send_to("x", socket.local_addr()?).await.0?;
    /// let (received, _) = incoming.next().await?;
    /// assert_eq!(received.local_ip(), Some(Ipv4Addr::LOCALHOST.into()));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn control(self, bytes: usize) -> Self {
        // What has come by now, the new one takes first.
        Self::new(Arc::clone(&self.sockets), bytes.min(MAX_CONTROL)).limit(self.limit)
    }

    /// The next datagram.
    ///
    /// # Errors
    ///
    /// What the system answers, such as `ConnectionRefused` on a connected socket; `WouldBlock` at
    /// the limit of operations in flight. What was received before comes first.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> io::Result<(Received<F>, RecvBuf)> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`next`](Self::next), for futures written by hand. The last waker is the one that is
    /// woken.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Received<F>, RecvBuf)>> {
        let polled = self.poll_message(cx);
        polled.map_ok(|message| Ok((Received::new(message.came)?, message.bytes)))?
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Message>> {
        if !port::with(|port| port.is_none_or(Port::consume_budget)) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while let Some(mut kept) = self.earlier.take().or_else(|| self.take_kept()) {
            if kept.poll(cx.waker()).is_pending() {
                self.earlier = Some(kept);
                return Poll::Pending;
            }
            let mut bytes = Vec::new();
            let taken = kept.take(&mut |all| {
                bytes = all.to_vec();
                all.len()
            });
            if !kept.is_spent() {
                self.earlier = Some(kept);
            }
            if let Some(taken) = taken {
                let bytes = RecvBuf::own(bytes);
                return Poll::Ready(taken.map(|came| Message { came, bytes }));
            }
        }
        let polled = self.inlet.poll_next(Some(self.sockets.socket.fd()), cx);
        polled.map(|found| match found {
            Some(item) => item.flatten(),
            // Nothing that is received ends it.
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        })
    }

    fn take_kept(&self) -> Option<Box<dyn Kept>> {
        if self.sockets.kept.is_filled() { self.sockets.kept.take() } else { None }
    }
}

impl<F: Family> futures_core::Stream for DatagramStream<F> {
    type Item = io::Result<(Received<F>, RecvBuf)>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Some)
    }
}

impl<F: Family> Drop for DatagramStream<F> {
    fn drop(&mut self) {
        if self.inlet.leave() {
            self.sockets.kept.give_back(Box::new(KeptInlet(Arc::clone(&self.inlet))));
        }
        if let Some(earlier) = self.earlier.take() {
            self.sockets.kept.give_back(earlier);
        }
    }
}

impl<F: Family> fmt::Debug for DatagramStream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramStream")
            .field("socket", &self.sockets.socket)
            .field("inlet", &self.inlet)
            .finish_non_exhaustive()
    }
}

/// What a stream left: its receive was cancelled, and what it brought is for the next.
struct KeptInlet(Arc<Inlet<MessageRoom>>);

impl Kept for KeptInlet {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        self.0.poll_left(waker)
    }

    fn is_spent(&self) -> bool {
        self.0.has_ended_empty()
    }

    fn take(&mut self, copy: &mut dyn FnMut(&[u8]) -> usize) -> Option<io::Result<Came>> {
        let message = self.0.take()??.flatten();
        Some(message.map(|Message { mut came, bytes }| {
            came.len = copy(&bytes);
            came
        }))
    }
}

impl Drop for KeptInlet {
    fn drop(&mut self) {
        self.0.close();
    }
}
