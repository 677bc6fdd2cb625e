//! Several buffers at once.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::fs::{File, checked_offset, whole};
use crate::op::{Complete, Op, vectored};
use crate::primitive::Arc;

/// An operation on several buffers, or what is known without the kernel; `None` once it was said.
///
/// The answer is a parameter of its own: within an async block the compiler forgets that a buffer
/// was `&'static`, and would find none that belongs to the operation.
enum State<'f, T: Complete, R> {
    Op(Op<'f, T>),
    Known(Option<R>),
}

impl<R, T: Complete<Output = R>> State<'_, T, R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        match self {
            Self::Op(op) => Pin::new(op).poll(cx),
            Self::Known(known) => {
                Poll::Ready(known.take().expect("an operation is not polled after it was ready"))
            }
        }
    }

    /// Calls it off, and polls it to its end.
    async fn cancel(mut self) -> R {
        let mut is_asked = false;
        poll_fn(|cx| match &mut self {
            Self::Op(op) => op.poll_end(&mut is_asked, cx),
            Self::Known(_) => self.poll(cx),
        })
        .await
    }
}

/// The future of [`File::read_vectored_at`].
#[must_use = "a read does nothing until it is polled"]
pub struct ReadVectoredAt<'f, B: IoBufMut>(
    State<'f, vectored::ReadVectoredAt<B>, BufResult<usize, Vec<B>>>,
);

// Nothing is pinned by this future: buffers in flight lie with their operation.
impl<B: IoBufMut> Unpin for ReadVectoredAt<'_, B> {}

impl<B: IoBufMut> ReadVectoredAt<'_, B> {
    /// As [`ReadAt::cancel`](crate::fs::ReadAt::cancel), with all buffers.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn cancel(self) -> BufResult<usize, Vec<B>> {
        self.0.cancel().await
    }
}

impl<B: IoBufMut> Future for ReadVectoredAt<'_, B> {
    type Output = BufResult<usize, Vec<B>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

impl<B: IoBufMut> fmt::Debug for ReadVectoredAt<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadVectoredAt").finish_non_exhaustive()
    }
}

/// The future of [`File::write_vectored_at`].
#[must_use = "a write does nothing until it is polled"]
pub struct WriteVectoredAt<'f, B: IoBuf>(
    State<'f, vectored::WriteVectoredAt<B>, BufResult<usize, Vec<B>>>,
);

// Nothing is pinned, as for reads.
impl<B: IoBuf> Unpin for WriteVectoredAt<'_, B> {}

impl<B: IoBuf> WriteVectoredAt<'_, B> {
    /// As [`WriteAt::cancel`](crate::fs::WriteAt::cancel), with all buffers.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn cancel(self) -> BufResult<usize, Vec<B>> {
        self.0.cancel().await
    }
}

impl<B: IoBuf> Future for WriteVectoredAt<'_, B> {
    type Output = BufResult<usize, Vec<B>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

impl<B: IoBuf> fmt::Debug for WriteVectoredAt<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteVectoredAt").finish_non_exhaustive()
    }
}

impl File {
    /// Reads at `offset` into one buffer after the other, each from its start, and says how many
    /// bytes were read. Of more than 1024 buffers only the first 1024 are filled.
    ///
    /// # Errors
    ///
    /// As for [`read_at`](Self::read_at). The buffers come back with every error.
    ///
    /// # Cancel safety
    ///
    /// As for [`read_at`](Self::read_at).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// let file = spargio::fs::File::open("data").await?;
    /// let (read, bufs) = file.read_vectored_at(vec![vec![0; 16], vec![0; 4096]], 0).await;
    /// println!("{} bytes, the first of them {:?}", read?, bufs[0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_vectored_at<B: IoBufMut>(
        &self,
        bufs: Vec<B>,
        offset: u64,
    ) -> ReadVectoredAt<'_, B> {
        ReadVectoredAt(match checked_offset(offset) {
            Err(error) => State::Known(Some((Err(error), bufs))),
            Ok(_) if bufs.iter().all(|buf| buf.bytes_total() == 0) => {
                State::Known(Some((Ok(0), bufs)))
            }
            Ok(offset) => {
                let shared = Arc::clone(&self.shared);
                let read = vectored::ReadVectoredAt::new(shared, bufs, offset);
                State::Op(Op::new(read, self.shared.fd.lane()))
            }
        })
    }

    /// Writes the initialised bytes of one buffer after the other at `offset`, and says how many
    /// were written. Of more than 1024 buffers only the first 1024 are written.
    ///
    /// # Errors
    ///
    /// As for [`write_at`](Self::write_at). The buffers come back with every error.
    ///
    /// # Cancel safety
    ///
    /// As for [`write_at`](Self::write_at).
    pub fn write_vectored_at<B: IoBuf>(&self, bufs: Vec<B>, offset: u64) -> WriteVectoredAt<'_, B> {
        WriteVectoredAt(match checked_offset(offset) {
            Err(error) => State::Known(Some((Err(error), bufs))),
            Ok(_) if bufs.iter().all(|buf| buf.bytes_init() == 0) => {
                State::Known(Some((Ok(0), bufs)))
            }
            Ok(offset) => {
                let shared = Arc::clone(&self.shared);
                let write = vectored::WriteVectoredAt::new(shared, bufs, offset);
                State::Op(Op::new(write, self.shared.fd.lane()))
            }
        })
    }

    /// Appends to the vector what the file has from `offset` on, to its real end, and says how
    /// much that was. What the file says of its length is only a guess for the room: files in
    /// `/proc` say 0. With direct I/O it reads whole blocks to memory of its own and copies.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](io::ErrorKind::OutOfMemory) if there is no room for it; else as for
    /// [`read_at`](Self::read_at). What was read until then is in the vector.
    ///
    /// # Cancel safety
    ///
    /// As for [`read_at`](Self::read_at).
    pub async fn read_to_end_at(&self, buf: Vec<u8>, offset: u64) -> BufResult<usize, Vec<u8>> {
        whole::read_to_end_at(self, buf, offset).await
    }

    /// What the file has from `offset` on, as text.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if it is no UTF-8; else as for
    /// [`read_to_end_at`](Self::read_to_end_at).
    ///
    /// # Cancel safety
    ///
    /// As for [`read_at`](Self::read_at).
    pub async fn read_to_string_at(&self, offset: u64) -> io::Result<String> {
        let (read, bytes) = whole::read_to_end_at(self, Vec::new(), offset).await;
        read?;
        whole::text(bytes)
    }
}
