//! The futures of one read and one write.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::net::socket::{RecvOp, SendOp, Socket};
use crate::net::stash::{Given, Left};
use crate::net::unsent::Sending;
use crate::op::Op;
use crate::op::call_off::called_off;

/// The future of [`Stream::read`](super::Stream::read).
#[must_use = "a read does nothing until it is polled"]
pub struct Read<'s, B: IoBufMut> {
    socket: &'s Socket,
    state: ReadState<'s, B>,
}

enum ReadState<'s, B: IoBufMut> {
    /// A receive of our own.
    Receiving(Op<'s, RecvOp<B>>),
    /// An earlier receive that is to be taken to the buffer, from this byte on.
    Adopting(B, usize, Box<dyn Given>),
    /// A buffer without room.
    Full(B),
    Done,
}

// Nothing is pinned: buffers that the kernel uses lie in cells of their operations.
impl<B: IoBufMut> Unpin for Read<'_, B> {}

impl<'s, B: IoBufMut> Read<'s, B> {
    /// Receives into the buffer from byte `from` on.
    pub(super) fn new(socket: &'s Socket, buf: B, from: usize) -> Self {
        let state = if buf.bytes_total() == from {
            ReadState::Full(buf)
        } else {
            ReadState::Receiving(socket.recv(buf, from))
        };
        Self { socket, state }
    }

    /// As [`new`](Self::new), to wait on the ring for what is yet to come.
    pub(super) fn later(socket: &'s Socket, buf: B) -> Self {
        let state = if buf.bytes_total() == 0 {
            ReadState::Full(buf)
        } else {
            ReadState::Receiving(socket.recv_later(buf))
        };
        Self { socket, state }
    }

    /// Begins to receive, unless that is under way or an earlier receive is to be taken first.
    /// Takes no bytes, also if another reader leaves its receive to the stream just now: ready only
    /// if there will be none.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>) -> Poll<BufResult<usize, B>> {
        match &mut self.state {
            ReadState::Receiving(op) if op.is_idle() && !self.socket.stash.is_filled() => {
                // Without a look at what is there (`later`) it has brought nothing yet, and is
                // ready only if the ring refuses it.
                let received = ready!(Pin::new(op).poll(cx));
                self.state = ReadState::Done;
                Poll::Ready((received.result, received.buf))
            }
            ReadState::Full(_) => Pin::new(self).poll(cx),
            ReadState::Receiving(_) | ReadState::Adopting(..) | ReadState::Done => Poll::Pending,
        }
    }

    /// Calls the read off, waits until the kernel has let go of the buffer, and hands it back
    /// with what became of the read all the same: bytes that have come are in it.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](io::Error::raw_os_error)) if nothing was read; else as the
    /// read.
    ///
    /// # Cancel safety
    ///
    /// Dropping this is dropping the read.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// # use spargio::net::UnixStream;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let (stream, _peer) = UnixStream::pair()?;
    /// let mut read = stream.read(Vec::with_capacity(4096));
    /// let limited = spargio::timeout(Duration::from_millis(2), &mut read).await;
    /// let (read, buf) = match limited {
    ///     Ok(done) => done,
    ///     Err(_) => read.cancel().await,
    /// };
    /// // The peer was silent, and the buffer is here for the next read.
    /// assert!(read.is_err() && buf.capacity() >= 4096);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn cancel(mut self) -> BufResult<usize, B> {
        let mut is_asked = false;
        poll_fn(|cx| {
            if !is_asked {
                match self.end() {
                    Ends::Now(over) => return Poll::Ready(over),
                    Ends::Soon => is_asked = true,
                    // Its shard takes it soon, and can be asked then.
                    Ends::NotYet => cx.waker().wake_by_ref(),
                }
            }
            Pin::new(&mut self).poll(cx)
        })
        .await
    }

    /// Sees to it that the read ends soon, with what has come or with `ECANCELED`.
    pub(super) fn end(&mut self) -> Ends<BufResult<usize, B>> {
        let cancelled = || Err(called_off());
        match std::mem::replace(&mut self.state, ReadState::Done) {
            ReadState::Receiving(mut op) => {
                if let Some(recv) = op.take_idle() {
                    return Ends::Now((cancelled(), recv.buf));
                }
                let is_asked = op.ask_to_end();
                self.state = ReadState::Receiving(op);
                if is_asked { Ends::Soon } else { Ends::NotYet }
            }
            ReadState::Adopting(buf, _, given) => {
                self.socket.stash.give_back(given);
                Ends::Now((cancelled(), buf))
            }
            ReadState::Full(buf) => Ends::Now((Ok(0), buf)),
            ReadState::Done => Ends::Soon,
        }
    }

    /// Turns a receive that has not started into the adoption of an earlier one, if there is one.
    fn adopt(&self, mut op: Op<'s, RecvOp<B>>) -> ReadState<'s, B> {
        let Some(recv) = op.take_idle() else { return ReadState::Receiving(op) };
        match self.socket.stash.take() {
            Some(given) => ReadState::Adopting(recv.buf, recv.from, given),
            None => ReadState::Receiving(self.socket.start_recv(recv)),
        }
    }
}

