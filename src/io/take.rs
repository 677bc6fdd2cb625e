//! The first bytes of a reader.

use std::io;

use crate::buf::{BufResult, IoBufMut};
use crate::io::bytes::fill;
use crate::io::{AsyncBufRead, AsyncRead};

/// The first bytes of a reader, and then an end: [`AsyncReadExt::take`](super::AsyncReadExt::take).
#[derive(Debug)]
pub struct Take<R> {
    reader: R,
    limit: u64,
}

impl<R> Take<R> {
    pub(super) fn new(reader: R, limit: u64) -> Self {
        Self { reader, limit }
    }

    /// How many bytes may come yet.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// From now on so many bytes may come, whatever came before.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// The reader, to be asked.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// The reader, to be used. What is read from it does not count.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The reader, which is behind the bytes that were read.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The limit as far as a buffer can have it.
    fn most(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

impl<R: AsyncRead> AsyncRead for Take<R> {
    async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        let most = self.most().min(buf.bytes_total());
        if most == 0 {
            return (Ok(fill(&mut buf, &[])), buf);
        }
        let (read, buf) = self.reader.read(buf.slice(..most)).await;
        if let Ok(count) = read {
            self.limit -= count as u64;
        }
        (read, buf.into_inner())
    }
}

impl<R: AsyncBufRead> AsyncBufRead for Take<R> {
    fn buffer(&self) -> &[u8] {
        let bytes = self.reader.buffer();
        &bytes[..bytes.len().min(self.most())]
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        let before = self.buffer().len();
        if before as u64 == self.limit {
            return Ok(0);
        }
        self.reader.fill_more().await?;
        Ok(self.buffer().len() - before)
    }

    fn consume(&mut self, count: usize) {
        let has = self.buffer().len();
        assert!(count <= has, "{count} bytes are taken from a buffer of {has}");
        self.reader.consume(count);
        self.limit -= count as u64;
    }
}
