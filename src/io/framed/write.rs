//! Frames to a writer.

use std::fmt;
use std::io;

use crate::io::framed::Encoder;
use crate::io::{AsyncWrite, BufWriter, IntoInnerError};

/// Frames to a writer, made by an [`Encoder`].
///
/// # Dropped futures
///
/// A frame is either taken as a whole or not at all. [`send`](Self::send) and [`feed`](Self::feed)
/// take it when their future is polled for the first time, and it is then written once, whatever
/// becomes of the future: by the next call that writes, if this one is dropped.
///
/// # Examples
///
/// ```
/// use spargio::io::framed::{FramedWrite, LengthDelimitedCodec};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut frames = FramedWrite::new(Vec::new(), LengthDelimitedCodec::new());
/// frames.feed("first").await?;
/// frames.feed("second").await?;
/// assert_eq!(frames.into_inner().await?, b"\0\0\0\x05first\0\0\0\x06second");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct FramedWrite<W, E> {
    writer: BufWriter<W>,
    encoder: E,
}

impl<W: AsyncWrite + 'static, E: Send> FramedWrite<W, E> {
    /// With a buffer of 8 KiB; frames may be longer.
    pub fn new(writer: W, encoder: E) -> Self {
        Self { writer: BufWriter::new(writer), encoder }
    }

    /// With the buffer of this writer, and what is in it.
    pub fn from_writer(writer: BufWriter<W>, encoder: E) -> Self {
        Self { writer, encoder }
    }

    /// Takes a frame without waiting, however much is buffered already: for those who flush by
    /// themselves.
    ///
    /// # Errors
    ///
    /// Those of the encoder; nothing is then taken.
    pub fn push<F>(&mut self, frame: F) -> io::Result<()>
    where
        E: Encoder<F>,
    {
        self.writer.push(|to| self.encoder.encode(frame, to))
    }

    /// Takes a frame, and writes what is buffered only if that is as much as the buffer's capacity.
    /// For many frames in a row, with a [`flush`](Self::flush) at the end.
    ///
    /// # Errors
    ///
    /// Those of the encoder, with which the frame is not taken; and those of the writer, with which
    /// it is.
    ///
    /// # Cancel safety
    ///
    /// The frame is taken by the first poll; dropping the future afterwards changes nothing.
    pub async fn feed<F>(&mut self, frame: F) -> io::Result<()>
    where
        E: Encoder<F>,
    {
        self.push(frame)?;
        if self.writer.buffer().len() >= self.writer.capacity() {
            self.writer.write_out().await?;
        }
        Ok(())
    }

    /// Takes a frame, and writes all that was taken.
    ///
    /// # Errors
    ///
    /// Those of the encoder, with which the frame is not taken; and those of the writer, with which
    /// it is.
    ///
    /// # Cancel safety
    ///
    /// As for [`feed`](Self::feed).
    pub async fn send<F>(&mut self, frame: F) -> io::Result<()>
    where
        E: Encoder<F>,
    {
        self.push(frame)?;
        self.flush().await
    }

    /// Writes all that was taken.
    ///
    /// # Errors
    ///
    /// Those of the writer. What was not written is kept, and the next call goes on with it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().await
    }

    /// Writes all that was taken, and says to the other side that no more comes.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.writer.shutdown().await
    }

    /// How many bytes of frames were taken that are not known to be written.
    pub fn unwritten(&self) -> usize {
        self.writer.unwritten()
    }

    /// The encoder, to be asked.
    pub fn encoder(&self) -> &E {
        &self.encoder
    }

    /// The encoder, to be told.
    pub fn encoder_mut(&mut self) -> &mut E {
        &mut self.encoder
    }

    /// The writer behind, to be asked; `None` while a write is in flight, which a dropped future
    /// leaves.
    pub fn get_ref(&self) -> Option<&W> {
        self.writer.get_ref()
    }

    /// Writes all that was taken, and gives the writer behind.
    ///
    /// # Errors
    ///
    /// As [`BufWriter::into_inner`].
    pub async fn into_inner(self) -> Result<W, IntoInnerError<BufWriter<W>>> {
        self.writer.into_inner().await
    }

    /// The writer, with what it has buffered.
    pub fn into_writer(self) -> BufWriter<W> {
        self.writer
    }
}

impl<W: fmt::Debug, E: fmt::Debug> fmt::Debug for FramedWrite<W, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedWrite")
            .field("writer", &self.writer)
            .field("encoder", &self.encoder)
            .finish()
    }
}