impl<B: IoBufMut> Future for Read<'_, B> {
    type Output = BufResult<usize, B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut state = std::mem::replace(&mut self.state, ReadState::Done);
            if let ReadState::Receiving(op) = state {
                state = if self.socket.stash.is_filled() {
                    self.adopt(op)
                } else {
                    ReadState::Receiving(op)
                };
            }
            match state {
                ReadState::Receiving(mut op) => {
                    let polled = Pin::new(&mut op).poll(cx);
                    let Poll::Ready(received) = polled else {
                        self.state = ReadState::Receiving(op);
                        return Poll::Pending;
                    };
                    self.socket.note_received(&received);
                    return Poll::Ready((received.result, received.buf));
                }
                ReadState::Adopting(mut buf, from, mut given) => {
                    if given.poll(cx.waker()).is_pending() {
                        self.state = ReadState::Adopting(buf, from, given);
                        return Poll::Pending;
                    }
                    if given.is_spent() {
                        self.state = ReadState::Receiving(self.socket.recv(buf, from));
                        continue;
                    }
                    let (result, left) = take_given(&mut *given, &mut buf, from);
                    if left == Left::Bytes {
                        self.socket.stash.give_back(given);
                    }
                    return Poll::Ready((result, buf));
                }
                ReadState::Full(buf) => return Poll::Ready((Ok(0), buf)),
                ReadState::Done => panic!("a read is not polled after it was ready"),
            }
        }
    }
}

/// When a read that was asked to end does so.
pub(super) enum Ends<T> {
    Now(T),
    /// Its future becomes ready.
    Soon,
    /// Its shard has not submitted it: ask again.
    NotYet,
}

/// Moves bytes of an earlier receive to the buffer.
pub(super) fn take_given<B: IoBufMut>(
    given: &mut dyn Given,
    buf: &mut B,
    from: usize,
) -> (io::Result<usize>, Left) {
    let (start, total) = (buf.stable_mut_ptr().cast::<MaybeUninit<u8>>(), buf.bytes_total());
    // SAFETY:
    // - O5: these are `total` writable bytes; O6: nothing else uses them while `buf` is borrowed.
    let room = unsafe { std::slice::from_raw_parts_mut(start, total) };
    let (result, left) = given.take(&mut room[from..]);
    if let Ok(count) = result {
        // SAFETY:
        // - `take` wrote `count` bytes from `from` on, within the room.
        // - the `from` bytes before were initialised by earlier receives.
        unsafe { buf.set_init(from + count) };
    }
    (result, left)
}

impl<B: IoBufMut> Drop for Read<'_, B> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.state, ReadState::Done) {
            ReadState::Receiving(mut op) => {
                if let Some(claim) = op.take_claim() {
                    self.socket.stash.give_claim(claim, self.socket.lane());
                }
            }
            ReadState::Adopting(_, _, given) => self.socket.stash.give_back(given),
            ReadState::Full(_) | ReadState::Done => {}
        }
    }
}

impl<B: IoBufMut> fmt::Debug for Read<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// The future of [`Stream::write`](super::Stream::write).
#[must_use = "a write does nothing until it is polled"]
pub struct Write<'s, B: IoBuf> {
    socket: &'s Socket,
    state: WriteState<'s, B>,
}

enum WriteState<'s, B: IoBuf> {
    Sending(Sending<'s, SendOp<B>>),
    Empty(B),
    Done,
}

// Nothing is pinned, as for reads.
impl<B: IoBuf> Unpin for Write<'_, B> {}

impl<'s, B: IoBuf> Write<'s, B> {
    pub(super) fn new(socket: &'s Socket, buf: B) -> Self {
        let state = if buf.bytes_init() == 0 {
            WriteState::Empty(buf)
        } else {
            WriteState::Sending(socket.send(buf, 0, 0))
        };
        Self { socket, state }
    }

    /// Calls the write off, waits until the kernel has let go of the buffer, and hands it back
    /// with what became of the write all the same: the result says how many bytes have gone.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](io::Error::raw_os_error)) if nothing was sent; else as the
    /// write.
    ///
    /// # Cancel safety
    ///
    /// Dropping this is dropping the write.
    pub async fn cancel(mut self) -> BufResult<usize, B> {
        let mut is_asked = false;
        poll_fn(|cx| {
            let WriteState::Sending(send) = &mut self.state else {
                return Pin::new(&mut self).poll(cx);
            };
            let polled = send.poll_end(&mut is_asked, cx);
            polled.map(|sent| {
                self.state = WriteState::Done;
                (sent.result, sent.buf)
            })
        })
        .await
    }
}

impl<B: IoBuf> Future for Write<'_, B> {
    type Output = BufResult<usize, B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.state, WriteState::Done) {
            WriteState::Sending(mut op) => match Pin::new(&mut op).poll(cx) {
                Poll::Ready(sent) => {
                    self.socket.note_sent(&sent);
                    Poll::Ready((sent.result, sent.buf))
                }
                Poll::Pending => {
                    self.state = WriteState::Sending(op);
                    Poll::Pending
                }
            },
            WriteState::Empty(buf) => Poll::Ready((Ok(0), buf)),
            WriteState::Done => panic!("a write is not polled after it was ready"),
        }
    }
}

impl<B: IoBuf> fmt::Debug for Write<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("socket", &self.socket).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
