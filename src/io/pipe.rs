//! Pipes.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::channel::Channel;
use crate::io::{AsyncRead, AsyncWrite};
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

/// Makes a pipe: what is written to the one end is read from the other.
///
/// Both ends close when a program is started from this process, unless they are passed on.
///
/// # Errors
///
/// On a thread without a runtime, see [`pipe_on`]; else what the system answers.
///
/// # Examples
///
/// ```
/// use spargio::io::{AsyncReadExt, AsyncWrite, pipe};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let (mut reader, mut writer) = pipe()?;
/// writer.write_all("through a pipe").await.0?;
/// drop(writer);
/// assert_eq!(reader.read_to_string().await?, "through a pipe");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    pipe_lane(port::ambient_lane("io::pipe_on")?)
}

/// As [`pipe`], on any thread: a pipe of this runtime.
///
/// # Errors
///
/// What the system answers.
pub fn pipe_on(lane: &impl ToLane) -> io::Result<(PipeReader, PipeWriter)> {
    pipe_lane(lane.to_lane().0)
}

fn pipe_lane(lane: Arc<dyn Lane>) -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    let reader = PipeReader::adopt(reader.into(), Arc::clone(&lane));
    Ok((reader, PipeWriter::adopt(writer.into(), lane)))
}

/// The end of a pipe that is read from; also a terminal, a FIFO, what a child process writes to.
///
/// Reads are operations of the ring, for which the descriptor need not be non-blocking.
///
/// # Cancel safety
///
/// A read that is dropped goes on, and the next takes its bytes. When the reader itself is dropped,
/// the read is cancelled, and bytes that it has taken from the pipe already are lost.
pub struct PipeReader(Channel);

impl PipeReader {
    /// Takes a descriptor over that can be read from: `ChildStdout`, `std::io::PipeReader`, a
    /// `File` that is a FIFO. Files with offsets are read from the descriptor's own cursor.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`from_fd_on`](Self::from_fd_on). The descriptor is then
    /// closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::{Command, Stdio};
    /// use spargio::io::{AsyncReadExt, PipeReader};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// let mut output = PipeReader::from_fd(child.stdout.take().expect("it is piped"))?;
    /// assert_eq!(output.read_to_string().await?, "hello\n");
    /// # child.wait()?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn from_fd(fd: impl Into<OwnedFd>) -> io::Result<Self> {
        let lane = port::ambient_lane("PipeReader::from_fd_on")?;
        Ok(Self::adopt(fd.into(), lane))
    }

    /// As [`from_fd`](Self::from_fd), on any thread: a reader of this runtime.
    pub fn from_fd_on(lane: &impl ToLane, fd: impl Into<OwnedFd>) -> Self {
        Self::adopt(fd.into(), lane.to_lane().0)
    }

    fn adopt(fd: OwnedFd, lane: Arc<dyn Lane>) -> Self {
        Self(Channel::new(fd, lane))
    }

    /// The descriptor.
    ///
    /// # Errors
    ///
    /// The reader comes back while it keeps a read that was dropped.
    pub fn into_fd(self) -> Result<OwnedFd, Self> {
        self.0.into_owned().map_err(Self)
    }
}

impl AsyncRead for PipeReader {
    async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        self.0.read(buf).await
    }
}

impl AsFd for PipeReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for PipeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PipeReader").field(&self.0).finish()
    }
}

/// The end of a pipe that is written to; also a terminal, a FIFO, what a child process reads from.
///
/// Writes are operations of the ring and wait for room. If nobody can read any more, they fail with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe).
///
/// The reader comes to the end when this is dropped, or by [`shutdown`](AsyncWrite::shutdown),
/// which closes the descriptor.
pub struct PipeWriter(Option<Channel>);

impl PipeWriter {
    /// Takes a descriptor over that can be written to: `ChildStdin`, `std::io::PipeWriter`, a
    /// `File` that is a FIFO.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`from_fd_on`](Self::from_fd_on). The descriptor is then
    /// closed.
    pub fn from_fd(fd: impl Into<OwnedFd>) -> io::Result<Self> {
        let lane = port::ambient_lane("PipeWriter::from_fd_on")?;
        Ok(Self::adopt(fd.into(), lane))
    }

    /// As [`from_fd`](Self::from_fd), on any thread: a writer of this runtime.
    pub fn from_fd_on(lane: &impl ToLane, fd: impl Into<OwnedFd>) -> Self {
        Self::adopt(fd.into(), lane.to_lane().0)
    }

    fn adopt(fd: OwnedFd, lane: Arc<dyn Lane>) -> Self {
        Self(Some(Channel::new(fd, lane)))
    }

    /// The descriptor; `None` after [`shutdown`](AsyncWrite::shutdown).
    ///
    /// # Errors
    ///
    /// The writer comes back while a write that was dropped has not ended.
    pub fn into_fd(self) -> Result<Option<OwnedFd>, Self> {
        match self.0 {
            Some(channel) => channel.into_owned().map(Some).map_err(|channel| Self(Some(channel))),
            None => Ok(None),
        }
    }
}

impl AsyncWrite for PipeWriter {
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        match &mut self.0 {
            Some(channel) => channel.write(buf).await,
            None => {
                let text = "the writer of the pipe was shut down";
                (Err(io::Error::new(io::ErrorKind::BrokenPipe, text)), buf)
            }
        }
    }

    /// Nothing: what was written is in the pipe.
    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        if let Some(channel) = &mut self.0 {
            channel.settle().await?;
            self.0 = None;
        }
        Ok(())
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PipeWriter").field(&self.0).finish()
    }
}
