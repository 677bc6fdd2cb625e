//! A descriptor that is watched: one operation that tells of every change.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::net::async_fd::{AsyncFd, AsyncFdReadyGuard};
use crate::net::poll::{PollMany, Seen, Sight};
use crate::net::ready::Interest;
use crate::op::Op;
use crate::port::{self, Port};
use crate::primitive::Arc;

/// Waits again and again with one operation of the ring: [`AsyncFd::watch`].
///
/// The operation starts with the first [`ready`](Self::ready), on the ring of the shard that polls
/// it, and stays there; it ends when the watch is dropped.
///
/// # Clear what is not so
///
/// The kernel tells of changes: when something came, not that something is still there. So the
/// watch keeps what it was told, and `ready` answers at once until a call has found that it is not
/// so any more: [`AsyncFdReadyGuard::try_io`] notes that by itself, after other calls
/// [`clear_ready`](AsyncFdReadyGuard::clear_ready) does. Whoever reads only a part, and forgets,
/// finds the descriptor ready again.
#[must_use = "a watch does nothing until it is asked what is ready"]
pub struct Watch<'a, T> {
    fd: &'a AsyncFd<T>,
    interest: Interest,
    sight: Arc<Sight>,
    /// None before the first poll, and after the kernel has ended it.
    op: Option<Op<'a, PollMany>>,
}

impl<'a, T> Watch<'a, T> {
    pub(super) fn new(fd: &'a AsyncFd<T>, interest: Interest) -> Self {
        Self { fd, interest, sight: Arc::new(Sight::new()), op: None }
    }

    /// What is watched for.
    pub const fn interest(&self) -> Interest {
        self.interest
    }

    /// Waits until one of the things that are watched for is so.
    ///
    /// # Errors
    ///
    /// As [`AsyncFd::readable`]. The next call starts a new operation.
    ///
    /// # Cancel safety
    ///
    /// The watch goes on when the future is dropped, and the next call is told of what changed
    /// meanwhile.
    pub async fn ready(&mut self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let seen = std::future::poll_fn(|cx| self.poll_seen(cx)).await?;
        Ok(AsyncFdReadyGuard::watched(self.fd, &self.sight, seen))
    }

    fn poll_seen(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Seen>> {
        if !port::with(|port| port.is_none_or(Port::consume_budget)) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(seen) = self.sight.look(cx.waker()) {
                return Poll::Ready(Ok(seen));
            }
            let op = self.op.get_or_insert_with(|| {
                let (fd, sight) = (self.fd.shared(), Arc::clone(&self.sight));
                Op::new(PollMany::new(fd.clone(), self.interest, sight), fd.lane())
            });
            let Poll::Ready(ended) = Pin::new(op).poll(cx) else { return Poll::Pending };
            self.op = None;
            match ended {
                Ok(ready) => drop(self.sight.note(ready)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<T> fmt::Debug for Watch<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("interest", &self.interest)
            .field("sight", &self.sight)
            .finish_non_exhaustive()
    }
}
