//! Reading and writing as traits, and what is built of them: buffers, lines, frames, copies.
//!
//! | To | see |
//! |---|---|
//! | read and write anything | [`AsyncRead`], [`AsyncReadExt`], [`AsyncWrite`], [`AsyncWriteExt`] |
//! | leave the type open | [`DynRead`], [`DynWrite`] |
//! | read lines, look ahead | [`BufReader`], [`AsyncBufRead`], [`AsyncBufReadExt`], [`Lines`] |
//! | collect small writes | [`BufWriter`] |
//! | read and write from two tasks | [`split`] |
//! | copy | [`copy`], [`copy_bidirectional`], [`copy_to_vec`] |
//! | send and receive messages | [`framed`] |
//! | talk to other processes | [`pipe`], [`stdin`], [`stdout`], [`stderr`] |
//! | give it to code for `futures-io` | [`Compat`]; streams and their halves need none |
//!
//! Streams of [`net`](crate::net) and [cursors](crate::fs::FileCursor) of files have methods of
//! these names of their own, which come first; the traits are for code that takes any of them.
//!
//! # Buffers
//!
//! Reads and writes own their buffer until they are over and give it back with the result: a
//! [`BufResult`](crate::BufResult).
//!
//! # Dropped futures
//!
//! A dropped read loses no byte, which every reader promises. A dropped write may have written some
//! bytes; [`BufWriter`] and [`framed`] keep account, and their futures may be dropped without harm.
//!
//! # Examples
//!
//! A function for any stream:
//!
//! ```
//! use spargio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
//!
//! async fn greet(from: impl AsyncRead, mut to: impl AsyncWrite) -> std::io::Result<()> {
//!     let mut name = String::new();
//!     BufReader::new(from).read_line(&mut name).await?;
//!     to.write_all(format!("Hello, {name}")).await.0?;
//!     to.shutdown().await
//! }
//! # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
//! # runtime.block_on(async {
//! let mut greeting = Vec::new();
//! greet(&b"world\n"[..], &mut greeting).await?;
//! assert_eq!(greeting, b"Hello, world\n");
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

pub(crate) mod alone;
mod buf_read;
mod buf_reader;
mod buf_writer;
mod bytes;
mod chain;
mod channel;
mod compat;
mod copy;
mod duplex;
mod dynamic;
pub mod framed;
mod held;
mod lines;
mod memory;
mod pipe;
mod read;
mod read_ext;
mod seek;
mod split;
mod stdio;
mod take;
mod write;

pub use buf_read::{AsyncBufRead, AsyncBufReadExt};
pub use buf_reader::BufReader;
pub use buf_writer::{BufWriter, IntoInnerError};
pub use chain::Chain;
pub use compat::Compat;
pub use copy::{copy, copy_bidirectional, copy_to_vec};
pub use duplex::{Duplex, Join, join};
pub use dynamic::{AnyBuf, AnyBufMut, DynRead, DynWrite};
pub use lines::Lines;
pub use memory::{Empty, Sink, empty, sink};
pub use pipe::{PipeReader, PipeWriter, pipe, pipe_on};
pub use read::AsyncRead;
pub(crate) use read::read_first;
pub use read_ext::AsyncReadExt;
pub use seek::AsyncSeek;
pub use split::{ReadHalf, ReuniteError, WriteHalf, split};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
pub use take::Take;
pub use write::{AsyncWrite, AsyncWriteExt};
