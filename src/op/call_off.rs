//! Operations that are called off and waited for: what became of them all the same.

use std::io;
use std::task::{Context, Poll};

use crate::inflight::Unfinished;
use crate::op::{Aimed, Complete, Op, Outcome, State, note_home};

/// The answer for an operation that was called off before it did anything.
pub(crate) fn called_off() -> io::Error {
    io::Error::from_raw_os_error(libc::ECANCELED)
}

/// As [`called_off`], in the words of the kernel.
const CALLED_OFF: Outcome = Outcome { result: -libc::ECANCELED, flags: 0 };

/// The outcome of an operation that is not wanted any more: one that would start over does not, and
/// one that a kernel thread was interrupted in was so by the cancel.
fn ended<T: Complete>(operation: &T, outcome: Outcome, asked: bool) -> Outcome {
    const AGAIN: i32 = -libc::EAGAIN;
    const INTERRUPTED: i32 = -libc::EINTR;
    let is_called_off = match outcome.result {
        AGAIN => operation.starts_over(),
        INTERRUPTED => asked,
        _ => false,
    };
    if is_called_off { Outcome { result: CALLED_OFF.result, ..outcome } } else { outcome }
}

impl<T: Complete> Op<'_, T> {
    /// Polls the operation to its end, which comes soon: the kernel is asked for it once, which
    /// `asked` remembers. One that has not started is over now, and none starts over.
    pub(crate) fn poll_end(&mut self, asked: &mut bool, cx: &mut Context<'_>) -> Poll<T::Output> {
        if let Some(operation) = self.take_idle() {
            return Poll::Ready(operation.finish(Err(called_off())));
        }
        *asked = *asked || self.ask_to_end();
        let claim = self.take_claim().expect("an operation is not polled after it was ready");
        let home = claim.home();
        match claim.poll(cx.waker()) {
            Ok((operation, outcome)) => {
                note_home(home, self.lane);
                let outcome = ended(&operation, outcome, *asked);
                Poll::Ready(operation.end(outcome))
            }
            Err(unfinished) => keep(&mut self.state, unfinished, *asked, cx),
        }
    }
}

impl<T: Complete> Aimed<T> {
    /// As of [`Op`]. One that has not started ends as one that the kernel has cancelled, so that
    /// who made its entry gets what it owns.
    pub(crate) fn poll_end(&mut self, asked: &mut bool, cx: &mut Context<'_>) -> Poll<T::Output> {
        if let Some(operation) = self.take_idle() {
            return Poll::Ready(operation.end(CALLED_OFF));
        }
        *asked = *asked || self.ask_to_end();
        let State::InFlight(claim) = std::mem::replace(&mut self.state, State::Done) else {
            panic!("an operation is not polled after it was ready");
        };
        match claim.poll(cx.waker()) {
            Ok((operation, outcome)) => {
                let outcome = ended(&operation, outcome, *asked);
                Poll::Ready(operation.end(outcome))
            }
            Err(unfinished) => keep(&mut self.state, unfinished, *asked, cx),
        }
    }
}

/// Keeps an operation that has not ended.
fn keep<T: Complete>(
    state: &mut State<T>,
    unfinished: Unfinished<T>,
    asked: bool,
    cx: &mut Context<'_>,
) -> Poll<T::Output> {
    let polled = state.keep(unfinished);
    if polled.is_pending() && !asked {
        // Its shard takes it soon, and can be asked then.
        cx.waker().wake_by_ref();
    }
    polled
}
