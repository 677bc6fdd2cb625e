//! The traits of `futures-io` for what has only our own.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::buf::{BufResult, IoBuf};
use crate::io::held::Held;
use crate::io::write::write_from;
use crate::io::{AsyncRead, AsyncWrite, Empty, Sink, empty, sink};

/// Most bytes that are read or written at once.
const CAPACITY: usize = 64 * 1024;

/// A reader and a writer of ours with the traits of `futures-io`: files with a cursor, pipes,
/// standard input and output, and what is built of them.
///
/// Streams of [`net`](crate::net) and their halves have these traits themselves, without a buffer.
/// They need no `Compat`, but may have one: it copies, and saves a call for each wait, since the
/// ring then receives instead of telling that there is something to receive. For requests and
/// answers of 64 bytes it was 10 to 15 % quicker.
///
/// # How it works
///
/// `futures-io` lends memory for the length of a poll, the ring wants it until the operation is
/// over. So an operation works on a buffer of this value, of 64 KiB at most in each direction, and
/// is owned by this value:
///
/// - **Reading.** A read that is not waited for any more goes on, and the next poll takes what it
///   brought. [`AsyncBufRead`](futures_io::AsyncBufRead) shows it without a copy.
/// - **Writing.** Bytes are taken when there is no write under way: `poll_write` says how many, and
///   has begun to write them. An error is told by the next call. `poll_flush` waits until all are
///   written, `poll_close` ends the direction then. When `poll_write` is pending it has taken
///   nothing.
///
/// When the value is dropped, a write under way is cancelled, and what was read and not taken is
/// gone: flush or close first.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::pin::Pin;
/// use futures_io::AsyncRead;
/// use spargio::io::Compat;
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let file = spargio::fs::File::open("/proc/self/status").await?;
/// let mut file = Compat::reader(file.cursor());
/// let mut name = [0; 5];
/// let count = poll_fn(|cx| Pin::new(&mut file).poll_read(cx, &mut name)).await?;
/// assert_eq!(&name[..count], b"Name:");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct Compat<R, W> {
    reader: Held<R, BufResult<usize, Vec<u8>>>,
    /// What was read; the first `taken` bytes are taken.
    bytes: Vec<u8>,
    taken: usize,
    writer: Held<W, Ended>,
    /// What was taken and is not under way: the rest of a write that failed, as a rule nothing.
    unwritten: Vec<u8>,
    /// The error of a write that some bytes had come through.
    error: Option<io::Error>,
    phase: Phase,
}

/// How far the writer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing was written since it was flushed.
    Flushed,
    Written,
    Closed,
}

/// What became of what the writer was busy with.
struct Ended {
    /// How far it then is, if that went well.
    phase: Phase,
    bytes: Vec<u8>,
    /// How many of the bytes were written.
    done: usize,
    result: io::Result<()>,
}

impl<R, W> Compat<R, W> {
    /// Of a reader and a writer, which may be clones of one stream.
    pub fn new(reader: R, writer: W) -> Self {
        Self {
            reader: Held::new(reader),
            bytes: Vec::new(),
            taken: 0,
            writer: Held::new(writer),
            unwritten: Vec::new(),
            error: None,
            phase: Phase::Flushed,
        }
    }

    /// The bytes that were read and that nobody has taken.
    pub fn buffer(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// What a write that failed has left of the bytes that it had taken. The next write or flush
    /// goes on with them.
    pub fn unwritten(&self) -> &[u8] {
        &self.unwritten
    }

    /// The reader, to be asked; `None` while it reads.
    pub fn reader_ref(&self) -> Option<&R> {
        self.reader.idle()
    }

    /// The writer, to be asked; `None` while it writes.
    pub fn writer_ref(&self) -> Option<&W> {
        self.writer.idle()
    }
}

impl<R> Compat<R, Sink> {
    /// Of a reader alone.
    pub fn reader(reader: R) -> Self {
        Self::new(reader, sink())
    }
}

impl<W> Compat<Empty, W> {
    /// Of a writer alone.
    pub fn writer(writer: W) -> Self {
        Self::new(empty(), writer)
    }
}

// Nothing is pinned: operations lie in boxes of their own.
impl<R, W> Unpin for Compat<R, W> {}

impl<R: AsyncRead + 'static, W> Compat<R, W> {
    /// Reads until there are bytes, or the end; no more than `most` at once.
    fn poll_bytes(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<&[u8]>> {
        while self.taken == self.bytes.len() {
            if let Some((read, bytes)) = ready!(self.reader.poll(cx)) {
                (self.bytes, self.taken) = (bytes, 0);
                match read {
                    Ok(0) => break,
                    Ok(_) => continue,
                    Err(error) => {
                        self.bytes.clear();
                        return Poll::Ready(Err(error));
                    }
                }
            }
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            bytes.reserve(most);
            self.taken = 0;
            self.reader.start(|mut reader| async move {
                loop {
                    let (read, part) = reader.read(bytes.slice(..most)).await;
                    bytes = part.into_inner();
                    match read {
                        Err(error) if is_passing(&error) => give_way().await,
                        read => return (reader, (read, bytes)),
                    }
                }
            });
        }
        Poll::Ready(Ok(&self.bytes[self.taken..]))
    }
}

impl<R: AsyncRead + 'static, W> futures_io::AsyncRead for Compat<R, W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let bytes = ready!(self.poll_bytes(cx, buf.len().min(CAPACITY)))?;
        let count = bytes.len().min(buf.len());
        buf[..count].copy_from_slice(&bytes[..count]);
        self.taken += count;
        Poll::Ready(Ok(count))
    }
}

