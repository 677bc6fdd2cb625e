//! Sends whose futures were dropped: they are cancelled, and no later send of the socket begins before
//! they have ended, so that bytes of two sends are never mixed.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::buf::IoBuf;
use crate::id::ShardId;
use crate::net::socket::{SendOp, Sent, Socket};
use crate::op::{self, Claim, Complete, Op, Unfinished};
use crate::port::Lane;
use crate::primitive::{Arc, AtomicBool, Mutex, Ordering, lock};

/// The sends that were given up and have not ended.
#[derive(Default)]
pub(super) struct Unsent {
    is_filled: AtomicBool,
    given: Mutex<VecDeque<Box<dyn Ending>>>,
}

impl Unsent {
    /// Whether there is one; all that a send costs when there is none.
    fn is_filled(&self) -> bool {
        // Acquire pairs with the Release of whoever put one there: a writer that was told of the
        // drop sees it.
        self.is_filled.load(Ordering::Acquire)
    }

    /// Gives a send up.
    fn give<B: IoBuf>(&self, claim: Claim<SendOp<B>>, lane: &Arc<dyn Lane>) {
        let Some(claim) = op::cancel_and_keep(claim, lane) else { return };
        let mut send = EndingSend { state: State::InFlight(claim), lane: Arc::clone(lane) };
        // Its former waker goes here too.
        if !matches!(send.poll(Waker::noop()), Poll::Ready(Ok(()))) {
            self.give_back(Box::new(send));
        }
    }

    fn give_back(&self, ending: Box<dyn Ending>) {
        let mut all = lock(&self.given);
        all.push_front(ending);
        self.is_filled.store(true, Ordering::Release);
    }

    fn take(&self) -> Option<Box<dyn Ending>> {
        let mut all = lock(&self.given);
        let first = all.pop_front();
        self.is_filled.store(!all.is_empty(), Ordering::Release);
        first
    }

    /// Whether none is left, without waiting.
    pub(super) fn has_settled(&self) -> bool {
        while let Some(mut ending) = self.take() {
            if !matches!(ending.poll(Waker::noop()), Poll::Ready(Ok(()))) {
                self.give_back(ending);
                return false;
            }
        }
        true
    }
}

impl fmt::Debug for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsent").field("is_filled", &self.is_filled()).finish_non_exhaustive()
    }
}

/// A send that was given up.
trait Ending: Send {
    /// Whether it has ended; else leaves the waker. An error says that nobody will ever know.
    fn poll(&mut self, waker: &Waker) -> Poll<io::Result<()>>;
}

struct EndingSend<B: IoBuf> {
    state: State<B>,
    lane: Arc<dyn Lane>,
}

enum State<B: IoBuf> {
    InFlight(Claim<SendOp<B>>),
    Ended,
    /// Its shard is gone, and the kernel may send yet.
    Lost(ShardId),
}

impl<B: IoBuf> Ending for EndingSend<B> {
    fn poll(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::InFlight(claim) => match claim.poll(waker) {
                Ok(_) => State::Ended,
                Err(Unfinished::Pending(claim)) => {
                    self.state = State::InFlight(claim);
                    return Poll::Pending;
                }
                Err(Unfinished::Lost(home)) => State::Lost(home),
            },
            over => over,
        };
        Poll::Ready(match self.state {
            State::Lost(home) => Err(op::lost(home)),
            State::InFlight(_) | State::Ended => Ok(()),
        })
    }
}

impl<B: IoBuf> Drop for EndingSend<B> {
    fn drop(&mut self) {
        if let State::InFlight(claim) = std::mem::replace(&mut self.state, State::Ended) {
            op::cancel(claim, &self.lane);
        }
    }
}

/// One send, behind those that were given up.
#[must_use = "a send does nothing until it is polled"]
pub(super) struct Sending<'s, B: IoBuf> {
    socket: &'s Socket,
    op: Op<'s, SendOp<B>>,
    /// The one that is waited for.
    before: Option<Box<dyn Ending>>,
}

// Nothing is pinned: buffers that the kernel uses lie in cells of their operations.
impl<B: IoBuf> Unpin for Sending<'_, B> {}

impl<'s, B: IoBuf> Sending<'s, B> {
    pub(super) fn new(socket: &'s Socket, op: Op<'s, SendOp<B>>) -> Self {
        Self { socket, op, before: None }
    }

    /// Waits until all that were given up have ended.
    fn poll_turn(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        loop {
            if let Some(before) = &mut self.before {
                match before.poll(waker) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => self.before = None,
                    // (It goes back when this is dropped, for the next to find.)
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
            if !self.socket.unsent.is_filled() {
                return Poll::Ready(Ok(()));
            }
            self.before = self.socket.unsent.take();
        }
    }
}

impl<B: IoBuf> Future for Sending<'_, B> {
    type Output = Sent<B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Sent<B>> {
        if self.op.is_idle() && (self.before.is_some() || self.socket.unsent.is_filled()) {
            match self.poll_turn(cx.waker()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    if let Some(send) = self.op.take_idle() {
                        return Poll::Ready(send.finish(Err(error)));
                    }
                }
            }
        }
        Pin::new(&mut self.op).poll(cx)
    }
}

impl<B: IoBuf> Drop for Sending<'_, B> {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            self.socket.unsent.give_back(before);
        }
        if let Some(claim) = self.op.take_claim() {
            self.socket.unsent.give(claim, self.socket.lane());
        }
    }
}
