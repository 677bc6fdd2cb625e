//! Reading at an offset until a buffer is full.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::buf::{BufResult, BufResultExt, IoBufMut, Slice};
use crate::fs::steps::Steps;
use crate::fs::{File, ReadAt};

/// The future of [`File::read_exact_at`](crate::fs::File::read_exact_at).
#[must_use = "a read does nothing until it is polled"]
pub struct ReadExactAt<'f, B: IoBufMut> {
    file: &'f File,
    offset: u64,
    total: usize,
    steps: Steps,
    next: Next<'f, B>,
}

enum Next<'f, B: IoBufMut> {
    /// The read that is under way.
    Step(ReadAt<'f, Slice<B>>),
    /// The buffer between two of them; `None` at the end.
    Buf(Option<B>),
}

// Nothing is pinned by this future: a buffer in flight lies with its operation.
impl<B: IoBufMut> Unpin for ReadExactAt<'_, B> {}

impl<'f, B: IoBufMut> ReadExactAt<'f, B> {
    pub(super) fn new(file: &'f File, buf: B, offset: u64) -> Self {
        let (total, steps) = (buf.bytes_total(), Steps::new(file));
        Self { file, offset, total, steps, next: Next::Buf(Some(buf)) }
    }

    /// Calls the read off, waits until the kernel has let go of the buffer, and hands it back with
    /// how many of its bytes were read, from the first on.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](io::Error::raw_os_error)) if there were none; else as the
    /// read.
    ///
    /// # Cancel safety
    ///
    /// Dropping this is dropping the read.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use std::os::fd::OwnedFd;
    /// use std::time::Duration;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # let task = runtime.handle().spawn_local_on(0, |_| async {
    /// let (reader, mut writer) = std::io::pipe()?;
    /// writer.write_all(b"some")?;
    /// let file = spargio::fs::File::from_std(OwnedFd::from(reader).into())?;
    /// let mut read = file.read_exact_at(Vec::with_capacity(16), 0);
    /// let limited = spargio::timeout(Duration::from_millis(2), &mut read).await;
    /// assert!(limited.is_err(), "there are no 16 bytes");
    /// let (count, buf) = read.cancel().await;
    /// assert_eq!((count?, &buf[..]), (4, &b"some"[..]));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # runtime.block_on(task).unwrap().unwrap();
    /// ```
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
                    let buf = buf.take().expect("a read is not polled after it was ready");
                    let done = self.steps.at();
                    if done >= self.total {
                        return Poll::Ready((Ok(self.total), buf));
                    }
                    // Saturated is beyond every file, and refused as such.
                    let at = self.offset.saturating_add(done as u64);
                    let step = ReadAt::new(self.file, buf.slice(done..self.total), at);
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
                    return Poll::Ready((Err(too_short(self.offset, done, self.total)), buf));
                }
                Ok(count) => self.steps.moved(count),
                Err(error) if self.steps.may_go_on(&error) => {}
                Err(error) => return Poll::Ready((Err(error), buf)),
            }
            self.next = Next::Buf(Some(buf));
        }
    }
}

impl<B: IoBufMut> Future for ReadExactAt<'_, B> {
    type Output = BufResult<(), B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_steps(None, cx).map(|done| done.map_value(drop))
    }
}

impl<B: IoBufMut> fmt::Debug for ReadExactAt<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadExactAt").field("steps", &self.steps).finish_non_exhaustive()
    }
}

fn too_short(offset: u64, done: usize, total: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the file ended {done} bytes after offset {offset}, where {total} were to be read"),
    )
}
