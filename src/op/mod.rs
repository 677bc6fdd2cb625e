//! Operations as futures: the only door of the surfaces to the kernel.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::driver::{Token, sqe_flags};
use crate::id::ShardId;
use crate::inflight::{Abandoned, cell};
use crate::port::{self, Lane, Port, SubmitError};
use crate::primitive::Arc;

mod aimed;
pub(crate) mod call_off;
pub(crate) mod dirents;
pub(crate) mod ending;
pub(crate) mod extent;
mod fd;
pub(crate) mod file;
mod inline;
pub(crate) mod offload;
pub(crate) mod path;
mod path_error;
mod predict;
pub(crate) mod recv_buf;
pub(crate) mod statx;
pub(crate) mod vectored;

pub(crate) use crate::inflight::{Claim, Operation, Outcome, Unfinished};
pub(crate) use crate::inflight::{Lease, Listed, Roster};
pub(crate) use aimed::Aimed;
pub(crate) use fd::{Fd, close};
pub(crate) use inline::Inline;
pub use path_error::PathError;
pub(crate) use path_error::as_path;
pub use recv_buf::RecvBuf;
pub(crate) use recv_buf::Room;

/// An operation whose completion has a meaning.
pub(crate) trait Complete: Operation {
    /// What the future resolves to.
    type Output;

    /// How many of the ready operations of a poll it stands for when a direct call has finished it.
    const LEAVES: i64 = 1;

    /// Whether a direct call may finish the operation at the first poll.
    fn inline(&self) -> Inline {
        Inline::Never
    }

    /// Learns whether a direct call that was tried finished the operation.
    fn attempted(&self, finished: bool) {
        let _ = finished;
    }

    /// Whether the operation starts over when the ring answers `EAGAIN`.
    ///
    /// The ring waits for a socket by polling it. When so many wake-ups were for nothing (128: the
    /// data was another receive's, or came in the other direction), it gives the operation to a
    /// kernel thread, which takes the socket's `O_NONBLOCK` for an order not to wait. That says
    /// nothing to whom waits. Only where the socket's readiness means that the next try gets
    /// further, else the operation would spin.
    fn starts_over(&self) -> bool {
        false
    }

    /// Turns the outcome into the output, and hands back what the operation carried.
    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output;

    /// As [`finish`](Self::finish), for an operation to which the flags of a failure matter.
    fn end(self, outcome: Outcome) -> Self::Output
    where
        Self: Sized,
    {
        self.finish(outcome.check())
    }

    /// The output when the shard `home` went while the kernel had the operation, which stays the
    /// kernel's with all that it carries.
    ///
    /// # Panics
    ///
    /// If the output is to hand back a buffer: there is none that may be touched, and the one who
    /// waits must not wait for ever.
    fn finish_lost(home: ShardId) -> Self::Output {
        panic!("{}; its buffer is leaked", lost(home))
    }
}

/// The error of an operation whose shard went while the kernel had it.
pub(crate) fn lost(home: ShardId) -> io::Error {
    let text = format!("shard {home} ended before the kernel let go of this operation");
    io::Error::new(io::ErrorKind::BrokenPipe, text)
}

/// The future of an operation.
///
/// It is `Send`: the first poll puts the operation on the ring of the shard that polls it, and
/// later polls may be on any thread. On a thread that is no shard of the lane's runtime the
/// operation goes to the lane's shard.
///
/// Dropping it cancels the operation; what the operation owns stays with its shard until the kernel
/// has let go of it.
#[must_use = "an operation does nothing until it is polled"]
pub(crate) struct Op<'l, T: Complete> {
    state: State<T>,
    lane: &'l Arc<dyn Lane>,
}

enum State<T: Complete> {
    Idle(T),
    InFlight(Claim<T>),
    Done,
}