impl<R: AsyncRead + 'static, W> futures_io::AsyncBufRead for Compat<R, W> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().poll_bytes(cx, CAPACITY)
    }

    fn consume(mut self: Pin<&mut Self>, amt: usize) {
        let has = self.bytes.len() - self.taken;
        assert!(amt <= has, "{amt} bytes are taken from a buffer of {has}");
        self.taken += amt;
    }
}

impl<R, W: AsyncWrite + 'static> Compat<R, W> {
    /// Waits for the end of what the writer is busy with, and says how many bytes it has written.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ended(cx).map(|(_, result)| result)
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<(usize, io::Result<()>)> {
        if let Some(error) = self.error.take() {
            return Poll::Ready((0, Err(error)));
        }
        let Some(ended) = ready!(self.writer.poll(cx)) else { return Poll::Ready((0, Ok(()))) };
        let Ended { phase, mut bytes, done, result } = ended;
        if result.is_ok() {
            self.phase = phase;
        }
        bytes.drain(..done);
        self.unwritten = bytes;
        Poll::Ready((done, result))
    }

    /// Begins to write what was taken.
    fn start_write(&mut self) {
        let bytes = std::mem::take(&mut self.unwritten);
        self.phase = Phase::Written;
        self.writer.start(|mut writer| async move {
            let (mut done, mut result, mut bytes) = write_from(&mut writer, bytes, 0).await;
            while result.as_ref().is_err_and(is_passing) {
                give_way().await;
                (done, result, bytes) = write_from(&mut writer, bytes, done).await;
            }
            (writer, Ended { phase: Phase::Written, bytes, done, result })
        });
    }

    /// Brings the writer to this phase, or to a later one.
    fn poll_phase(&mut self, cx: &mut Context<'_>, to: Phase) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_settled(cx))?;
            if self.phase == to || self.phase == Phase::Closed {
                return Poll::Ready(Ok(()));
            }
            if !self.unwritten.is_empty() {
                self.start_write();
                continue;
            }
            self.writer.start(move |mut writer| async move {
                loop {
                    let result = match to {
                        Phase::Closed => writer.shutdown().await,
                        Phase::Flushed | Phase::Written => writer.flush().await,
                    };
                    match result {
                        Err(error) if is_passing(&error) => give_way().await,
                        result => {
                            let bytes = Vec::new();
                            return (writer, Ended { phase: to, bytes, done: 0, result });
                        }
                    }
                }
            });
        }
    }
}

impl<R, W: AsyncWrite + 'static> futures_io::AsyncWrite for Compat<R, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_settled(cx))?;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let before = self.unwritten.len();
        let count = buf.len().min(CAPACITY);
        self.unwritten.extend_from_slice(&buf[..count]);
        self.start_write();
        match self.poll_ended(cx) {
            // It goes on, and what becomes of it is told by the next call.
            Poll::Pending | Poll::Ready((_, Ok(()))) => Poll::Ready(Ok(count)),
            // It has failed at once. What is left of these bytes was not taken.
            Poll::Ready((done, Err(error))) => {
                let taken = done.saturating_sub(before);
                self.unwritten.truncate(before.saturating_sub(done));
                if taken == 0 {
                    return Poll::Ready(Err(error));
                }
                self.error = Some(error);
                Poll::Ready(Ok(taken))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_phase(cx, Phase::Flushed)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_phase(cx, Phase::Closed)
    }
}

/// Whether the same may be tried again. `futures-io` asks for that to be done here.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// Lets others run, who may end what is in the way.
async fn give_way() {
    let mut has_given_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_given_way, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<R: fmt::Debug, W: fmt::Debug> fmt::Debug for Compat<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compat")
            .field("reader", &self.reader)
            .field("buffered", &(self.bytes.len() - self.taken))
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}
