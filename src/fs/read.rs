//! Reading at an offset.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::buf::{BufResult, IoBufMut};
use crate::fs::{File, checked_offset};
use crate::op::{Op, file};
use crate::primitive::Arc;

/// The future of [`File::read_at`](crate::fs::File::read_at).
#[must_use = "a read does nothing until it is polled"]
pub struct ReadAt<'f, B: IoBufMut>(State<'f, B>);

enum State<'f, B: IoBufMut> {
    Op(Op<'f, file::ReadAt<B>>),
    /// Known without the kernel; `None` once it was said.
    Known(Option<BufResult<usize, B>>),
}

// Nothing is pinned by this future: a buffer in flight lies with its operation.
impl<B: IoBufMut> Unpin for ReadAt<'_, B> {}

impl<'f, B: IoBufMut> ReadAt<'f, B> {
    pub(super) fn new(file: &'f File, buf: B, offset: u64) -> Self {
        Self(match checked_offset(offset) {
            Err(error) => State::Known(Some((Err(error), buf))),
            Ok(_) if buf.bytes_total() == 0 => State::Known(Some((Ok(0), buf))),
            Ok(offset) => {
                let shared = Arc::clone(&file.shared);
                let read = file::ReadAt { file: shared, buf, offset };
                State::Op(Op::new(read, file.shared.fd.lane()))
            }
        })
    }

    /// Calls the read off, waits until the kernel has let go of the buffer, and hands it back
    /// with what became of the read all the same: bytes that were read are in it.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](std::io::Error::raw_os_error)) if nothing was read; else as
    /// the read.
    ///
    /// # Cancel safety
    ///
    /// Dropping this is dropping the read.
    pub async fn cancel(mut self) -> BufResult<usize, B> {
        let mut is_asked = false;
        poll_fn(|cx| self.poll_end(&mut is_asked, cx)).await
    }

    /// Polls the read to its end, for which the kernel is asked once.
    pub(super) fn poll_end(
        &mut self,
        asked: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<BufResult<usize, B>> {
        match &mut self.0 {
            State::Op(op) => op.poll_end(asked, cx),
            State::Known(_) => Pin::new(self).poll(cx),
        }
    }
}

impl<B: IoBufMut> Future for ReadAt<'_, B> {
    type Output = BufResult<usize, B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Op(op) => Pin::new(op).poll(cx),
            State::Known(known) => {
                Poll::Ready(known.take().expect("a read is not polled after it was ready"))
            }
        }
    }
}

impl<B: IoBufMut> fmt::Debug for ReadAt<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAt").finish_non_exhaustive()
    }
}
