//! Sockets for datagrams, of any family: sending and receiving whole messages.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use socket2::SockRef;

use crate::buf::{IoBuf, IoBufMut};
use crate::net::datagram::receive::{Kept, settle};
use crate::net::envelope::{Envelope, Received};
use crate::net::family::{Family, Target};
use crate::net::message::Came;
use crate::net::socket::Socket;
use crate::net::stash::Stash;
use crate::net::unix_path::BoundPath;
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

mod peek;
mod receive;
mod send;
mod stream;

pub use receive::RecvDatagram;
pub use send::SendDatagram;
pub use stream::DatagramStream;

/// Room for control data, for [`Datagram::recv_msg`]: enough for what a socket is asked to tell,
/// and for a hundred descriptors.
const CONTROL_ROOM: usize = 512;

/// A socket for datagrams; [`UdpSocket`](super::UdpSocket) is the one for UDP, and
/// [`UnixDatagram`](super::UnixDatagram) the one for messages on this machine.
///
/// It is `Clone`: the clones are one socket, which closes when the last of them is gone. All
/// methods take `&self`, and any number of tasks may send and receive at the same time.
///
/// # Whole datagrams
///
/// One call sends or receives one datagram, whole. One that is larger than the buffer it is
/// received in is cut, and the rest is lost: [`recv`](Self::recv) and
/// [`recv_from`](Self::recv_from) keep silent about that, as their system calls do, and
/// [`recv_msg`](Self::recv_msg) tells.
///
/// # Cancel safety
///
/// No datagram is lost when the future of a receive is dropped. The receive is cancelled; if it has
/// brought a datagram by then, that is what the next one returns. (It was received in the buffer of
/// the dropped one, and is cut if that was too small.)
///
/// A send that is dropped is cancelled: the datagram is sent or not, and if it is, then before
/// those of later sends.
///
/// Who wants the buffer back, or to know, [calls](RecvDatagram::cancel) the receive or the
/// [send](SendDatagram::cancel) off instead of dropping it.
pub struct Datagram<F: Family> {
    sockets: Arc<Sockets>,
    family: PhantomData<fn() -> F>,
}

/// What the clones share.
struct Sockets {
    /// Removed before the socket closes.
    path: Option<BoundPath>,
    /// Ended before the socket closes.
    kept: Stash<dyn Kept>,
    socket: Socket,
}

impl<F: Family> Datagram<F> {
    /// A socket that has its options, and the path that it has made.
    pub(super) fn from_fd(fd: OwnedFd, lane: Arc<dyn Lane>, path: Option<BoundPath>) -> Self {
        let sockets = Sockets { path, kept: Stash::default(), socket: Socket::new(fd, lane) };
        Self { sockets: Arc::new(sockets), family: PhantomData }
    }

    /// Takes a socket of the standard library over. Whoever has a clone of it may find that calls
    /// block which did not, or the other way round.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`from_std_on`](Self::from_std_on); else what the system
    /// answers.
    pub fn from_std(socket: F::StdDatagram) -> io::Result<Self> {
        Self::adopt(socket, port::ambient_lane("Datagram::from_std_on")?)
    }

