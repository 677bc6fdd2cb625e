//! A writer with a buffer, which knows what has been written.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::buf::{BufResult, IoBuf};
use crate::io::AsyncWrite;
use crate::io::buf_reader::{CAPACITY, KEPT};
use crate::io::held::Held;
use crate::io::write::write_from;

/// Collects small writes, and knows what of them has been written.
///
/// # Dropped futures
///
/// Any future of this type may be dropped: a write to what is behind, once begun, belongs to this
/// value and not to the future that waits for it. The next call goes on where that one is. A
/// dropped [`write`](AsyncWrite::write) has taken nothing, and no byte is written twice or out of
/// its place. After an error, too, what was not written is kept, and the next
/// [`flush`](AsyncWrite::flush) goes on with it.
///
/// # Dropping the writer itself
///
/// Nothing is written when the value is dropped, because that would have to wait: what is in the
/// [`buffer`](Self::buffer) is gone, and a write in flight is cancelled. Call
/// [`flush`](AsyncWrite::flush), [`shutdown`](AsyncWrite::shutdown) or
/// [`into_inner`](Self::into_inner) first; [`unwritten`](Self::unwritten) says whether that is
/// needed.
///
/// # Examples
///
/// ```
/// use spargio::io::{AsyncWrite, BufWriter};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut out = BufWriter::new(Vec::new());
/// out.write_all("one, ").await.0?;
/// out.write_all("two").await.0?;
/// assert_eq!((out.buffer(), out.get_ref()), (&b"one, two"[..], Some(&Vec::new())));
/// assert_eq!(out.into_inner().await?, b"one, two");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct BufWriter<W> {
    held: Held<W, Wrote>,
    /// What nobody has begun to write.
    bytes: Vec<u8>,
    /// How many bytes the write in flight has.
    in_flight: usize,
    capacity: usize,
}

/// What became of a write.
struct Wrote {
    bytes: Vec<u8>,
    done: usize,
    result: io::Result<()>,
}

impl<W: AsyncWrite + 'static> BufWriter<W> {
    /// With a buffer of 8 KiB.
    pub fn new(writer: W) -> Self {
        Self::with_capacity(CAPACITY, writer)
    }

    /// With a buffer of so many bytes, and of 1 byte for 0.
    pub fn with_capacity(capacity: usize, writer: W) -> Self {
        let capacity = capacity.max(1);
        Self { held: Held::new(writer), bytes: Vec::new(), in_flight: 0, capacity }
    }

    /// How many bytes are collected before they are written.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The bytes that nobody has begun to write. Those of a write in flight, or cut off by a
    /// dropped future, are not among them; [`unwritten`](Self::unwritten) counts both.
    pub fn buffer(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes were taken that are not known to be written.
    pub fn unwritten(&self) -> usize {
        self.in_flight + self.bytes.len()
    }

    /// The writer behind, to be asked; `None` while a write is in flight, which a dropped future
    /// leaves.
    pub fn get_ref(&self) -> Option<&W> {
        self.held.idle()
    }

    /// The writer behind, to be used; `None` as for [`get_ref`](Self::get_ref). What is written to
    /// it comes before the bytes of the buffer.
    pub fn get_mut(&mut self) -> Option<&mut W> {
        self.held.idle_mut()
    }

    /// Writes what was taken, and gives the writer behind.
    ///
    /// # Errors
    ///
    /// As [`AsyncWrite::flush`], with this value, which keeps what was not written.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, this value is dropped with it. [`flush`](AsyncWrite::flush)
    /// first: then there is nothing to wait for.
    pub async fn into_inner(mut self) -> Result<W, IntoInnerError<Self>> {
        match self.flush().await {
            Ok(()) => Ok(self.held.into_idle()),
            Err(error) => Err(IntoInnerError { writer: self, error }),
        }
    }

    /// The writer behind and what was not written to it, in order: begins no write, and waits for
    /// the end of one in flight. Its error comes along.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, this value is dropped with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::{AsyncWrite, BufWriter};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut out = BufWriter::new(spargio::io::sink());
    /// out.write_all("not written").await.0?;
    /// let (_sink, unwritten, error) = out.into_parts().await;
    /// assert_eq!(unwritten, b"not written");
    /// assert!(error.is_none());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn into_parts(mut self) -> (W, Vec<u8>, Option<io::Error>) {
        let settled = poll_fn(|cx| self.poll_settled(cx)).await;
        (self.held.into_idle(), self.bytes, settled.err())
    }

    /// Appends what `encode` appends, whatever the capacity is; nothing if that fails.
    pub(super) fn push(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let before = self.bytes.len();
        let encoded = encode(&mut self.bytes);
        if encoded.is_err() {
            self.bytes.truncate(before);
        }
        encoded
    }

    /// Writes the buffer, but does not flush what is behind.
    pub(super) async fn write_out(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_written(cx)).await
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_settled(cx))?;
            if self.bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let bytes = std::mem::take(&mut self.bytes);
            self.in_flight = bytes.len();
            self.held.start(|mut writer| async move {
                let (done, result, bytes) = write_from(&mut writer, bytes, 0).await;
                (writer, Wrote { bytes, done, result })
            });
        }
    }

    /// Waits for the end of a write in flight, and takes back what it has left.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(wrote) = ready!(self.held.poll(cx)) else { return Poll::Ready(Ok(())) };
        let Wrote { mut bytes, done, result } = wrote;
        self.in_flight = 0;
        bytes.drain(..done);
        bytes.append(&mut self.bytes);
        // Memory that a long frame needed is given back.
        let is_kept = !bytes.is_empty() || bytes.capacity() <= KEPT.max(self.capacity);
        self.bytes = if is_kept { bytes } else { Vec::new() };
        Poll::Ready(result)
    }
}

impl<W: AsyncWrite + 'static> AsyncWrite for BufWriter<W> {
    /// Takes as many bytes as there is room for. If there is none, the buffer is written first.
    ///
    /// # Errors
    ///
    /// Those of writing what was taken before.
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        if self.bytes.len() >= self.capacity
            && let Err(error) = self.write_out().await
        {
            return (Err(error), buf);
        }
        let count = buf.bytes_init().min(self.capacity - self.bytes.len());
        self.bytes.extend_from_slice(&buf.as_init()[..count]);
        (Ok(count), buf)
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.write_out().await?;
        match self.held.idle_mut() {
            Some(writer) => writer.flush().await,
            None => Ok(()),
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.write_out().await?;
        match self.held.idle_mut() {
            Some(writer) => writer.shutdown().await,
            None => Ok(()),
        }
    }
}

impl<W: fmt::Debug> fmt::Debug for BufWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufWriter")
            .field("writer", &self.held)
            .field("buffered", &self.bytes.len())
            .field("in_flight", &self.in_flight)
            .field("capacity", &self.capacity)
            .finish()
    }
}

/// Why [`BufWriter::into_inner`] failed, with the writer.
pub struct IntoInnerError<W> {
    writer: W,
    error: io::Error,
}

impl<W> IntoInnerError<W> {
    /// What writing failed with.
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// The writer, to be tried again, or taken apart.
    pub fn into_parts(self) -> (W, io::Error) {
        (self.writer, self.error)
    }
}

impl<W> fmt::Debug for IntoInnerError<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoInnerError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<W> fmt::Display for IntoInnerError<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<W> Error for IntoInnerError<W> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl<W> From<IntoInnerError<W>> for io::Error {
    fn from(error: IntoInnerError<W>) -> Self {
        error.error
    }
}

#[cfg(test)]
mod tests;
