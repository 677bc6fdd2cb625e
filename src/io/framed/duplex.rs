//! Frames both ways.

use std::io;

use crate::io::framed::{Decoder, Encoder, FramedRead, FramedWrite, LengthDelimitedCodec};
use crate::io::{AsyncRead, AsyncWrite};

/// Frames from and to a stream whose clones are one stream, such as those of [`net`](crate::net).
/// For a reader and a writer that are two things, make a [`FramedRead`] and a [`FramedWrite`].
///
/// # Examples
///
/// ```
/// use spargio::io::framed::{Framed, LengthDelimitedCodec};
/// use spargio::net::UnixStream;
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let (near, far) = UnixStream::pair()?;
/// let mut near = Framed::new(near, LengthDelimitedCodec::new());
/// let mut far = Framed::new(far, LengthDelimitedCodec::new());
/// near.send("request").await?;
/// let request = far.next().await?.expect("a frame");
/// far.send(request).await?;
/// assert_eq!(near.next().await?.as_deref(), Some(&b"request"[..]));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Framed<T, C> {
    reader: FramedRead<T, C>,
    writer: FramedWrite<T, C>,
}

impl<T, C> Framed<T, C>
where
    T: AsyncRead + AsyncWrite + Clone + 'static,
    C: Decoder + Clone,
{
    /// Frames of this codec.
    pub fn new(stream: T, codec: C) -> Self {
        let reader = FramedRead::new(stream.clone(), codec.clone());
        Self { reader, writer: FramedWrite::new(stream, codec) }
    }

    /// The next frame; `None` at a clean end.
    ///
    /// # Errors
    ///
    /// As [`FramedRead::next`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn next(&mut self) -> io::Result<Option<C::Frame>> {
        self.reader.next().await
    }

    /// Takes a frame, and writes all that was taken.
    ///
    /// # Errors
    ///
    /// As [`FramedWrite::send`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn send<F>(&mut self, frame: F) -> io::Result<()>
    where
        C: Encoder<F>,
    {
        self.writer.send(frame).await
    }

    /// Takes a frame, and writes only when the buffer is full: see [`FramedWrite::feed`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn feed<F>(&mut self, frame: F) -> io::Result<()>
    where
        C: Encoder<F>,
    {
        self.writer.feed(frame).await
    }

    /// Writes all that was taken.
    ///
    /// # Errors
    ///
    /// As [`FramedWrite::flush`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().await
    }

    /// Writes all that was taken, and says to the peer that no more comes. Reading goes on.
    ///
    /// # Errors
    ///
    /// As [`FramedWrite::shutdown`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.writer.shutdown().await
    }

    /// The stream, to be asked.
    pub fn get_ref(&self) -> &T {
        self.reader.get_ref()
    }

    /// Both directions by themselves, for two tasks. Nothing that has come or was taken is lost.
    pub fn into_split(self) -> (FramedRead<T, C>, FramedWrite<T, C>) {
        (self.reader, self.writer)
    }
}

/// Frames of any bytes behind their lengths, from a reader and to a writer.
///
/// The short form of [`LengthDelimitedCodec`], with lengths of four bytes, the most significant
/// first, and frames of up to 8 MiB.
///
/// # Examples
///
/// ```
/// use spargio::io::framed::LengthDelimited;
/// use spargio::io::split;
/// use spargio::net::UnixStream;
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let (near, far) = UnixStream::pair()?;
/// let (reader, writer) = split(near);
/// let mut near = LengthDelimited::new(reader, writer);
/// near.write_frame(b"frame".to_vec()).await?;
/// let (reader, writer) = split(far);
/// let mut far = LengthDelimited::new(reader, writer);
/// assert_eq!(far.read_frame().await?, b"frame");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct LengthDelimited<R, W> {
    reader: FramedRead<R, LengthDelimitedCodec>,
    writer: FramedWrite<W, LengthDelimitedCodec>,
}

impl<R: AsyncRead, W: AsyncWrite + 'static> LengthDelimited<R, W> {
    /// Frames with lengths of four bytes, the most significant first.
    pub fn new(reader: R, writer: W) -> Self {
        Self::with_codec(reader, writer, LengthDelimitedCodec::new())
    }

    /// Frames as the codec has them.
    pub fn with_codec(reader: R, writer: W, codec: LengthDelimitedCodec) -> Self {
        let reader = FramedRead::new(reader, codec);
        Self { reader, writer: FramedWrite::new(writer, codec) }
    }

    /// Writes a frame, and all before it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a frame that is longer than the limit;
    /// else as [`FramedWrite::send`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn write_frame(&mut self, frame: impl AsRef<[u8]>) -> io::Result<()> {
        self.writer.send(frame).await
    }

    /// Reads a frame, where one must come.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) at the end, whether clean or not; else as
    /// [`FramedRead::next`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn read_frame(&mut self) -> io::Result<Vec<u8>> {
        let end = || io::Error::new(io::ErrorKind::UnexpectedEof, "the end came between frames");
        self.next_frame().await?.ok_or_else(end)
    }

    /// Reads a frame; `None` at a clean end.
    ///
    /// # Errors
    ///
    /// As [`FramedRead::next`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn next_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.reader.next().await
    }

    /// Both directions by themselves.
    pub fn into_split(
        self,
    ) -> (FramedRead<R, LengthDelimitedCodec>, FramedWrite<W, LengthDelimitedCodec>) {
        (self.reader, self.writer)
    }
}
