//! Frames that are lines of text.

use std::io;

use crate::io::framed::{Decoded, Decoder, Encoder};
use crate::io::lines::{MAX_LENGTH, too_long, without_end};
use crate::io::read_ext::text;

/// Lines of text. They end with `\n` or `\r\n`, and are written with `\n`; the last needs no end.
///
/// A line has at most 1 MiB, or what [`max_length`](Self::max_length) says.
///
/// # Examples
///
/// ```
/// use spargio::io::framed::{Decoded, Decoder, Encoder, LinesCodec};
///
/// let mut codec = LinesCodec::new().max_length(8);
/// let frame = "one".to_owned();
/// assert_eq!(codec.decode(b"one\r\ntw").unwrap(), Decoded::Frame { frame, used: 5 });
/// assert_eq!(codec.decode(b"tw").unwrap(), Decoded::Incomplete { need: 3 });
/// let error = codec.decode(b"two lines together").unwrap_err();
/// assert_eq!(error.to_string(), "a line has more than 8 bytes, the limit");
///
/// let error = codec.encode("a\nb", &mut Vec::new()).unwrap_err();
/// assert_eq!(error.to_string(), "a line break at byte 1 of a line");
/// ```
#[derive(Clone, Debug)]
pub struct LinesCodec {
    max_length: usize,
    /// How many bytes of the next line have been looked at.
    seen: usize,
}

impl LinesCodec {
    /// Lines of up to 1 MiB.
    pub const fn new() -> Self {
        Self { max_length: MAX_LENGTH, seen: 0 }
    }

    /// Lines may have so many bytes, their end not counted.
    #[must_use]
    pub const fn max_length(self, bytes: usize) -> Self {
        Self { max_length: bytes, ..self }
    }

    fn line(&self, whole: &[u8]) -> io::Result<String> {
        let line = without_end(whole);
        if line.len() > self.max_length {
            return Err(too_long(self.max_length));
        }
        text(line.to_vec())
    }
}

impl Default for LinesCodec {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for LinesCodec {
    type Frame = String;

    fn decode(&mut self, bytes: &[u8]) -> io::Result<Decoded<String>> {
        let seen = self.seen.min(bytes.len());
        if let Some(place) = bytes[seen..].iter().position(|byte| *byte == b'\n') {
            let used = seen + place + 1;
            let frame = self.line(&bytes[..used])?;
            self.seen = 0;
            return Ok(Decoded::Frame { frame, used });
        }
        self.seen = bytes.len();
        // One more may be the first half of the line's end.
        if bytes.len() > self.max_length.saturating_add(1) {
            return Err(too_long(self.max_length));
        }
        Ok(Decoded::Incomplete { need: bytes.len() + 1 })
    }

    fn decode_end(&mut self, bytes: &[u8]) -> io::Result<Option<(String, usize)>> {
        self.seen = 0;
        match bytes.len() {
            0 => Ok(None),
            used => Ok(Some((self.line(bytes)?, used))),
        }
    }

    fn max_encoded(&self) -> usize {
        self.max_length.saturating_add(2)
    }
}

impl<T: AsRef<str>> Encoder<T> for LinesCodec {
    /// # Errors
    ///
    /// `InvalidInput` for a line that is too long, or that has a line break in it.
    fn encode(&mut self, frame: T, to: &mut Vec<u8>) -> io::Result<()> {
        let line = frame.as_ref();
        let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if line.len() > self.max_length {
            let (length, limit) = (line.len(), self.max_length);
            return invalid(format!("a line of {length} bytes, where {limit} is the limit"));
        }
        if let Some(place) = line.find('\n') {
            return invalid(format!("a line break at byte {place} of a line"));
        }
        to.extend_from_slice(line.as_bytes());
        to.push(b'\n');
        Ok(())
    }
}
