//! The future of receiving one datagram, and the receives that such futures gave up.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::buf::{BufResult, IoBufMut};
use crate::net::datagram::Sockets;
use crate::net::message::{Came, ReceivedMsg, RecvMsg};
use crate::net::stash::Stash;
use crate::op::call_off::called_off;
use crate::op::{self, Claim, Complete, Op, Unfinished};
use crate::port::Lane;
use crate::primitive::Arc;

/// A receive that was given up: it was cancelled, and may have brought datagrams before that.
/// Dropping it gives those up, too.
pub(super) trait Kept: Send {
    /// Whether it has ended; else leaves the waker.
    fn poll(&mut self, waker: &Waker) -> Poll<()>;

    /// Whether it has ended, and nothing that it brought is left.
    fn is_spent(&self) -> bool;

    /// The next datagram that it brought; `None` for nothing. `copy` gets the bytes, and says how
    /// many it took. Only after it was polled ready.
    fn take(&mut self, copy: &mut dyn FnMut(&[u8]) -> usize) -> Option<io::Result<Came>>;
}

/// Drops those that have ended and brought nothing.
pub(super) fn settle(kept: &Stash<dyn Kept>) {
    kept.settle(|kept| kept.poll(Waker::noop()).is_ready() && kept.is_spent());
}

struct KeptRecv<B: IoBufMut> {
    flight: Flight<B>,
    lane: Arc<dyn Lane>,
}

#[expect(clippy::large_enum_variant, reason = "each is on the heap")]
enum Flight<B: IoBufMut> {
    Ahead(Claim<RecvMsg<B>>),
    Landed(ReceivedMsg<B>),
    Spent,
}

impl<B: IoBufMut> Kept for KeptRecv<B> {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        self.flight = match std::mem::replace(&mut self.flight, Flight::Spent) {
            Flight::Ahead(claim) => match claim.poll(waker) {
                Ok((recv, outcome)) => Flight::Landed(recv.finish(outcome.check())),
                Err(Unfinished::Pending(claim)) => {
                    self.flight = Flight::Ahead(claim);
                    return Poll::Pending;
                }
                // Its shard is gone, and with it what it may have brought.
                Err(Unfinished::Lost(_)) => Flight::Spent,
            },
            over => over,
        };
        Poll::Ready(())
    }

    fn is_spent(&self) -> bool {
        match &self.flight {
            Flight::Ahead(_) => false,
            Flight::Landed(ReceivedMsg { result, .. }) => {
                result.as_ref().is_err_and(is_about_the_end)
            }
            Flight::Spent => true,
        }
    }

    fn take(&mut self, copy: &mut dyn FnMut(&[u8]) -> usize) -> Option<io::Result<Came>> {
        let flight = std::mem::replace(&mut self.flight, Flight::Spent);
        let Flight::Landed(ReceivedMsg { result, buf, .. }) = flight else { return None };
        match result {
            Ok(mut came) => {
                came.len = copy(&buf.as_init()[..came.len]);
                Some(Ok(came))
            }
            Err(error) if is_about_the_end(&error) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// Whether the error says nothing but that the receive was ended.
fn is_about_the_end(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECANCELED | libc::EAGAIN))
}

impl<B: IoBufMut> Drop for KeptRecv<B> {
    fn drop(&mut self) {
        if let Flight::Ahead(claim) = std::mem::replace(&mut self.flight, Flight::Spent) {
            op::cancel(claim, &self.lane);
        }
    }
}

/// The future of receiving one datagram: [`Datagram::recv`](super::Datagram::recv),
/// [`recv_from`](super::Datagram::recv_from), [`recv_msg`](super::Datagram::recv_msg).
#[must_use = "a receive does nothing until it is polled"]
pub struct RecvDatagram<'s, B: IoBufMut, T> {
    sockets: &'s Sockets,
    state: State<'s, B>,
    /// What to say of the datagram.
    tell: fn(Came) -> io::Result<T>,
}

enum State<'s, B: IoBufMut> {
    /// A receive of our own.
    Own(Op<'s, RecvMsg<B>>),
    /// An earlier one may have brought a datagram. Ours has not started.
    Earlier(RecvMsg<B>, Box<dyn Kept>),
    Done,
}

// Nothing is pinned: buffers that the kernel uses lie in cells of their operations.
impl<B: IoBufMut, T> Unpin for RecvDatagram<'_, B, T> {}

impl<'s, B: IoBufMut, T> RecvDatagram<'s, B, T> {
    /// With room for so many bytes of control data.
    pub(super) fn new(
        sockets: &'s Sockets,
        buf: B,
        control: usize,
        tell: fn(Came) -> io::Result<T>,
    ) -> Self {
        let recv = sockets.socket.recv_msg(buf, control);
        Self { sockets, state: State::Own(Op::new(recv, sockets.socket.lane())), tell }
    }

