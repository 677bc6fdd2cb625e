//! Frames as a stream, for the combinators of others.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::io::AsyncRead;
use crate::io::framed::{Decoder, FramedRead};
use crate::io::held::Held;

/// The frames of a reader as a [`Stream`](futures_core::Stream): [`FramedRead::into_stream`].
///
/// It ends with the reader, and after the first error. A wait that nobody polls any more goes on.
pub struct Frames<R, D: Decoder> {
    held: Held<FramedRead<R, D>, io::Result<Option<D::Frame>>>,
    is_over: bool,
}

impl<R: AsyncRead, D: Decoder> FramedRead<R, D> {
    /// The frames as a [`Stream`](futures_core::Stream). Each costs an allocation more than by
    /// [`next`](Self::next).
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::pin::pin;
    /// use futures_core::Stream;
    /// use spargio::io::framed::{FramedRead, LinesCodec};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut lines = pin!(FramedRead::new(&b"one\ntwo\n"[..], LinesCodec::new()).into_stream());
    /// let mut all = Vec::new();
    /// while let Some(line) = poll_fn(|cx| lines.as_mut().poll_next(cx)).await {
    ///     all.push(line?);
    /// }
    /// assert_eq!(all, ["one", "two"]);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn into_stream(self) -> Frames<R, D> {
        Frames { held: Held::new(self), is_over: false }
    }
}

// Nothing is pinned: a wait lies in a box of its own.
impl<R, D: Decoder> Unpin for Frames<R, D> {}

impl<R, D> futures_core::Stream for Frames<R, D>
where
    R: AsyncRead + 'static,
    D: Decoder + 'static,
{
    type Item = io::Result<D::Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        loop {
            let Some(next) = ready!(self.held.poll(cx)) else {
                self.held.start(|mut frames| async move {
                    let next = frames.next().await;
                    (frames, next)
                });
                continue;
            };
            self.is_over = !matches!(next, Ok(Some(_)));
            return Poll::Ready(next.transpose());
        }
    }
}

impl<R: fmt::Debug, D: Decoder + fmt::Debug> fmt::Debug for Frames<R, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("frames", &self.held)
            .field("is_over", &self.is_over)
            .finish()
    }
}
