//! A reader with a buffer.

use std::fmt;
use std::io;

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::bytes::fill;
use crate::io::{AsyncBufRead, AsyncRead, AsyncWrite};

/// The room of a buffer unless something else is said.
pub(super) const CAPACITY: usize = 8 * 1024;
/// A buffer that grew beyond this, and beyond its capacity, is given back when it is empty.
pub(super) const KEPT: usize = 64 * 1024;

/// Reads in larger pieces than are asked for, and shows what has come before it is taken: see
/// [`AsyncBufRead`] and [`AsyncBufReadExt`](super::AsyncBufReadExt).
///
/// What has come and was not taken never leaves this value: a read of the reader behind it goes to
/// memory of its own. So dropped futures lose nothing. Writes go through to what is behind.
///
/// # Examples
///
/// ```
/// use spargio::io::{AsyncBufReadExt, BufReader};
/// use spargio::net::{TcpListener, TcpStream};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let client = TcpStream::connect(listener.local_addr()?).await?;
/// # let (server, _) = listener.accept().await?;
/// client.write_all("HELO there\r\nQUIT\r\n").await.0?;
/// let mut lines = BufReader::new(server).lines();
/// assert_eq!(lines.next_line().await?.as_deref(), Some("HELO there"));
/// assert_eq!(lines.next_line().await?.as_deref(), Some("QUIT"));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct BufReader<R> {
    reader: R,
    /// What has come; the first `taken` bytes are taken.
    bytes: Vec<u8>,
    taken: usize,
    /// What the next read goes to; without room after a read that was dropped.
    spare: Vec<u8>,
    capacity: usize,
}

impl<R: AsyncRead> BufReader<R> {
    /// With a buffer of 8 KiB.
    pub fn new(reader: R) -> Self {
        Self::with_capacity(CAPACITY, reader)
    }

    /// With a buffer of so many bytes, and of 1 byte for 0. It grows when somebody looks for
    /// something that is longer.
    pub fn with_capacity(capacity: usize, reader: R) -> Self {
        let capacity = capacity.max(1);
        Self { reader, bytes: Vec::new(), taken: 0, spare: Vec::new(), capacity }
    }

    /// How many bytes are read at once, at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The reader behind, to be asked.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// The reader behind, to be used. What is read from it comes from behind the buffer's bytes.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The reader behind. Bytes that are in the [`buffer`](AsyncBufRead::buffer) are dropped;
    /// [`into_parts`](Self::into_parts) gives them too.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The reader behind, and the bytes that have come and that nobody has taken.
    ///
    /// ```
    /// use spargio::io::{AsyncBufReadExt, BufReader};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut reader = BufReader::with_capacity(6, &b"line\nrest of it"[..]);
    /// reader.read_line(&mut String::new()).await?;
    /// assert_eq!(reader.into_parts(), (&b"est of it"[..], b"r".to_vec()));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn into_parts(mut self) -> (R, Vec<u8>) {
        self.bytes.drain(..self.taken);
        (self.reader, self.bytes)
    }

    /// Makes room, so that the next read may bring so many bytes.
    pub(super) fn expect(&mut self, count: usize) {
        if count > self.spare.capacity() {
            // Nothing is in it between two reads.
            self.spare = Vec::with_capacity(count);
        }
    }
}

impl<R> BufReader<R> {
    /// Gives memory back that a long line or frame needed.
    fn give_back(&mut self) {
        let most = KEPT.max(self.capacity);
        for buffer in [&mut self.bytes, &mut self.spare] {
            if buffer.is_empty() && buffer.capacity() > most {
                *buffer = Vec::new();
            }
        }
    }
}

impl<R: AsyncRead> AsyncRead for BufReader<R> {
    /// As many bytes as are in the buffer; if there is none, a read of what is behind, past the
    /// buffer if there is room for as much.
    async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        if self.buffer().is_empty() && buf.bytes_total() > 0 {
            if buf.bytes_total() >= self.capacity {
                return self.reader.read(buf).await;
            }
            if let Err(error) = self.fill_more().await {
                return (Err(error), buf);
            }
        }
        let count = fill(&mut buf, self.buffer());
        self.consume(count);
        (Ok(count), buf)
    }
}

impl<R: AsyncRead> AsyncBufRead for BufReader<R> {
    fn buffer(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        self.expect(self.capacity);
        let room = std::mem::take(&mut self.spare);
        let most = room.capacity();
        let (read, room) = self.reader.read(room.slice(..most)).await;
        self.spare = room.into_inner();
        if read.is_err() {
            self.spare.clear();
        }
        let count = read?;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            std::mem::swap(&mut self.bytes, &mut self.spare);
        } else {
            self.bytes.drain(..self.taken);
            self.bytes.append(&mut self.spare);
        }
        self.taken = 0;
        self.give_back();
        Ok(count)
    }

    fn consume(&mut self, count: usize) {
        let has = self.buffer().len();
        assert!(count <= has, "{count} bytes are taken from a buffer of {has}");
        self.taken += count;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
            self.give_back();
        }
    }
}

impl<R: AsyncRead + AsyncWrite> AsyncWrite for BufReader<R> {
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        self.reader.write(buf).await
    }

    async fn write_all<B: IoBuf>(&mut self, buf: B) -> BufResult<(), B> {
        self.reader.write_all(buf).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.reader.flush().await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.reader.shutdown().await
    }
}

impl<R: fmt::Debug> fmt::Debug for BufReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufReader")
            .field("reader", &self.reader)
            .field("buffered", &(self.bytes.len() - self.taken))
            .field("capacity", &self.capacity)
            .finish()
    }
}

#[cfg(test)]
mod tests;