    /// As [`from_std`](Self::from_std), for any thread: a socket of this runtime.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn from_std_on(lane: &impl ToLane, socket: F::StdDatagram) -> io::Result<Self> {
        Self::adopt(socket, lane.to_lane().0)
    }

    pub(super) fn adopt(socket: F::StdDatagram, lane: Arc<dyn Lane>) -> io::Result<Self> {
        let fd: OwnedFd = socket.into();
        F::prepare_datagram(&SockRef::from(&fd))?;
        Ok(Self::from_fd(fd, lane, None))
    }

    /// Gives the socket to the standard library. It is non-blocking, and if it has made a path,
    /// that stays.
    ///
    /// # Errors
    ///
    /// The socket comes back while clones of it exist, while an operation on it is in flight, or
    /// while it keeps a datagram that a dropped future or stream left (receive once more, then).
    pub fn into_std(self) -> Result<F::StdDatagram, Self> {
        let sockets = Arc::try_unwrap(self.sockets)
            .map_err(|sockets| Self { sockets, family: PhantomData })?;
        settle(&sockets.kept);
        if sockets.kept.is_filled() {
            return Err(Self { sockets: Arc::new(sockets), family: PhantomData });
        }
        let Sockets { path, kept, socket } = sockets;
        match socket.into_owned() {
            Ok(fd) => {
                if let Some(path) = path {
                    path.keep();
                }
                // Of a socket it does not fail.
                let _is_set = SockRef::from(&fd).set_nonblocking(true);
                Ok(F::StdDatagram::from(fd))
            }
            Err(socket) => {
                let sockets = Arc::new(Sockets { path, kept, socket });
                Err(Self { sockets, family: PhantomData })
            }
        }
    }

    /// Sends the buffer as one datagram, to the address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// What the system answers: `NotConnected` (or that an address is required) for a socket that
    /// is not connected; for a datagram that is too large, that (`EMSGSIZE`); `ConnectionRefused`
    /// if an earlier one was refused. `WouldBlock` at the limit of operations in flight.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the datagram was sent or was not.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::UdpSocket;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let near = UdpSocket::bind("127.0.0.1:0").await?;
    /// let far = UdpSocket::bind("127.0.0.1:0").await?;
    /// near.connect(far.local_addr()?).await?;
    /// near.send("ping").await.0?;
    /// let (received, buf) = far.recv_from(Vec::with_capacity(1500)).await;
    /// assert_eq!(received?, (4, near.local_addr()?));
    /// assert_eq!(buf, b"ping");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn send<B: IoBuf>(&self, buf: B) -> SendDatagram<'_, B> {
        SendDatagram::plain(&self.sockets.socket, buf)
    }

    /// Sends the buffer as one datagram to this address, also if the socket is connected to
    /// another.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub fn send_to<B: IoBuf>(&self, buf: B, to: impl Target<F>) -> SendDatagram<'_, B> {
        let socket = &self.sockets.socket;
        match to.sock_addr() {
            Ok(to) => SendDatagram::message(socket, socket.message(buf, Some(to))),
            Err(error) => SendDatagram::refused(socket, error, buf),
        }
    }

    /// Sends the buffer with what the envelope says: an address, control data. With a
    /// [segment size](Envelope::segment_size) the kernel makes several datagrams of it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). `InvalidInput` for control data that the system does not take.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub fn send_msg<B: IoBuf>(&self, buf: B, envelope: Envelope<F>) -> SendDatagram<'_, B> {
        let socket = &self.sockets.socket;
        match envelope.into_parts() {
            Ok((to, control, fds)) => {
                let message = socket.message(buf, to).with_control(control, fds);
                SendDatagram::message(socket, message)
            }
            Err(error) => SendDatagram::refused(socket, error, buf),
        }
    }

    /// Receives one datagram: how many of its bytes are in the buffer now. What the buffer has no
    /// room for is lost, and nothing says so: see [`recv_msg`](Self::recv_msg).
    ///
    /// # Errors
    ///
    /// What the system answers, such as `ConnectionRefused` on a connected socket; `WouldBlock` at
    /// the limit of operations in flight.
    ///
    /// # Cancel safety
    ///
    /// No datagram is lost when the future is dropped: see [`Datagram`].
    pub fn recv<B: IoBufMut>(&self, buf: B) -> RecvDatagram<'_, B, usize> {
        RecvDatagram::new(&self.sockets, buf, 0, |came| Ok(came.len))
    }

    /// As [`recv`](Self::recv), and says who sent it.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub fn recv_from<B: IoBufMut>(&self, buf: B) -> RecvDatagram<'_, B, (usize, F::Addr)> {
        RecvDatagram::new(&self.sockets, buf, 0, len_and_sender::<F>)
    }

    /// As [`recv`](Self::recv), and tells all about it: who sent it, whether it was cut, and what
    /// the socket was asked to say of each datagram.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there. (A datagram that the next receive takes over from one of another kind has no
    /// control data.)
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::UdpSocket;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let near = UdpSocket::bind("127.0.0.1:0").await?;
    /// let far = UdpSocket::bind("127.0.0.1:0").await?;
    /// near.send_to(vec![7; 100], far.local_addr()?).await.0?;
    /// let (received, _) = far.recv_msg(Box::new([0; 64])).await;
    /// let received = received?;
    /// assert_eq!((received.len(), received.full_len()), (64, 100));
    /// assert!(received.is_cut());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn recv_msg<B: IoBufMut>(&self, buf: B) -> RecvDatagram<'_, B, Received<F>> {
        RecvDatagram::new(&self.sockets, buf, CONTROL_ROOM, Received::new)
    }

    /// Ends one direction of a connected socket, or both, as `shutdown(2)` does.
    ///
    /// Receive nothing more, neither by a peek nor by a stream, once receiving is shut down: the
    /// system then says that there is something when there is nothing. Over UDP a receive tries
    /// again and again, which costs processor time, until a datagram comes or it is dropped; over
    /// Unix sockets it tells of empty datagrams.
    ///
    /// # Errors
    ///
    /// What the system answers; `NotConnected` for a socket that is not connected.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        SockRef::from(self).shutdown(how)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn local_addr(&self) -> io::Result<F::Addr> {
        F::from_sock_addr(SockRef::from(self).local_addr()?)
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// What the system answers; `NotConnected` if it is connected to none.
    pub fn peer_addr(&self) -> io::Result<F::Addr> {
        F::from_sock_addr(SockRef::from(self).peer_addr()?)
    }

    /// The error that an earlier datagram left, if there is one (`SO_ERROR`); it is taken.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self).take_error()
    }

    /// How many bytes the kernel keeps that were not received yet (`SO_RCVBUF`), its own overhead
    /// included.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        SockRef::from(self).recv_buffer_size()
    }

    /// Sets how many bytes the kernel keeps that were not received yet. It doubles the number for
    /// its overhead, and cuts it at its limit (`net.core.rmem_max`).
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        SockRef::from(self).set_recv_buffer_size(bytes)
    }

    /// How many bytes the kernel keeps that were not sent yet (`SO_SNDBUF`), its own overhead
    /// included.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        SockRef::from(self).send_buffer_size()
    }

    /// Sets how many bytes the kernel keeps that were not sent yet. It doubles the number for its
    /// overhead, and cuts it at its limit (`net.core.wmem_max`).
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        SockRef::from(self).set_send_buffer_size(bytes)
    }
}

/// What [`Datagram::recv_from`] says.
fn len_and_sender<F: Family>(came: Came) -> io::Result<(usize, F::Addr)> {
    Ok((came.len, F::from_sock_addr(came.from)?))
}

impl<F: Family> Clone for Datagram<F> {
    fn clone(&self) -> Self {
        Self { sockets: Arc::clone(&self.sockets), family: PhantomData }
    }
}

impl<F: Family> AsFd for Datagram<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sockets.socket.fd().as_fd()
    }
}

impl<F: Family> AsRawFd for Datagram<F> {
    fn as_raw_fd(&self) -> RawFd {
        self.sockets.socket.fd().number()
    }
}

impl<F: Family> fmt::Debug for Datagram<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("fd", &self.as_raw_fd())
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .field("path", &self.sockets.path)
            .finish()
    }
}
