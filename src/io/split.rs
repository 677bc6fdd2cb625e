//! The two directions of one stream, for two tasks.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::{AsyncRead, AsyncWrite};
use crate::primitive::Arc;

/// Two handles of one stream: one reads, the other writes, and each may go to a task of its own.
///
/// It is for streams whose clones are one stream, such as
/// [`TcpStream`](crate::net::TcpStream) and [`UnixStream`](crate::net::UnixStream).
///
/// The stream closes when both halves are dropped. Dropping the half that writes does not end that
/// direction for the peer; [`shutdown`](AsyncWrite::shutdown) does.
///
/// # Examples
///
/// ```
/// use spargio::io::{AsyncReadExt, AsyncWrite, split};
/// use spargio::net::UnixStream;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = spargio::Runtime::builder().shards(1).build()?;
/// # runtime.block_on(async {
/// let (near, far) = UnixStream::pair()?;
/// let (mut reader, mut writer) = split(near);
/// let sender = spargio::spawn(async move {
///     writer.write_all("request").await.0?;
///     writer.shutdown().await
/// })?;
/// let (mut from, mut to) = split(far);
/// assert_eq!(from.read_to_string().await?, "request");
/// to.write_all("answer").await.0?;
/// to.shutdown().await?;
/// assert_eq!(reader.read_to_string().await?, "answer");
/// sender.await??;
/// # Ok::<_, std::io::Error>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
pub fn split<T: Clone>(stream: T) -> (ReadHalf<T>, WriteHalf<T>) {
    let pair = Arc::new(());
    let reader = ReadHalf { stream: stream.clone(), pair: Arc::clone(&pair) };
    (reader, WriteHalf { stream, pair })
}

/// The half that reads: [`split`].
pub struct ReadHalf<T> {
    stream: T,
    pair: Arc<()>,
}

impl<T> ReadHalf<T> {
    /// The stream, to be asked.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// The stream: a clone beside that of the other half.
    pub fn into_inner(self) -> T {
        self.stream
    }

    /// The stream that was split.
    ///
    /// # Errors
    ///
    /// Both come back if they are not halves of the same split.
    ///
    /// ```
    /// use spargio::io::split;
    /// use spargio::net::UnixStream;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let (near, far) = UnixStream::pair()?;
    /// let ((near_reader, near_writer), (far_reader, far_writer)) = (split(near), split(far));
    /// let error = near_reader.reunite(far_writer).unwrap_err();
    /// assert!(error.0.reunite(near_writer).is_ok());
    /// assert!(far_reader.reunite(error.1).is_ok());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn reunite(self, other: WriteHalf<T>) -> Result<T, ReuniteError<T>> {
        if Arc::ptr_eq(&self.pair, &other.pair) {
            Ok(other.stream)
        } else {
            Err(ReuniteError(self, other))
        }
    }
}

impl<T: AsyncRead> AsyncRead for ReadHalf<T> {
    fn read<B: IoBufMut>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.stream.read(buf)
    }

    fn read_vectored<B: IoBufMut>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        self.stream.read_vectored(bufs)
    }
}

impl<T: futures_io::AsyncRead + Unpin> futures_io::AsyncRead for ReadHalf<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [io::IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read_vectored(cx, bufs)
    }
}

impl<T: fmt::Debug> fmt::Debug for ReadHalf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHalf").field("stream", &self.stream).finish()
    }
}

/// The half that writes: [`split`].
pub struct WriteHalf<T> {
    stream: T,
    pair: Arc<()>,
}

impl<T> WriteHalf<T> {
    /// The stream, to be asked.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// The stream: a clone beside that of the other half.
    pub fn into_inner(self) -> T {
        self.stream
    }
}

impl<T: AsyncWrite> AsyncWrite for WriteHalf<T> {
    fn write<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.stream.write(buf)
    }

    fn write_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        self.stream.write_vectored(bufs)
    }

    fn write_all<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<(), B>> + Send {
        self.stream.write_all(buf)
    }

    fn write_all_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<(), Vec<B>>> + Send {
        self.stream.write_all_vectored(bufs)
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.stream.flush()
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.stream.shutdown()
    }
}

impl<T: futures_io::AsyncWrite + Unpin> futures_io::AsyncWrite for WriteHalf<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

impl<T: fmt::Debug> fmt::Debug for WriteHalf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteHalf").field("stream", &self.stream).finish()
    }
}

/// Two halves that are not of the same split.
pub struct ReuniteError<T>(
    /// The half that reads.
    pub ReadHalf<T>,
    /// The half that writes.
    pub WriteHalf<T>,
);

impl<T> fmt::Debug for ReuniteError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for ReuniteError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are not of the same split")
    }
}

impl<T> std::error::Error for ReuniteError<T> {}
