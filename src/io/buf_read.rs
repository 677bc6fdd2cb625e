//! Reading with a buffer that one can look into: delimiters and lines.

use std::future::Future;
use std::io;

use crate::io::read_ext::text;
use crate::io::{AsyncRead, Lines};

/// A reader with a buffer, which shows what has come before it is taken.
///
/// What is looked for is looked for in the buffer, which grows until it is there, and taken out as
/// a whole. So no future of this trait or of [`AsyncBufReadExt`] loses a byte when it is dropped.
pub trait AsyncBufRead: AsyncRead {
    /// The bytes that have come and that nobody has taken.
    fn buffer(&self) -> &[u8];

    /// Reads once more, behind what is in the [`buffer`](Self::buffer), which grows if it is full,
    /// and says how many bytes that brought: 0 is the end.
    ///
    /// # Errors
    ///
    /// As [`AsyncRead::read`]. The buffer is then as before.
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped.
    fn fill_more(&mut self) -> impl Future<Output = io::Result<usize>> + Send;

    /// Takes the first `count` bytes out of the buffer.
    ///
    /// # Panics
    ///
    /// If the buffer has fewer.
    fn consume(&mut self, count: usize);
}

impl<R: AsyncBufRead + ?Sized> AsyncBufRead for &mut R {
    fn buffer(&self) -> &[u8] {
        (**self).buffer()
    }

    fn fill_more(&mut self) -> impl Future<Output = io::Result<usize>> + Send {
        (**self).fill_more()
    }

    fn consume(&mut self, count: usize) {
        (**self).consume(count);
    }
}

impl<R: AsyncBufRead + ?Sized> AsyncBufRead for Box<R> {
    fn buffer(&self) -> &[u8] {
        (**self).buffer()
    }

    fn fill_more(&mut self) -> impl Future<Output = io::Result<usize>> + Send {
        (**self).fill_more()
    }

    fn consume(&mut self, count: usize) {
        (**self).consume(count);
    }
}

/// What every [`AsyncBufRead`] can do beside.
pub trait AsyncBufReadExt: AsyncBufRead {
    /// The bytes that have come, at least one: waits if there is none. Empty is the end.
    /// [`consume`](AsyncBufRead::consume) takes them.
    ///
    /// # Errors
    ///
    /// As [`AsyncRead::read`].
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut reader = BufReader::with_capacity(4, &b"some bytes"[..]);
    /// assert_eq!(reader.fill_buf().await?, b"some");
    /// reader.consume(3);
    /// assert_eq!(reader.fill_buf().await?, b"e");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn fill_buf(&mut self) -> impl Future<Output = io::Result<&[u8]>> + Send {
        async move {
            while self.buffer().is_empty() && fill(self).await? > 0 {}
            Ok(Self::buffer(self))
        }
    }

    /// Appends all bytes up to and with the delimiter, or up to the end, and says how many they
    /// were: 0 is the end.
    ///
    /// There is no limit but memory: of what others send, [`take`](super::AsyncReadExt::take) as
    /// much as there may be.
    ///
    /// # Errors
    ///
    /// As [`AsyncRead::read`]. Nothing is appended then, and nothing lost: the next call goes on.
    ///
    /// # Cancel safety
    ///
    /// As with an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::AsyncBufReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let (mut fields, mut field) = (&b"a,bc"[..], Vec::new());
    /// assert_eq!(fields.read_until(b',', &mut field).await?, 2);
    /// assert_eq!(fields.read_until(b',', &mut field).await?, 2);
    /// assert_eq!((fields.read_until(b',', &mut field).await?, &field[..]), (0, &b"a,bc"[..]));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn read_until(
        &mut self,
        delimiter: u8,
        to: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<usize>> + Send {
        async move {
            let count = find(self, delimiter, usize::MAX).await?;
            to.extend_from_slice(&self.buffer()[..count]);
            self.consume(count);
            Ok(count)
        }
    }

    /// Appends a line with its end (`\n`), or what is left of the last one, and says how many bytes
    /// it has: 0 is the end.
    ///
    /// There is no limit but memory, see [`read_until`](Self::read_until).
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if the line is no UTF-8; it is then taken, and
    /// nothing appended. Else as [`read_until`](Self::read_until).
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::AsyncBufReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let (mut text, mut line) = (&b"one\ntwo"[..], String::new());
    /// assert_eq!(text.read_line(&mut line).await?, 4);
    /// assert_eq!(line, "one\n");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn read_line(&mut self, to: &mut String) -> impl Future<Output = io::Result<usize>> + Send {
        async move {
            let count = find(self, b'\n', usize::MAX).await?;
            let line = self.buffer()[..count].to_vec();
            self.consume(count);
            to.push_str(&text(line)?);
            Ok(count)
        }
    }

    /// The lines, one after the other, without their ends.
    ///
    /// ```
    /// use spargio::io::AsyncBufReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut lines = (&b"one\r\ntwo"[..]).lines();
    /// assert_eq!(lines.next_line().await?.as_deref(), Some("one"));
    /// assert_eq!(lines.next_line().await?.as_deref(), Some("two"));
    /// assert_eq!(lines.next_line().await?, None);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn lines(self) -> Lines<Self>
    where
        Self: Sized,
    {
        Lines::new(self)
    }
}

impl<R: AsyncBufRead + ?Sized> AsyncBufReadExt for R {}

/// Reads more, also if it is interrupted.
async fn fill<R: AsyncBufRead + ?Sized>(reader: &mut R) -> io::Result<usize> {
    loop {
        match reader.fill_more().await {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Reads until the delimiter is in the buffer, and says where it ends; or, when it does not come,
/// how many bytes there are. Returns as soon as there are more than `limit` without it.
pub(super) async fn find<R: AsyncBufRead + ?Sized>(
    reader: &mut R,
    delimiter: u8,
    limit: usize,
) -> io::Result<usize> {
    let mut seen = 0;
    loop {
        let bytes = reader.buffer();
        if let Some(place) = bytes[seen..].iter().position(|byte| *byte == delimiter) {
            return Ok(seen + place + 1);
        }
        seen = bytes.len();
        if seen > limit || fill(reader).await? == 0 {
            return Ok(seen);
        }
    }
}
