//! Two readers as one.

use std::io;

use crate::buf::{BufResult, IoBufMut};
use crate::io::{AsyncBufRead, AsyncRead};

/// All of one reader, then all of another: [`AsyncReadExt::chain`](super::AsyncReadExt::chain).
#[derive(Debug)]
pub struct Chain<A, B> {
    first: A,
    second: B,
    /// The first has said that it is at its end.
    is_second: bool,
    /// Where the end of the first and the start of the second are looked at as one piece.
    seam: Vec<u8>,
}

impl<A, B> Chain<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { first, second, is_second: false, seam: Vec::new() }
    }

    /// The readers, to be asked.
    pub fn get_ref(&self) -> (&A, &B) {
        (&self.first, &self.second)
    }

    /// The readers. Bytes of both that were looked at together and not taken come along: they are
    /// before those of the second reader.
    pub fn into_parts(self) -> (A, B, Vec<u8>) {
        (self.first, self.second, self.seam)
    }
}

impl<A: AsyncRead, B: AsyncRead> AsyncRead for Chain<A, B> {
    async fn read<T: IoBufMut>(&mut self, mut buf: T) -> BufResult<usize, T> {
        if !self.seam.is_empty() {
            let count = super::bytes::fill(&mut buf, &self.seam);
            self.seam.drain(..count);
            return (Ok(count), buf);
        }
        if !self.is_second && buf.bytes_total() > 0 {
            match self.first.read(buf).await {
                (Ok(0), same) => buf = same,
                other => return other,
            }
            self.is_second = true;
        }
        self.second.read(buf).await
    }
}

impl<A: AsyncBufRead, B: AsyncBufRead> AsyncBufRead for Chain<A, B> {
    fn buffer(&self) -> &[u8] {
        if !self.seam.is_empty() {
            &self.seam
        } else if self.is_second {
            self.second.buffer()
        } else {
            self.first.buffer()
        }
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        if !self.is_second {
            let count = self.first.fill_more().await?;
            if count > 0 {
                return Ok(count);
            }
            let left = self.first.buffer();
            self.seam.extend_from_slice(left);
            let count = left.len();
            self.first.consume(count);
            self.is_second = true;
            if !self.second.buffer().is_empty() {
                return Ok(self.join());
            }
        }
        let count = self.second.fill_more().await?;
        Ok(if self.seam.is_empty() { count } else { self.join() })
    }

    fn consume(&mut self, count: usize) {
        if !self.seam.is_empty() {
            self.seam.drain(..count);
        } else if self.is_second {
            self.second.consume(count);
        } else {
            self.first.consume(count);
        }
    }
}

impl<A, B: AsyncBufRead> Chain<A, B> {
    /// Shows what has come of the second reader behind the seam, if there is one.
    fn join(&mut self) -> usize {
        let bytes = self.second.buffer();
        let count = bytes.len();
        if !self.seam.is_empty() {
            self.seam.extend_from_slice(bytes);
            self.second.consume(count);
        }
        count
    }
}
