//! Operations for the ring of one shard, wherever their futures are polled.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::inflight::cell;
use crate::op::{Complete, State, ask_to_cancel, cancel};
use crate::port::{self, Lane, Port};
use crate::primitive::Arc;

/// The future of an operation that goes to the shard of its lane. Else as [`Op`](super::Op), which
/// goes to the shard that polls it.
#[must_use = "an operation does nothing until it is polled"]
pub(crate) struct Aimed<T: Complete> {
    pub(super) state: State<T>,
    lane: Arc<dyn Lane>,
}

// Nothing in an operation is pinned by its future: in flight it lies in its cell.
impl<T: Complete> Unpin for Aimed<T> {}

impl<T: Complete> Aimed<T> {
    /// The future of an operation that has not started.
    pub(crate) fn new(operation: T, lane: Arc<dyn Lane>) -> Self {
        Self { state: State::Idle(operation), lane }
    }

    /// Asks the kernel to end the operation soon; its future then becomes ready. `false` if it is
    /// on its way to its shard, which has not submitted it.
    pub(crate) fn ask_to_end(&self) -> bool {
        let State::InFlight(claim) = &self.state else { return true };
        let Some(token) = claim.submitted_token() else { return false };
        ask_to_cancel(claim.home(), token, &self.lane);
        true
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

    fn start(&mut self, operation: T, waker: &Waker) -> Poll<T::Output> {
        let (runtime, home) = (self.lane.runtime(), self.lane.shard());
        port::with(|port| match port {
            Some(port) if port.runtime() == runtime && port.shard() == home => {
                self.start_here(port, operation, waker)
            }
            _ => {
                let (claim, charge) = cell(operation, home, waker.clone());
                self.state = State::InFlight(claim);
                self.lane.submit(charge);
                Poll::Pending
            }
        })
    }

    fn start_here(&mut self, port: &dyn Port, operation: T, waker: &Waker) -> Poll<T::Output> {
        if !port.consume_budget() {
            self.state = State::Idle(operation);
            waker.wake_by_ref();
            return Poll::Pending;
        }
        let (claim, charge) = cell(operation, port.shard(), waker.clone());
        match port.submit(charge) {
            Ok(()) => {
                self.state = State::InFlight(claim);
                Poll::Pending
            }
            Err((error, charge)) => {
                // The waker that comes back is our own, and we are awake.
                drop(charge.finish(error.outcome()));
                match claim.poll(waker) {
                    Ok((operation, outcome)) => Poll::Ready(operation.end(outcome)),
                    Err(unfinished) => self.state.keep(unfinished),
                }
            }
        }
    }
}

impl<T: Complete> Future for Aimed<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::InFlight(claim) => match claim.poll(cx.waker()) {
                Ok((operation, outcome)) => Poll::Ready(operation.end(outcome)),
                Err(unfinished) => self.state.keep(unfinished),
            },
            State::Idle(operation) => self.start(operation, cx.waker()),
            State::Done => panic!("an operation is not polled after it was ready"),
        }
    }
}

impl<T: Complete> Drop for Aimed<T> {
    fn drop(&mut self) {
        if let State::InFlight(claim) = std::mem::replace(&mut self.state, State::Done) {
            cancel(claim, &self.lane);
        }
    }
}

impl<T: Complete> fmt::Debug for Aimed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aimed").field("shard", &self.lane.shard()).finish_non_exhaustive()
    }
}