    /// Calls the receive off, waits until the kernel has let go of the buffer, and hands it back
    /// with what became of the receive all the same: a datagram that has come is in it.
    ///
    /// What an earlier receive left stays where it is, for the next.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](io::Error::raw_os_error)) if nothing came; else as the
    /// receive.
    ///
    /// # Cancel safety
    ///
    /// Dropping this is dropping the receive.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// # use spargio::net::UdpSocket;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let mut receive = socket.recv_from(Vec::with_capacity(1500));
    /// let limited = spargio::timeout(Duration::from_millis(2), &mut receive).await;
    /// let (received, buf) = match limited {
    ///     Ok(done) => done,
    ///     Err(_) => receive.cancel().await,
    /// };
    /// // Nobody sent anything, and the buffer is here for the next receive.
    /// assert!(received.is_err() && buf.capacity() >= 1500);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn cancel(mut self) -> BufResult<T, B> {
        let mut is_asked = false;
        poll_fn(|cx| self.poll_end(&mut is_asked, cx)).await
    }

    fn poll_end(&mut self, is_asked: &mut bool, cx: &mut Context<'_>) -> Poll<BufResult<T, B>> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Own(mut op) => {
                let polled = op.poll_end(is_asked, cx);
                let Poll::Ready(received) = polled else {
                    self.state = State::Own(op);
                    return Poll::Pending;
                };
                Poll::Ready(self.done(received))
            }
            State::Earlier(recv, kept) => {
                self.sockets.kept.give_back(kept);
                Poll::Ready((Err(called_off()), recv.buf))
            }
            State::Done => panic!("a receive is not polled after it was ready"),
        }
    }

    fn done(&self, received: ReceivedMsg<B>) -> BufResult<T, B> {
        self.sockets.socket.note_received_msg(&received);
        (received.result.and_then(self.tell), received.buf)
    }

    /// Turns to an earlier receive, if there is one and ours has not started.
    fn turn(&self, mut op: Op<'s, RecvMsg<B>>) -> State<'s, B> {
        if !self.sockets.kept.is_filled() {
            return State::Own(op);
        }
        let Some(recv) = op.take_idle() else { return State::Own(op) };
        match self.sockets.kept.take() {
            Some(kept) => State::Earlier(recv, kept),
            None => State::Own(Op::new(recv, self.sockets.socket.lane())),
        }
    }
}

impl<B: IoBufMut, T> Future for RecvDatagram<'_, B, T> {
    type Output = BufResult<T, B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut state = std::mem::replace(&mut self.state, State::Done);
            if let State::Own(op) = state {
                state = self.turn(op);
            }
            match state {
                State::Own(mut op) => {
                    let polled = Pin::new(&mut op).poll(cx);
                    let Poll::Ready(received) = polled else {
                        self.state = State::Own(op);
                        return Poll::Pending;
                    };
                    return Poll::Ready(self.done(received));
                }
                State::Earlier(mut recv, mut kept) => {
                    if kept.poll(cx.waker()).is_pending() {
                        self.state = State::Earlier(recv, kept);
                        return Poll::Pending;
                    }
                    let taken = kept.take(&mut |bytes| recv.adopt(bytes));
                    if !kept.is_spent() {
                        self.sockets.kept.give_back(kept);
                    }
                    if let Some(result) = taken {
                        return Poll::Ready((result.and_then(self.tell), recv.buf));
                    }
                    self.state = State::Own(Op::new(recv, self.sockets.socket.lane()));
                }
                State::Done => panic!("a receive is not polled after it was ready"),
            }
        }
    }
}

impl<B: IoBufMut, T> Drop for RecvDatagram<'_, B, T> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Own(mut op) => {
                let lane = self.sockets.socket.lane();
                let claim = op.take_claim().and_then(|claim| op::cancel_and_keep(claim, lane));
                let Some(claim) = claim else { return };
                let mut kept = KeptRecv { flight: Flight::Ahead(claim), lane: Arc::clone(lane) };
                // Its former waker goes here.
                let _may_have_ended = kept.poll(Waker::noop());
                self.sockets.kept.give(Box::new(kept));
            }
            State::Earlier(_, kept) => self.sockets.kept.give_back(kept),
            State::Done => {}
        }
    }
}

impl<B: IoBufMut, T> fmt::Debug for RecvDatagram<'_, B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = &self.sockets.socket;
        f.debug_struct("RecvDatagram").field("socket", socket).finish_non_exhaustive()
    }
}
