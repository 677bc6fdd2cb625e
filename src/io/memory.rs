//! Memory as a reader and a writer, and the two that are nothing: no bytes, and nowhere to go.

use std::io::{self, Cursor};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::bytes::fill;
use crate::io::{AsyncBufRead, AsyncRead, AsyncWrite};

/// Reads what is in the slice, which becomes the rest of it.
impl AsyncRead for &[u8] {
    async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        let count = fill(&mut buf, self);
        *self = &self[count..];
        (Ok(count), buf)
    }
}

impl AsyncBufRead for &[u8] {
    fn buffer(&self) -> &[u8] {
        self
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        Ok(0)
    }

    fn consume(&mut self, count: usize) {
        *self = &self[count..];
    }
}

/// Reads from the position on, and moves it.
impl<T: AsRef<[u8]> + Send> AsyncRead for Cursor<T> {
    async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        let count = fill(&mut buf, AsyncBufRead::buffer(self));
        AsyncBufRead::consume(self, count);
        (Ok(count), buf)
    }
}

impl<T: AsRef<[u8]> + Send> AsyncBufRead for Cursor<T> {
    fn buffer(&self) -> &[u8] {
        let bytes = self.get_ref().as_ref();
        let from = usize::try_from(self.position()).unwrap_or(usize::MAX);
        bytes.get(from..).unwrap_or_default()
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        Ok(0)
    }

    fn consume(&mut self, count: usize) {
        let has = AsyncBufRead::buffer(self).len();
        assert!(count <= has, "{count} bytes are taken from a buffer of {has}");
        self.set_position(self.position() + count as u64);
    }
}

/// Appends.
impl AsyncWrite for Vec<u8> {
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        self.extend_from_slice(buf.as_init());
        (Ok(buf.bytes_init()), buf)
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes from the position on, over what is there and beyond it, and moves it.
impl AsyncWrite for Cursor<Vec<u8>> {
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        (io::Write::write(self, buf.as_init()), buf)
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that is at its end: [`empty`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Empty;

/// A reader without bytes.
///
/// ```
/// use spargio::io::AsyncReadExt;
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// assert_eq!(spargio::io::empty().read_to_string().await?, "");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[must_use]
pub const fn empty() -> Empty {
    Empty
}

impl AsyncRead for Empty {
    async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        (Ok(fill(&mut buf, &[])), buf)
    }
}

impl AsyncBufRead for Empty {
    fn buffer(&self) -> &[u8] {
        &[]
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        Ok(0)
    }

    fn consume(&mut self, count: usize) {
        assert!(count == 0, "{count} bytes are taken from a buffer of 0");
    }
}

/// A writer that takes everything and keeps nothing: [`sink`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Sink;

/// A writer to nowhere.
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let count = spargio::io::copy(&mut &b"to be read"[..], &mut spargio::io::sink()).await?;
/// assert_eq!(count, 10);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[must_use]
pub const fn sink() -> Sink {
    Sink
}

impl AsyncWrite for Sink {
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        (Ok(buf.bytes_init()), buf)
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        Ok(())
    }
}
