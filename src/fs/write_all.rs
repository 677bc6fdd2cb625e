//! Writing at an offset until nothing is left.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::buf::{BufResult, BufResultExt, IoBuf, Slice};
use crate::fs::steps::Steps;
use crate::fs::{File, WriteAt};

/// The future of [`File::write_all_at`](crate::fs::File::write_all_at).
#[must_use = "a write does nothing until it is polled"]
pub struct WriteAllAt<'f, B: IoBuf> {
    file: &'f File,
    offset: u64,
    total: usize,
    steps: Steps,
    next: Next<'f, B>,
}

enum Next<'f, B: IoBuf> {
    /// The write that is under way.
    Step(WriteAt<'f, Slice<B>>),
    /// The buffer between two of them; `None` at the end.
    Buf(Option<B>),
}

// Nothing is pinned by this future: a buffer in flight lies with its operation.
impl<B: IoBuf> Unpin for WriteAllAt<'_, B> {}

impl<'f, B: IoBuf> WriteAllAt<'f, B> {
    pub(super) fn new(file: &'f File, buf: B, offset: u64) -> Self {
        let (total, steps) = (buf.bytes_init(), Steps::new(file));
        Self { file, offset, total, steps, next: Next::Buf(Some(buf)) }
    }

    /// Calls the write off, waits until the kernel has let go of the buffer, and hands it back with
    /// how many of its bytes were written, from the first on.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](io::Error::raw_os_error)) if there were none; else as the
    /// write.
    ///
    /// # Cancel safety
    ///
    /// Dropping this is dropping the write.
    pub async fn cancel(mut self) -> BufResult<usize, B> {
        let mut is_asked = false;
        let polled = poll_fn(|cx| self.poll_steps(Some(&mut is_asked), cx)).await;
        match polled {
            (Err(error), buf) => self.steps.called_off(error, buf),
            all => all,
        }
    }

    /// Takes one step after the other; or, where there is a note of whether the kernel was asked
    /// for it, ends the one that is under way, and begins no more.
    fn poll_steps(
        &mut self,
        mut ends: Option<&mut bool>,
        cx: &mut Context<'_>,
    ) -> Poll<BufResult<usize, B>> {
        loop {
            let step = match &mut self.next {
                Next::Step(step) => step,
                Next::Buf(buf) => {
                    let buf = buf.take().expect("a write is not polled after it was ready");
                    let done = self.steps.at();
                    if done >= self.total {
                        return Poll::Ready((Ok(self.total), buf));
                    }
                    // Saturated is beyond every file, and refused as such.
                    let at = self.offset.saturating_add(done as u64);
                    let step = WriteAt::new(self.file, buf.slice(done..self.total), at);
                    self.next = Next::Step(step);
                    continue;
                }
            };
            let moved = match &mut ends {
                Some(asked) => step.poll_end(asked, cx),
                None => Pin::new(step).poll(cx),
            };
            let (result, rest) = ready!(moved);
            let buf = rest.into_inner();
            let done = self.steps.at();
            self.next = Next::Buf(None);
            match result {
                Ok(0) => {
                    return Poll::Ready((Err(none_taken(self.offset, done, self.total)), buf));
                }
                Ok(count) => self.steps.moved(count),
                Err(error) if self.steps.may_go_on(&error) => {}
                Err(error) => return Poll::Ready((Err(error), buf)),
            }
            self.next = Next::Buf(Some(buf));
        }
    }
}

impl<B: IoBuf> Future for WriteAllAt<'_, B> {
    type Output = BufResult<(), B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_steps(None, cx).map(|done| done.map_value(drop))
    }
}

impl<B: IoBuf> fmt::Debug for WriteAllAt<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteAllAt").field("steps", &self.steps).finish_non_exhaustive()
    }
}

fn none_taken(offset: u64, done: usize, total: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::WriteZero,
        format!("the file took {done} of {total} bytes at offset {offset}, and then none"),
    )
}
