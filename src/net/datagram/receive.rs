//! The future of receiving one datagram, and the receives that such futures gave up.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::buf::{BufResult, IoBufMut};
use crate::net::datagram::Sockets;
use crate::net::message::{Came, ReceivedMsg, RecvMsg};
use crate::net::stash::Stash;
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

/// Receives one datagram.
#[must_use = "a receive does nothing until it is polled"]
pub(super) struct Receive<'s, B: IoBufMut> {
    sockets: &'s Sockets,
    state: State<'s, B>,
}

enum State<'s, B: IoBufMut> {
    /// A receive of our own.
    Own(Op<'s, RecvMsg<B>>),
    /// An earlier one may have brought a datagram. Ours has not started.
    Earlier(RecvMsg<B>, Box<dyn Kept>),
    Done,
}

// Nothing is pinned: buffers that the kernel uses lie in cells of their operations.
impl<B: IoBufMut> Unpin for Receive<'_, B> {}

impl<'s, B: IoBufMut> Receive<'s, B> {
    /// With room for so many bytes of control data.
    pub(super) fn new(sockets: &'s Sockets, buf: B, control: usize) -> Self {
        let recv = sockets.socket.recv_msg(buf, control);
        Self { sockets, state: State::Own(Op::new(recv, sockets.socket.lane())) }
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

impl<B: IoBufMut> Future for Receive<'_, B> {
    type Output = BufResult<Came, B>;

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
                    self.sockets.socket.note_received_msg(&received);
                    return Poll::Ready((received.result, received.buf));
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
                        return Poll::Ready((result, recv.buf));
                    }
                    self.state = State::Own(Op::new(recv, self.sockets.socket.lane()));
                }
                State::Done => panic!("a receive is not polled after it was ready"),
            }
        }
    }
}

impl<B: IoBufMut> Drop for Receive<'_, B> {
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

impl<B: IoBufMut> fmt::Debug for Receive<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receive").finish_non_exhaustive()
    }
}