impl<T: Complete> State<T> {
    /// What becomes of an operation in flight that was polled and has no result: it stays in
    /// flight, or was lost with its shard.
    #[inline]
    fn keep(&mut self, unfinished: Unfinished<T>) -> Poll<T::Output> {
        match unfinished {
            Unfinished::Pending(claim) => {
                *self = Self::InFlight(claim);
                Poll::Pending
            }
            Unfinished::Lost(home) => Poll::Ready(T::finish_lost(home)),
        }
    }
}

// Nothing in an operation is pinned by its future: in flight it lies in its cell.
impl<T: Complete> Unpin for Op<'_, T> {}

impl<'l, T: Complete> Op<'l, T> {
    /// The future of an operation that has not started.
    pub(crate) fn new(operation: T, lane: &'l Arc<dyn Lane>) -> Self {
        port::with(|port| port.map(Port::operation_made));
        Self { state: State::Idle(operation), lane }
    }

    /// The future of an operation in flight whose former future gave it up with
    /// [`take_claim`](Self::take_claim).
    pub(crate) fn resume(claim: Claim<T>, lane: &'l Arc<dyn Lane>) -> Self {
        Self { state: State::InFlight(claim), lane }
    }

    /// Takes the operation out of its future if it is in flight, without cancelling it.
    pub(crate) fn take_claim(&mut self) -> Option<Claim<T>> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::InFlight(claim) => Some(claim),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Asks the kernel to end the operation soon; its future then becomes ready. `false` if it is
    /// on its way to its shard, which has not submitted it.
    pub(crate) fn ask_to_end(&self) -> bool {
        let State::InFlight(claim) = &self.state else { return true };
        let Some(token) = claim.submitted_token() else { return false };
        ask_to_cancel(claim.home(), token, self.lane);
        true
    }

    /// Whether the operation has not started.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_))
    }

    fn start(&mut self, waker: &Waker) -> Poll<T::Output> {
        let runtime = self.lane.runtime();
        port::with(|port| match port {
            Some(port) if port.runtime() == runtime => self.start_here(port, waker),
            _ => {
                let Some(operation) = self.take_idle() else { return Poll::Pending };
                let (claim, charge) = cell(operation, self.lane.shard(), waker.clone());
                self.state = State::InFlight(claim);
                self.lane.submit(charge);
                Poll::Pending
            }
        })
    }

    fn start_here(&mut self, port: &dyn Port, waker: &Waker) -> Poll<T::Output> {
        // A poll that has had its share leaves the rest to the ring, where all that start now are a
        // batch: who holds many futures in one task would else poll the same few each time.
        let may_call = port.consume_budget();
        let made = port.operation_started();
        if let State::Idle(operation) = &mut self.state {
            let inline = operation.inline();
            if !may_call && inline == Inline::TryFirst {
                // The ring has nothing better than a direct call for it.
                waker.wake_by_ref();
                return Poll::Pending;
            }
            if may_call && inline.is_worth_it(made, port.queued(), || port.is_next_ring()) {
                let mut sqe = operation.entry();
                // A direct call answers, whatever the ring is to be silent about.
                sqe.flags &= !sqe_flags::CQE_SKIP_SUCCESS;
                // SAFETY:
                // - the operation owns what the entry names (I1 of `Operation`), and it is neither
                //   moved nor dropped during the call.
                let result = unsafe { port.attempt(&sqe) };
                operation.attempted(result.is_some());
                if let Some(result) = result {
                    port.spend_budget(T::LEAVES - 1);
                    return self.finish_now(Ok(Outcome { result, flags: 0 }));
                }
            }
        }
        let Some(operation) = self.take_idle() else { return Poll::Pending };
        let (claim, charge) = cell(operation, port.shard(), waker.clone());
        match port.submit(charge) {
            Ok(()) => {
                self.state = State::InFlight(claim);
                Poll::Pending
            }
            Err((error, charge)) => {
                // The waker that comes back is our own, and we are awake.
                drop(charge.finish(Outcome { result: 0, flags: 0 }));
                self.refused(claim, error, waker)
            }
        }
    }

    fn refused(&mut self, claim: Claim<T>, error: SubmitError, waker: &Waker) -> Poll<T::Output> {
        match claim.poll(waker) {
            Ok((operation, _)) => Poll::Ready(operation.finish(Err(error.into()))),
            Err(unfinished) => self.state.keep(unfinished),
        }
    }

    /// Takes the operation out of its future if it has not started.
    pub(crate) fn take_idle(&mut self) -> Option<T> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Idle(operation) => Some(operation),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn finish_now(&mut self, outcome: io::Result<Outcome>) -> Poll<T::Output> {
        match self.take_idle() {
            Some(operation) => Poll::Ready(operation.finish(outcome.and_then(Outcome::check))),
            None => Poll::Pending,
        }
    }
}

