//! Streams with the traits of `futures-io`: non-blocking calls, and a wait on the ring when one
//! would block.
//!
//! A call works on the memory that the poll lends, so nothing is copied, and nothing is in flight
//! between two polls but the wait, which takes no bytes.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;

use crate::io::alone::Alone;
use crate::net::family::Family;
use crate::net::poll::PollOnce;
use crate::net::ready::Interest;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::net::transfer;
use crate::net::unsent::Place;
use crate::op::{self, Claim, Op};
use crate::port::{self, Port};
use crate::primitive::Arc;

/// Most bytes that one poll takes of what a dropped read has left.
const MOST_LEFT: usize = 64 * 1024;

/// What the polls of one value wait for. Nothing is made for it before one waits.
#[derive(Default)]
pub(super) struct Polled(Option<Box<Alone<Waits>>>);

struct Waits {
    socket: Arc<Socket>,
    readable: Option<Claim<PollOnce>>,
    writable: Option<Claim<PollOnce>>,
    /// The last read left nothing, so the next waits before it looks: that saves it a call.
    is_drained: bool,
    /// The place behind sends that were given up.
    behind: Option<Place>,
}

impl Polled {
    fn waits(&mut self, socket: &Arc<Socket>) -> &mut Waits {
        let made = self.0.get_or_insert_with(|| {
            let socket = Arc::clone(socket);
            Box::new(Alone::new(Waits {
                socket,
                readable: None,
                writable: None,
                is_drained: false,
                behind: None,
            }))
        });
        made.get_mut()
    }

    fn some(&mut self) -> Option<&mut Waits> {
        self.0.as_mut().map(|made| made.get_mut())
    }
}

impl fmt::Debug for Polled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Polled").field(&self.0.is_some()).finish()
    }
}

/// A wait that goes on, or a new one.
fn poll_wait(
    claim: &mut Option<Claim<PollOnce>>,
    socket: &Socket,
    interest: Interest,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut op = match claim.take() {
        Some(claim) => Op::resume(claim, socket.lane()),
        None => Op::new(PollOnce::new(socket.fd().clone(), interest), socket.lane()),
    };
    let polled = Pin::new(&mut op).poll(cx);
    *claim = op.take_claim();
    match polled {
        // At the limit of operations in flight: others end theirs meanwhile.
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
            Poll::Ready(Ok(()))
        }
        // What it is ready for, an error among it, is for the call to find out.
        polled => polled.map(|ready| ready.map(drop)),
    }
}

/// Whether nothing was moved, and the same may be tried again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

impl Drop for Waits {
    fn drop(&mut self) {
        for claim in [self.readable.take(), self.writable.take()].into_iter().flatten() {
            op::cancel(claim, self.socket.lane());
        }
        self.socket.unsent.leave(&mut self.behind);
    }
}

/// Whether the task may go on; else it is woken, to give way to others.
pub(super) fn may_go_on(cx: &Context<'_>) -> bool {
    let may = port::with(|port| port.is_none_or(Port::consume_budget));
    if !may {
        cx.waker().wake_by_ref();
    }
    may
}

impl<F: Family> Stream<F> {
    /// Reads with this call, when there is something. `room` is how much it has room for.
    fn poll_call_read(
        &mut self,
        cx: &mut Context<'_>,
        mut room: Room<'_, '_>,
    ) -> Poll<io::Result<usize>> {
        let len = room.len();
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        if !may_go_on(cx) {
            return Poll::Pending;
        }
        let (socket, polled) = self.polled();
        loop {
            if socket.stash.is_filled() {
                // What a dropped read has left comes first. This one takes it, or leaves it there
                // for the next poll.
                let bytes = vec![0; len.min(MOST_LEFT)].into_boxed_slice();
                let mut read = transfer::Read::new(socket, bytes, 0);
                let (result, bytes) = ready!(Pin::new(&mut read).poll(cx));
                match result {
                    // It has left nothing, and the trait asks that neither be told.
                    Err(error) if is_passing(&error) => continue,
                    result => return Poll::Ready(result.map(|count| room.put(&bytes[..count]))),
                }
            }
            if let Some(waits) = polled.some()
                && (waits.readable.is_some() || waits.is_drained)
            {
                waits.is_drained = false;
                ready!(poll_wait(&mut waits.readable, socket, Interest::READABLE, cx))?;
            }
            match room.read(&SockRef::from(socket.fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => {
                    if let (Ok(count), Some(waits)) = (&result, polled.some()) {
                        waits.is_drained = *count < len;
                    }
                    return Poll::Ready(result);
                }
            }
            let waits = polled.waits(socket);
            ready!(poll_wait(&mut waits.readable, socket, Interest::READABLE, cx))?;
        }
    }

    /// Writes with this call, when there is room.
    fn poll_call_write(
        &mut self,
        cx: &mut Context<'_>,
        call: impl Fn(&socket2::Socket, i32) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if !may_go_on(cx) {
            return Poll::Pending;
        }
        let (socket, polled) = self.polled();
        loop {
            if socket.unsent.is_filled() {
                let behind = &mut polled.waits(socket).behind;
                ready!(socket.unsent.poll_settled(behind, cx.waker()))?;
            }
            if let Some(waits) = polled.some()
                && waits.writable.is_some()
            {
                ready!(poll_wait(&mut waits.writable, socket, Interest::WRITABLE, cx))?;
            }
            match call(&SockRef::from(socket.fd()), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => return Poll::Ready(result),
            }
            let waits = polled.waits(socket);
            ready!(poll_wait(&mut waits.writable, socket, Interest::WRITABLE, cx))?;
        }
    }
}

/// Where a read puts bytes.
enum Room<'r, 's> {
    One(&'r mut [u8]),
    Many(&'r mut [IoSliceMut<'s>]),
}

impl Room<'_, '_> {
    fn len(&self) -> usize {
        match self {
            Self::One(room) => room.len(),
            Self::Many(rooms) => rooms.iter().map(|room| room.len()).sum(),
        }
    }

    fn read(&mut self, mut socket: &socket2::Socket) -> io::Result<usize> {
        match self {
            Self::One(room) => socket.read(room),
            Self::Many(rooms) => socket.read_vectored(rooms),
        }
    }

    /// Puts bytes that there is room for.
    fn put(&mut self, mut bytes: &[u8]) -> usize {
        match self {
            Self::One(room) => {
                room[..bytes.len()].copy_from_slice(bytes);
                bytes.len()
            }
            // Memory as a reader cannot fail.
            Self::Many(rooms) => Read::read_vectored(&mut bytes, rooms).unwrap_or(0),
        }
    }
}

/// Bytes that a dropped [`read`](Stream::read) has left come first.
impl<F: Family> futures_io::AsyncRead for Stream<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_call_read(cx, Room::One(buf))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_call_read(cx, Room::Many(bufs))
    }
}

/// There is no buffer, so flushing does nothing. Closing ends the direction, as
/// [`shutdown`](Stream::shutdown) does.
impl<F: Family> futures_io::AsyncWrite for Stream<F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_call_write(cx, |socket, flags| socket.send_with_flags(buf, flags))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.poll_call_write(cx, |socket, flags| socket.send_vectored_with_flags(bufs, flags))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = SockRef::from(self.socket().fd()).shutdown(Shutdown::Write);
        Poll::Ready(match closed {
            // The connection is gone, and with it the direction.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}
