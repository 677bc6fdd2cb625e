//! What a codec is.

use std::io;

/// What a decoder finds at the start of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded<T> {
    /// A frame, made of so many bytes.
    Frame {
        /// The frame.
        frame: T,
        /// How many bytes it is made of, at least one. They are taken.
        used: usize,
    },
    /// The start of a frame, or nothing.
    Incomplete {
        /// How many bytes the frame has at least, those that have come included. A hint: more room
        /// is made for it, and the decoder is asked again when anything has come.
        need: usize,
    },
}

impl<T> Decoded<T> {
    /// The frame is changed, where there is one.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Decoded<U> {
        match self {
            Self::Frame { frame, used } => Decoded::Frame { frame: change(frame), used },
            Self::Incomplete { need } => Decoded::Incomplete { need },
        }
    }
}

/// Finds frames in bytes.
///
/// A decoder is plain code: it looks at bytes and says what it sees, so it is tested without a
/// runtime, and it cannot take a byte that it should not.
///
/// # Examples
///
/// Records of three bytes:
///
/// ```
/// use spargio::io::framed::{Decoded, Decoder, FramedRead};
///
/// struct Threes;
///
/// impl Decoder for Threes {
///     type Frame = [u8; 3];
///     fn decode(&mut self, bytes: &[u8]) -> std::io::Result<Decoded<[u8; 3]>> {
///         Ok(match bytes.first_chunk() {
///             Some(frame) => Decoded::Frame { frame: *frame, used: 3 },
///             None => Decoded::Incomplete { need: 3 },
///         })
///     }
/// }
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut frames = FramedRead::new(&b"onetwofour"[..], Threes);
/// assert_eq!(frames.next().await?, Some(*b"one"));
/// assert_eq!(frames.next().await?, Some(*b"two"));
/// assert_eq!(frames.next().await?, Some(*b"fou"));
/// let error = frames.next().await.unwrap_err();
/// assert_eq!(error.to_string(), "the end came 1 bytes into a frame");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait Decoder: Send {
    /// What it makes of bytes.
    type Frame;

    /// Looks at the bytes that have come, from the start of a frame on.
    ///
    /// # Errors
    ///
    /// Bytes that are no frame, or the start of one that is too long:
    /// [`InvalidData`](io::ErrorKind::InvalidData). No byte is taken.
    fn decode(&mut self, bytes: &[u8]) -> io::Result<Decoded<Self::Frame>>;

    /// Looks at the bytes that are left when no more come. `Ok(None)` is a clean end, which by
    /// default is one without bytes left.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if they are the start of a frame.
    fn decode_end(&mut self, bytes: &[u8]) -> io::Result<Option<(Self::Frame, usize)>> {
        match bytes.len() {
            0 => Ok(None),
            left => Err(ended_within(left)),
        }
    }

    /// The most bytes of an unfinished frame that are kept for it. More than that is an error,
    /// whatever [`decode`](Self::decode) says.
    fn max_encoded(&self) -> usize {
        super::MAX_FRAME
    }
}

/// Makes bytes of frames.
///
/// # Examples
///
/// ```
/// use spargio::io::framed::{Encoder, FramedWrite};
///
/// struct Decimal;
///
/// impl Encoder<u64> for Decimal {
///     fn encode(&mut self, frame: u64, to: &mut Vec<u8>) -> std::io::Result<()> {
///         to.extend_from_slice(format!("{frame};").as_bytes());
///         Ok(())
///     }
/// }
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut frames = FramedWrite::new(Vec::new(), Decimal);
/// frames.send(17).await?;
/// frames.send(4).await?;
/// assert_eq!(frames.into_inner().await?, b"17;4;");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait Encoder<F>: Send {
    /// Appends the bytes of a frame.
    ///
    /// # Errors
    ///
    /// A frame that is longer than it may be: [`InvalidInput`](io::ErrorKind::InvalidInput). What
    /// was appended by then is taken back.
    fn encode(&mut self, frame: F, to: &mut Vec<u8>) -> io::Result<()>;
}

pub(super) fn ended_within(left: usize) -> io::Error {
    let text = format!("the end came {left} bytes into a frame");
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}
