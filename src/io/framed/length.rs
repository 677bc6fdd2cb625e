//! Frames that begin with their length.

use std::io;

use crate::io::framed::{Decoded, Decoder, Encoder, MAX_FRAME};

/// How many bytes a length has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LengthSize {
    /// One: frames of up to 255 bytes.
    U8,
    /// Two.
    U16,
    /// Four.
    U32,
    /// Eight.
    U64,
}

impl LengthSize {
    /// As a number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 => 4,
            Self::U64 => 8,
        }
    }

    /// The largest length that fits.
    const fn largest(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
}

/// Which byte of a length comes first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endian {
    /// The most significant one, as in the protocols of the Internet.
    Big,
    /// The least significant one.
    Little,
}

/// Frames of any bytes, each behind its length: four bytes, the most significant first, unless
/// something else is chosen. The length does not count itself.
///
/// A frame has at most 8 MiB, or what [`max_frame`](Self::max_frame) says, and never more than its
/// length can say. Both sides should agree; each refuses what is longer.
///
/// # Examples
///
/// ```
/// use spargio::io::framed::{Decoded, Decoder, Encoder, Endian};
/// use spargio::io::framed::{LengthDelimitedCodec, LengthSize};
///
/// let mut codec = LengthDelimitedCodec::new()
///     .length_size(LengthSize::U16)
///     .endian(Endian::Little)
///     .max_frame(1000);
/// let mut bytes = Vec::new();
/// codec.encode("four", &mut bytes).unwrap();
/// assert_eq!(bytes, b"\x04\x00four");
/// assert_eq!(codec.decode(&bytes).unwrap(), Decoded::Frame { frame: b"four".to_vec(), used: 6 });
///
/// let error = codec.decode(b"\xFF\xFF").unwrap_err();
/// assert_eq!(error.to_string(), "a frame of 65535 bytes, where 1000 is the limit");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LengthDelimitedCodec {
    size: LengthSize,
    endian: Endian,
    max_frame: usize,
}

impl LengthDelimitedCodec {
    /// Lengths of four bytes, the most significant first; frames of up to 8 MiB.
    pub const fn new() -> Self {
        Self { size: LengthSize::U32, endian: Endian::Big, max_frame: MAX_FRAME }
    }

    /// Lengths have so many bytes.
    #[must_use]
    pub const fn length_size(self, size: LengthSize) -> Self {
        Self { size, ..self }
    }

    /// This byte of a length comes first.
    #[must_use]
    pub const fn endian(self, endian: Endian) -> Self {
        Self { endian, ..self }
    }

    /// Frames may have so many bytes, their length not counted.
    #[must_use]
    pub const fn max_frame(self, bytes: usize) -> Self {
        Self { max_frame: bytes, ..self }
    }

    /// The limit: of the knob, or of what a length can say.
    fn limit(&self) -> u64 {
        self.size.largest().min(self.max_frame as u64)
    }

    fn read_length(&self, prefix: &[u8]) -> u64 {
        let add = |length, byte: &u8| length << 8 | u64::from(*byte);
        match self.endian {
            Endian::Big => prefix.iter().fold(0, add),
            Endian::Little => prefix.iter().rev().fold(0, add),
        }
    }

    /// The length of a frame that may be so long.
    fn checked(&self, length: u64, kind: io::ErrorKind) -> io::Result<usize> {
        let limit = self.limit();
        match usize::try_from(length) {
            Ok(short) if length <= limit => Ok(short),
            _ => {
                let text = format!("a frame of {length} bytes, where {limit} is the limit");
                Err(io::Error::new(kind, text))
            }
        }
    }
}

impl Default for LengthDelimitedCodec {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for LengthDelimitedCodec {
    type Frame = Vec<u8>;

    fn decode(&mut self, bytes: &[u8]) -> io::Result<Decoded<Vec<u8>>> {
        let size = self.size.bytes();
        let Some((prefix, rest)) = bytes.split_at_checked(size) else {
            return Ok(Decoded::Incomplete { need: size });
        };
        let length = self.checked(self.read_length(prefix), io::ErrorKind::InvalidData)?;
        Ok(match rest.get(..length) {
            Some(frame) => Decoded::Frame { frame: frame.to_vec(), used: size + length },
            None => Decoded::Incomplete { need: size.saturating_add(length) },
        })
    }

    fn max_encoded(&self) -> usize {
        self.max_frame.saturating_add(self.size.bytes())
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for LengthDelimitedCodec {
    fn encode(&mut self, frame: T, to: &mut Vec<u8>) -> io::Result<()> {
        let frame = frame.as_ref();
        let length = frame.len() as u64;
        self.checked(length, io::ErrorKind::InvalidInput)?;
        let size = self.size.bytes();
        match self.endian {
            Endian::Big => to.extend_from_slice(&length.to_be_bytes()[8 - size..]),
            Endian::Little => to.extend_from_slice(&length.to_le_bytes()[..size]),
        }
        to.extend_from_slice(frame);
        Ok(())
    }
}