impl Outcome {
    /// The outcome, or the error that its negative result stands for.
    pub(crate) fn check(self) -> io::Result<Self> {
        // An interrupted kernel worker answers with one of its private restart codes.
        const RESTART: std::ops::RangeInclusive<i32> = -516..=-512;
        if let Some(refused) = SubmitError::of(self) {
            return Err(refused.into());
        }
        match self.result {
            0.. => Ok(self),
            code if RESTART.contains(&code) => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
            code => Err(io::Error::from_raw_os_error(-code)),
        }
    }

    /// The result as a count of bytes; only for outcomes that are no errors.
    pub(crate) fn bytes(self) -> usize {
        usize::try_from(self.result).unwrap_or(0)
    }
}

impl<T: Complete> Future for Op<'_, T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::InFlight(claim) => {
                let home = claim.home();
                match claim.poll(cx.waker()) {
                    Ok((operation, outcome)) => {
                        note_home(home, self.lane);
                        if outcome.result == -libc::EAGAIN && operation.starts_over() {
                            self.state = State::Idle(operation);
                            return self.start(cx.waker());
                        }
                        Poll::Ready(operation.end(outcome))
                    }
                    Err(unfinished) => self.state.keep(unfinished),
                }
            }
            State::Idle(operation) => {
                self.state = State::Idle(operation);
                self.start(cx.waker())
            }
            State::Done => panic!("an operation is not polled after it was ready"),
        }
    }
}

impl<T: Complete> Drop for Op<'_, T> {
    fn drop(&mut self) {
        let Some(claim) = self.take_claim() else { return };
        cancel(claim, self.lane);
    }
}

/// The result of an operation of the shard `home` was taken here.
#[inline]
fn note_home(home: ShardId, lane: &Arc<dyn Lane>) {
    port::with(|port| {
        if let Some(port) = port
            && port.shard() != home
            && port.runtime() == lane.runtime()
        {
            port.finished_elsewhere();
        }
    });
}

/// Gives an operation in flight up, and sees to it that its shard cancels it.
pub(crate) fn cancel<T: Operation>(claim: Claim<T>, lane: &Arc<dyn Lane>) {
    let Abandoned::Cancel { home, token } = claim.abandon() else { return };
    ask_to_cancel(home, token, lane);
}

/// As [`cancel`], and returns the claim of an operation that has been submitted: until it has ended
/// it may still do what it is about.
pub(crate) fn cancel_and_keep<T: Operation>(
    claim: Claim<T>,
    lane: &Arc<dyn Lane>,
) -> Option<Claim<T>> {
    let (claim, token) = claim.withdraw()?;
    ask_to_cancel(claim.home(), token, lane);
    Some(claim)
}

/// Cancels an operation of the shard `home`, if it has not ended.
fn ask_to_cancel(home: ShardId, token: Token, lane: &Arc<dyn Lane>) {
    port::with(|port| match port {
        Some(port) if port.runtime() == lane.runtime() => port.cancel(home, token),
        _ => lane.cancel(home, token),
    });
}

impl<T: Complete> fmt::Debug for Op<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle(_) => "idle",
            State::InFlight(_) => "in flight",
            State::Done => "done",
        };
        f.debug_struct("Op").field("state", &state).finish_non_exhaustive()
    }
}
