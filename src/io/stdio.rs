//! Standard input, output and error.
//!
//! They are read and written through the ring, at the place where the descriptor is, without
//! changing it: other processes share the description behind it, which a flag such as `O_NONBLOCK`
//! would change for them as well. The ring waits for pipes and sockets itself, and has a kernel
//! thread wait where it cannot, for terminals and files. Unlike a thread of ours that is stuck in
//! `read(2)`, all of them can be cancelled, so that a shutdown waits for nobody to press a key.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::channel::Channel;
use crate::io::{AsyncRead, AsyncWrite};
use crate::port;

fn channel(fd: BorrowedFd<'_>, name: &'static str) -> io::Result<Channel> {
    // A descriptor of its own, which can be closed; the description behind it is the same.
    let fd = fd.try_clone_to_owned();
    let fd = fd.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
    Ok(Channel::new(fd, port::ambient_lane("PipeReader::from_fd_on or PipeWriter::from_fd_on")?))
}

/// Standard input of this process.
///
/// # Errors
///
/// On a thread without a runtime; what the system answers, for example if it is closed.
///
/// # Examples
///
/// ```no_run
/// use spargio::io::{AsyncBufReadExt, BufReader, stdin};
///
/// # async fn example() -> std::io::Result<()> {
/// let mut lines = BufReader::new(stdin()?).lines();
/// while let Some(line) = lines.next_line().await? {
///     println!("{}", line.to_uppercase());
/// }
/// # Ok(())
/// # }
/// ```
pub fn stdin() -> io::Result<Stdin> {
    Ok(Stdin(channel(io::stdin().as_fd(), "standard input")?))
}

/// Standard input of this process: [`stdin`].
///
/// There is no buffer; wrap it in a [`BufReader`](super::BufReader) for lines. Several handles, and
/// those of the standard library, take bytes from each other.
///
/// # Cancel safety
///
/// A read that is dropped goes on, and the next read of this value takes its bytes. When the value
/// is dropped, the read is cancelled, and bytes that it has taken already are lost: keep the value
/// for as long as input is of interest.
pub struct Stdin(Channel);

impl AsyncRead for Stdin {
    async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        self.0.read(buf).await
    }
}

/// Standard output of this process.
///
/// # Errors
///
/// As [`stdin`].
///
/// # Examples
///
/// ```
/// use spargio::io::{AsyncWrite, stdout};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// stdout()?.write_all("without a buffer\n").await.0?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub fn stdout() -> io::Result<Stdout> {
    Ok(Stdout(channel(io::stdout().as_fd(), "standard output")?))
}

/// Standard output of this process: [`stdout`].
///
/// There is no buffer, and `print!` has one of its own: what is written here comes before what is
/// in that. [`shutdown`](AsyncWrite::shutdown) does not close it, because it is not this value's.
pub struct Stdout(Channel);

/// Standard error of this process.
///
/// # Errors
///
/// As [`stdin`].
pub fn stderr() -> io::Result<Stderr> {
    Ok(Stderr(channel(io::stderr().as_fd(), "standard error")?))
}

/// Standard error of this process: [`stderr`].
///
/// There is no buffer. [`shutdown`](AsyncWrite::shutdown) does not close it, because it is not this
/// value's.
pub struct Stderr(Channel);

/// What is written without a buffer, and not closed.
macro_rules! outputs {
    ($($name:ident)+) => {$(
        impl AsyncWrite for $name {
            async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
                self.0.write(buf).await
            }

            async fn flush(&mut self) -> io::Result<()> {
                self.0.settle().await
            }

            async fn shutdown(&mut self) -> io::Result<()> {
                self.0.settle().await
            }
        }
    )+};
}
outputs!(Stdout Stderr);

/// What the three have alike.
macro_rules! streams {
    ($($name:ident)+) => {$(
        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    )+};
}
streams!(Stdin Stdout Stderr);
