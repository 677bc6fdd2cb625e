//! What is read and written at the same time.

use std::future::Future;
use std::io;

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::{AsyncRead, AsyncWrite};

/// Something with two directions, which can be used at the same time: what
/// [`copy_bidirectional`](super::copy_bidirectional) takes.
///
/// Streams of [`net`](crate::net) are, and so is a [`Join`] of any reader and any writer.
pub trait Duplex: Send {
    /// The two directions, as long as this is borrowed.
    ///
    /// ```
    /// use spargio::io::{AsyncReadExt, AsyncWrite, Duplex, join};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut both = join(&b"what is read"[..], Vec::new());
    /// let (mut reader, mut writer) = both.halves();
    /// let read = reader.read_to_string().await?;
    /// writer.write_all(read).await.0?;
    /// # drop((reader, writer));
    /// assert_eq!(both.into_parts(), (&b""[..], b"what is read".to_vec()));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn halves(&mut self) -> (impl AsyncRead, impl AsyncWrite);
}

impl<T: Duplex + ?Sized> Duplex for &mut T {
    fn halves(&mut self) -> (impl AsyncRead, impl AsyncWrite) {
        (**self).halves()
    }
}

impl<T: Duplex + ?Sized> Duplex for Box<T> {
    fn halves(&mut self) -> (impl AsyncRead, impl AsyncWrite) {
        (**self).halves()
    }
}

/// A reader and a writer as one thing: [`join`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join<R, W> {
    reader: R,
    writer: W,
}

/// Makes one thing, which reads from the one and writes to the other: standard input and output,
/// two pipes, the halves of a stream with a buffer around each.
///
/// ```
/// use spargio::io::{AsyncReadExt, AsyncWrite, join};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut both = join(&b"what is read"[..], Vec::new());
/// assert_eq!(both.read_to_string().await?, "what is read");
/// both.write_all("what is written").await.0?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub fn join<R, W>(reader: R, writer: W) -> Join<R, W> {
    Join { reader, writer }
}

impl<R, W> Join<R, W> {
    /// The two, to be asked.
    pub fn get_ref(&self) -> (&R, &W) {
        (&self.reader, &self.writer)
    }

    /// The two.
    pub fn into_parts(self) -> (R, W) {
        (self.reader, self.writer)
    }
}

impl<R: AsyncRead, W: AsyncWrite> Duplex for Join<R, W> {
    fn halves(&mut self) -> (impl AsyncRead, impl AsyncWrite) {
        (&mut self.reader, &mut self.writer)
    }
}

impl<R: AsyncRead, W: Send> AsyncRead for Join<R, W> {
    fn read<B: IoBufMut>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.reader.read(buf)
    }

    fn read_vectored<B: IoBufMut>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        self.reader.read_vectored(bufs)
    }
}

impl<R: Send, W: AsyncWrite> AsyncWrite for Join<R, W> {
    fn write<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        self.writer.write(buf)
    }

    fn write_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        self.writer.write_vectored(bufs)
    }

    fn write_all<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<(), B>> + Send {
        self.writer.write_all(buf)
    }

    fn write_all_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<(), Vec<B>>> + Send {
        self.writer.write_all_vectored(bufs)
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.writer.flush()
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.writer.shutdown()
    }
}
