//! The lines of a reader.

use std::io;

use crate::io::AsyncBufRead;
use crate::io::buf_read::find;
use crate::io::read_ext::text;

/// Bytes a line may have unless something else is said.
pub(super) const MAX_LENGTH: usize = 1024 * 1024;

/// The lines of a reader: [`AsyncBufReadExt::lines`](super::AsyncBufReadExt::lines).
///
/// A line of others may be as long as they like, so there is a limit: 1 MiB, or what
/// [`max_length`](Self::max_length) says.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    max_length: usize,
}

impl<R: AsyncBufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, max_length: MAX_LENGTH }
    }

    /// Lines may have so many bytes, their end not counted.
    #[must_use]
    pub fn max_length(self, bytes: usize) -> Self {
        Self { max_length: bytes, ..self }
    }

    /// The next line without its end (`\n` or `\r\n`); `None` at the end.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if the line is longer than it may be, which
    /// stays so: the line is not taken; or if it is no UTF-8: then it is taken, and the next call
    /// returns the line behind it. Else as [`AsyncRead::read`](super::AsyncRead::read), after which
    /// the next call goes on.
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped; the next call goes on with the same line.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::AsyncBufReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut lines = (&b"short\nlonger than that"[..]).lines().max_length(5);
    /// assert_eq!(lines.next_line().await?.as_deref(), Some("short"));
    /// let error = lines.next_line().await.unwrap_err();
    /// assert_eq!(error.to_string(), "a line has more than 5 bytes, the limit");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        // The end of a line comes on top.
        let most = self.max_length.saturating_add(2);
        let count = find(&mut self.reader, b'\n', most).await?;
        let whole = &self.reader.buffer()[..count];
        let line = without_end(whole);
        if line.len() > self.max_length {
            return Err(too_long(self.max_length));
        }
        if whole.is_empty() {
            return Ok(None);
        }
        let line = line.to_vec();
        self.reader.consume(count);
        text(line).map(Some)
    }

    /// The reader, to be asked.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// The reader, to be used; the next line begins where it then is.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The reader. What has come of the next line is in its buffer.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

/// The line without `\n` or `\r\n`.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
        line => line,
    }
}

pub(super) fn too_long(limit: usize) -> io::Error {
    let text = format!("a line has more than {limit} bytes, the limit");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
