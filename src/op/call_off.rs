//! Operations that are called off and waited for: what became of them all the same.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::op::{Aimed, Complete, Op, Outcome};

/// The answer for an operation that was called off before it did anything.
pub(crate) fn called_off() -> io::Error {
    io::Error::from_raw_os_error(libc::ECANCELED)
}

/// As [`called_off`], in the words of the kernel.
const CALLED_OFF: Outcome = Outcome { result: -libc::ECANCELED, flags: 0 };

impl<T: Complete> Op<'_, T> {
    /// Polls the operation to its end, which comes soon: the kernel is asked for it once, which
    /// `asked` remembers. One that has not started is over now.
    pub(crate) fn poll_end(&mut self, asked: &mut bool, cx: &mut Context<'_>) -> Poll<T::Output> {
        if let Some(operation) = self.take_idle() {
            return Poll::Ready(operation.finish(Err(called_off())));
        }
        *asked = *asked || self.ask_to_end();
        let polled = Pin::new(self).poll(cx);
        if polled.is_pending() && !*asked {
            // Its shard takes it soon, and can be asked then.
            cx.waker().wake_by_ref();
        }
        polled
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
        let polled = Pin::new(self).poll(cx);
        if polled.is_pending() && !*asked {
            // Its shard takes it soon, and can be asked then.
            cx.waker().wake_by_ref();
        }
        polled
    }
}
