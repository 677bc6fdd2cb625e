//! Writing at an offset.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::buf::{BufResult, IoBuf};
use crate::fs::{File, checked_offset};
use crate::op::call_off::called_off;
use crate::op::{Op, file};
use crate::port::{self, Port};
use crate::primitive::Arc;

/// The future of [`File::write_at`](crate::fs::File::write_at).
#[must_use = "a write does nothing until it is polled"]
pub struct WriteAt<'f, B: IoBuf>(State<'f, B>);

enum State<'f, B: IoBuf> {
    Op(Op<'f, file::WriteAt<B>>),
    /// To be done by a call that may block.
    Blocking {
        file: &'f File,
        buf: B,
        offset: u64,
    },
    /// Known without the kernel.
    Known(BufResult<usize, B>),
    Done,
}

// Nothing is pinned by this future: a buffer in flight lies with its operation.
impl<B: IoBuf> Unpin for WriteAt<'_, B> {}

impl<'f, B: IoBuf> WriteAt<'f, B> {
    pub(super) fn new(file: &'f File, buf: B, offset: u64) -> Self {
        Self(match checked_offset(offset) {
            Err(error) => State::Known((Err(error), buf)),
            Ok(_) if buf.bytes_init() == 0 => State::Known((Ok(0), buf)),
            Ok(offset) if file.blocking_writes => State::Blocking { file, buf, offset },
            Ok(offset) => on_the_ring(file, buf, offset),
        })
    }

    /// Calls the write off, waits until the kernel has let go of the buffer, and hands it back
    /// with what became of the write all the same: the result says how many bytes were written.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](std::io::Error::raw_os_error)) if nothing was written; else as
    /// the write.
    ///
    /// # Cancel safety
    ///
    /// Dropping this is dropping the write.
    pub async fn cancel(mut self) -> BufResult<usize, B> {
        let mut is_asked = false;
        poll_fn(|cx| self.poll_end(&mut is_asked, cx)).await
    }

    /// Polls the write to its end, for which the kernel is asked once.
    pub(super) fn poll_end(
        &mut self,
        asked: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<BufResult<usize, B>> {
        match std::mem::replace(&mut self.0, State::Done) {
            State::Blocking { buf, .. } => Poll::Ready((Err(called_off()), buf)),
            State::Op(mut op) => {
                let polled = op.poll_end(asked, cx);
                self.0 = State::Op(op);
                polled
            }
            state => {
                self.0 = state;
                Pin::new(self).poll(cx)
            }
        }
    }
}

fn on_the_ring<B: IoBuf>(file: &File, buf: B, offset: u64) -> State<'_, B> {
    let write = file::WriteAt { file: Arc::clone(&file.shared), buf, offset };
    State::Op(Op::new(write, file.shared.fd.lane()))
}

impl<B: IoBuf> Future for WriteAt<'_, B> {
    type Output = BufResult<usize, B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Op(op) = &mut self.0 {
            return Pin::new(op).poll(cx);
        }
        if !port::with(|port| port.is_none_or(Port::consume_budget)) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match std::mem::replace(&mut self.0, State::Done) {
            State::Known(known) => Poll::Ready(known),
            State::Blocking { file, buf, offset } => {
                match file.shared.write_now(buf.as_init(), offset) {
                    // A pipe has no offset for this call; the ring ignores the offset.
                    Err(error) if error.raw_os_error() == Some(libc::ESPIPE) => {
                        self.0 = on_the_ring(file, buf, offset);
                        self.poll(cx)
                    }
                    written => Poll::Ready((written, buf)),
                }
            }
            State::Op(_) | State::Done => panic!("a write is not polled after it was ready"),
        }
    }
}

impl<B: IoBuf> fmt::Debug for WriteAt<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteAt").finish_non_exhaustive()
    }
}
