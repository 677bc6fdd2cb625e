//! The frames of a reader.

use std::io;

use crate::io::framed::{Decoded, Decoder};
use crate::io::{AsyncBufRead, AsyncRead, BufReader};

/// More room than this is not made at once for a frame of which little has come.
const MOST_AHEAD: usize = 256 * 1024;

/// The frames of a reader, found by a [`Decoder`].
///
/// # Examples
///
/// ```
/// use spargio::io::framed::{FramedRead, LengthDelimitedCodec};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let bytes = b"\0\0\0\x05first\0\0\0\x06second";
/// let mut frames = FramedRead::new(&bytes[..], LengthDelimitedCodec::new());
/// assert_eq!(frames.next().await?.as_deref(), Some(&b"first"[..]));
/// assert_eq!(frames.next().await?.as_deref(), Some(&b"second"[..]));
/// assert_eq!(frames.next().await?, None);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct FramedRead<R, D> {
    reader: BufReader<R>,
    decoder: D,
}

impl<R: AsyncRead, D: Decoder> FramedRead<R, D> {
    /// With a buffer of 8 KiB, which grows for longer frames.
    pub fn new(reader: R, decoder: D) -> Self {
        Self { reader: BufReader::new(reader), decoder }
    }

    /// With the buffer of this reader, and what has come into it.
    pub fn from_reader(reader: BufReader<R>, decoder: D) -> Self {
        Self { reader, decoder }
    }

    /// The next frame; `None` at a clean end.
    ///
    /// # Errors
    ///
    /// - Those of the decoder: [`InvalidData`](io::ErrorKind::InvalidData) for what is no frame, or
    ///   too long a one. They stay: no byte is taken, and the next call finds the same.
    /// - [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) for an end in the middle of a frame.
    /// - Those of the reader, after which the next call goes on.
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped: what has come of the frame stays here.
    ///
    /// # Panics
    ///
    /// If the decoder makes a frame of no bytes, or of more than it was shown.
    pub async fn next(&mut self) -> io::Result<Option<D::Frame>> {
        loop {
            let bytes = self.reader.buffer();
            // Without bytes nobody need be asked.
            let need = if bytes.is_empty() {
                1
            } else {
                match self.decoder.decode(bytes)? {
                    Decoded::Frame { frame, used } => {
                        assert!(used > 0, "a decoder makes a frame of no bytes");
                        self.reader.consume(used);
                        return Ok(Some(frame));
                    }
                    Decoded::Incomplete { need } => need,
                }
            };
            let has = bytes.len();
            let most = self.decoder.max_encoded();
            if need.max(has) > most {
                return Err(too_long(need.max(has), most));
            }
            // A peer gets no more memory for the announcement of a long frame than for some of it.
            let missing = need.saturating_sub(has).min(MOST_AHEAD.max(has));
            self.reader.expect(missing);
            match self.reader.fill_more().await {
                Ok(0) => return self.end(),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn end(&mut self) -> io::Result<Option<D::Frame>> {
        let last = self.decoder.decode_end(self.reader.buffer())?;
        Ok(last.map(|(frame, used)| {
            self.reader.consume(used);
            frame
        }))
    }

    /// The bytes that have come of the next frame.
    pub fn buffer(&self) -> &[u8] {
        self.reader.buffer()
    }

    /// The decoder, to be asked.
    pub fn decoder(&self) -> &D {
        &self.decoder
    }

    /// The decoder, to be told.
    pub fn decoder_mut(&mut self) -> &mut D {
        &mut self.decoder
    }

    /// The reader behind, to be asked.
    pub fn get_ref(&self) -> &R {
        self.reader.get_ref()
    }

    /// From now on with another decoder, which begins with the bytes that have come: for protocols
    /// that change what they speak.
    pub fn with_decoder<E: Decoder>(self, decoder: E) -> FramedRead<R, E> {
        FramedRead { reader: self.reader, decoder }
    }

    /// The reader, with the bytes that have come.
    pub fn into_reader(self) -> BufReader<R> {
        self.reader
    }
}

fn too_long(length: usize, limit: usize) -> io::Error {
    let text = format!("{length} bytes are no whole frame yet, where {limit} is the limit");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
