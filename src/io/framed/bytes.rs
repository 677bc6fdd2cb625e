//! Frames that are whatever comes.

use std::io;

use crate::io::framed::{Decoded, Decoder, Encoder};

/// No frames: bytes as they come, in pieces of no meaning.
///
/// For the parts of a protocol that have no structure, between those that have one.
///
/// ```
/// use spargio::io::framed::{BytesCodec, Decoded, Decoder};
///
/// let decoded = BytesCodec::new().decode(b"anything").unwrap();
/// assert_eq!(decoded, Decoded::Frame { frame: b"anything".to_vec(), used: 8 });
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BytesCodec;

impl BytesCodec {
    /// There is nothing to be chosen.
    pub const fn new() -> Self {
        Self
    }
}

impl Decoder for BytesCodec {
    type Frame = Vec<u8>;

    fn decode(&mut self, bytes: &[u8]) -> io::Result<Decoded<Vec<u8>>> {
        Ok(match bytes.len() {
            0 => Decoded::Incomplete { need: 1 },
            used => Decoded::Frame { frame: bytes.to_vec(), used },
        })
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for BytesCodec {
    fn encode(&mut self, frame: T, to: &mut Vec<u8>) -> io::Result<()> {
        to.extend_from_slice(frame.as_ref());
        Ok(())
    }
}
