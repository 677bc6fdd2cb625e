//! The future of sending one datagram.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::buf::{BufResult, IoBuf};
use crate::net::message::{SendMsg, SentMsg};
use crate::net::socket::{SendOp, Sent, Socket};
use crate::net::unsent::Sending;

/// The future of sending one datagram: [`Datagram::send`](super::Datagram::send),
/// [`send_to`](super::Datagram::send_to), [`send_msg`](super::Datagram::send_msg).
#[must_use = "a send does nothing until it is polled"]
pub struct SendDatagram<'s, B: IoBuf> {
    socket: &'s Socket,
    state: State<'s, B>,
}

#[expect(clippy::large_enum_variant, reason = "the largest is the usual one for most sockets")]
enum State<'s, B: IoBuf> {
    /// Nothing but bytes.
    Plain(Sending<'s, SendOp<B>>),
    Message(Sending<'s, SendMsg<B>>),
    /// What it was to be sent with, or to, is wrong.
    Refused(io::Error, B),
    Done,
}

// Nothing is pinned: buffers that the kernel uses lie in cells of their operations.
impl<B: IoBuf> Unpin for SendDatagram<'_, B> {}

impl<'s, B: IoBuf> SendDatagram<'s, B> {
    /// To whom the socket is connected to.
    pub(super) fn plain(socket: &'s Socket, buf: B) -> Self {
        Self { socket, state: State::Plain(socket.send(buf, 0, 0)) }
    }

    pub(super) fn message(socket: &'s Socket, message: SendMsg<B>) -> Self {
        Self { socket, state: State::Message(socket.send_msg(message)) }
    }

    /// One that fails.
    pub(super) fn refused(socket: &'s Socket, error: io::Error, buf: B) -> Self {
        Self { socket, state: State::Refused(error, buf) }
    }

    /// Calls the send off, waits until the kernel has let go of the buffer, and hands it back with
    /// what became of the send all the same: the datagram has gone, or was not sent.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](io::Error::raw_os_error)) if nothing was sent; else as the
    /// send.
    ///
    /// # Cancel safety
    ///
    /// Dropping this is dropping the send.
    pub async fn cancel(mut self) -> BufResult<usize, B> {
        let mut is_asked = false;
        poll_fn(|cx| {
            let polled = match &mut self.state {
                State::Plain(send) => {
                    send.poll_end(&mut is_asked, cx).map(|sent| self.socket.done(sent))
                }
                State::Message(send) => {
                    send.poll_end(&mut is_asked, cx).map(|sent| self.socket.done_msg(sent))
                }
                State::Refused(..) | State::Done => return Pin::new(&mut self).poll(cx),
            };
            if polled.is_ready() {
                self.state = State::Done;
            }
            polled
        })
        .await
    }
}

impl Socket {
    fn done<B: IoBuf>(&self, sent: Sent<B>) -> BufResult<usize, B> {
        self.note_sent(&sent);
        (sent.result, sent.buf)
    }

    fn done_msg<B: IoBuf>(&self, sent: SentMsg<B>) -> BufResult<usize, B> {
        self.note_sent_msg(&sent);
        (sent.result, sent.buf)
    }
}

impl<B: IoBuf> Future for SendDatagram<'_, B> {
    type Output = BufResult<usize, B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match &mut self.state {
            State::Plain(send) => Pin::new(send).poll(cx).map(|sent| self.socket.done(sent)),
            State::Message(send) => Pin::new(send).poll(cx).map(|sent| self.socket.done_msg(sent)),
            State::Refused(..) | State::Done => {
                return match std::mem::replace(&mut self.state, State::Done) {
                    State::Refused(error, buf) => Poll::Ready((Err(error), buf)),
                    _ => panic!("a send is not polled after it was ready"),
                };
            }
        };
        if polled.is_ready() {
            self.state = State::Done;
        }
        polled
    }
}

impl<B: IoBuf> fmt::Debug for SendDatagram<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendDatagram").field("socket", &self.socket).finish_non_exhaustive()
    }
}
