//! Frames: streams of bytes as streams of messages.
//!
//! A [`Decoder`] finds frames in bytes, an [`Encoder`] makes bytes of them, and a codec is both:
//! [`LengthDelimitedCodec`], [`LinesCodec`], [`BytesCodec`], or one of your own. [`FramedRead`]
//! brings a decoder to a reader, [`FramedWrite`] an encoder to a writer, and [`Framed`] a codec to
//! a stream; [`LengthDelimited`] is the short form of the most common one.
//!
//! - Every codec has a longest frame. One that is longer is refused before memory is found for it,
//!   and the error names both lengths.
//! - An end in the middle of a frame is an error:
//!   [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof).
//! - Any future may be dropped: what has come of a frame stays, and what was begun to be written is
//!   written on by the next call.
//!
//! # Examples
//!
//! ```
//! use spargio::io::framed::{Framed, LinesCodec};
//! use spargio::net::UnixStream;
//! # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
//! # runtime.block_on(async {
//! let (near, far) = UnixStream::pair()?;
//! let mut near = Framed::new(near, LinesCodec::new());
//! let mut far = Framed::new(far, LinesCodec::new());
//! near.send("PING").await?;
//! assert_eq!(far.next().await?.as_deref(), Some("PING"));
//! drop(near);
//! assert_eq!(far.next().await?, None);
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

mod bytes;
mod codec;
mod duplex;
mod length;
mod lines;
mod read;
mod stream;
mod write;

pub use bytes::BytesCodec;
pub use codec::{Decoded, Decoder, Encoder};
pub use duplex::{Framed, LengthDelimited};
pub use length::{Endian, LengthDelimitedCodec, LengthSize};
pub use lines::LinesCodec;
pub use read::FramedRead;
pub use stream::Frames;
pub use write::FramedWrite;

/// Bytes a frame may have unless something else is said.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;
