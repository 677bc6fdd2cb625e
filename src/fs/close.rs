//! Closing with an answer.

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::driver::Sqe;
use crate::op::{Complete, Op, Operation, Outcome};
use crate::port::Lane;
use crate::primitive::Arc;

/// Closes the descriptor and says what the file system answered.
pub(super) async fn close(fd: OwnedFd, lane: Arc<dyn Lane>) -> io::Result<()> {
    Uncancelled(Op::new(Close { fd, pushed: false }, &lane)).await
}

struct Close {
    fd: OwnedFd,
    pushed: bool,
}

impl Close {
    /// The end of the descriptor: by the kernel if it had the entry, else here.
    fn settle(self) {
        if self.pushed {
            // The number is free whatever the kernel answered, and may be somebody else's by now.
            // (A close that shutdown cancels before it began keeps its number: better than to
            // close what may be another's.)
            let _closed_by_the_kernel = self.fd.into_raw_fd();
        }
    }
}

// SAFETY:
// - I1: no address. The fd is not kept open, as closing it is the operation; nobody else has it.
unsafe impl Operation for Close {
    fn entry(&mut self) -> Sqe {
        self.pushed = true;
        Sqe::close(self.fd.as_raw_fd())
    }

    fn abandon(self, _: Option<Outcome>) {
        self.settle();
    }
}

impl Complete for Close {
    type Output = io::Result<()>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<()> {
        self.settle();
        outcome.map(drop)
    }
}

/// Goes on after it was dropped: a close that is under way is not called back.
struct Uncancelled<'l>(Op<'l, Close>);

impl Future for Uncancelled<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Drop for Uncancelled<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.0.take_claim() {
            // What the answer says about a cancel is left aside.
            let _in_flight = claim.abandon();
        }
    }
}
