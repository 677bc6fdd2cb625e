//! Batches: many buffers sent in order, many with each call.

use std::error::Error;
use std::fmt;
use std::io;

use crate::buf::{BufResult, IoBuf, MAX_TRANSFER};
use crate::driver::{Sqe, ioprio};
use crate::io::WriteHalf;
use crate::net::family::Family;
use crate::net::stream::Stream;
use crate::op::vectored::MAX_PARTS;
use crate::op::{Complete, Fd, Inline, Operation, Outcome};

impl<F: Family> Stream<F> {
    /// Sends all bytes of all buffers, one buffer after the other, and says how many there were.
    /// Waits for room as often as it takes.
    ///
    /// Up to `window` buffers (and up to 1024, whatever the window) go to the kernel with one call.
    /// One call is in flight at a time, and the next begins at the very byte where it ended, so
    /// that the order holds however little room the socket has. With all calls but the last the
    /// kernel learns that more follows, and makes full packets (as for
    /// [`write_all_more`](Self::write_all_more)).
    ///
    /// Empty buffers cost nothing and do not count for the window. A batch without bytes is sent at
    /// once, without a system call.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); `InvalidInput` for a window of 0. Each is a [`BatchError`] inside
    /// an [`io::Error`], which says how many bytes were sent before.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the call in flight is cancelled. Some of the bytes may have been
    /// sent, from the first on without a gap, and nothing says how many. None of them comes after
    /// those of a later write.
    ///
    /// # Cost
    ///
    /// One system call for each window while there is room, and a list of 16 bytes for each buffer
    /// of a window. The largest window is the cheapest; a smaller one lets the peer begin earlier.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let peer = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (stream, _) = listener.accept().await?;
    /// let frames = vec![vec![b'a'; 4096], Vec::new(), vec![b'b'; 100]];
    /// let (sent, mut frames) = stream.send_all_batch(frames, 32).await;
    /// assert_eq!(sent?, 4196);
    /// frames.clear();
    /// # let (result, got) = peer.read_exact(vec![0; 4196].into_boxed_slice()).await;
    /// # result?;
    /// # assert_eq!((got[0], got[4095], got[4096], got[4195]), (b'a', b'a', b'b', b'b'));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn send_all_batch<B: IoBuf>(
        &self,
        buffers: Vec<B>,
        window: usize,
    ) -> BufResult<usize, Vec<B>> {
        let mut batch = Batch::new(buffers, window);
        if window == 0 {
            let text = "a window of 0 buffers, the least is 1";
            return batch.failed(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut was_short = false;
        while !batch.is_sent() {
            // What does not fit at once is left to the kernel in one operation.
            let is_whole = was_short || self.socket().is_send_blocked();
            let whole = if is_whole { libc::MSG_WAITALL } else { 0 };
            let part = self.socket().send_batch(batch, whole).await;
            if !was_short {
                self.socket().note_sent_batch(&part);
            }
            batch = part.batch;
            match part.result {
                Ok(0) => {
                    let text = "the socket takes no more bytes";
                    return batch.failed(io::Error::new(io::ErrorKind::WriteZero, text));
                }
                Ok(_) => was_short = part.is_short,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return batch.failed(error),
            }
        }
        (Ok(batch.sent), batch.buffers)
    }
}

impl<F: Family> WriteHalf<Stream<F>> {
    /// As [`Stream::send_all_batch`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn send_all_batch<B: IoBuf>(
        &self,
        buffers: Vec<B>,
        window: usize,
    ) -> BufResult<usize, Vec<B>> {
        self.get_ref().send_all_batch(buffers, window).await
    }

    /// As [`Stream::write_all_more`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn write_all_more<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        self.get_ref().write_all_more(buf).await
    }
}

/// What is inside the [`io::Error`] of a batch: how many of its bytes were sent, and why no more.
///
/// The kind of the outer error is that of the system's answer. Its number is not: it is here.
///
/// ```
/// use spargio::net::{BatchError, UnixStream};
///
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let (stream, peer) = UnixStream::pair()?;
/// drop(peer);
/// let (result, buffers) = stream.send_all_batch(vec!["never", "read"], 2).await;
/// let error = result.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
/// assert_eq!(BatchError::of(&error).unwrap().sent(), 0);
/// assert_eq!(buffers, ["never", "read"]);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct BatchError {
    sent: usize,
    source: io::Error,
}

impl BatchError {
    /// The inside of an error, if it is that of a batch.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// How many bytes were sent, counted from the first byte of the first buffer. That they are
    /// sent does not say that the peer got them.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Why no more.
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }

    /// The number of the system's answer (`errno(3)`), if it was the system that answered.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the batch ended after {} bytes: {}", self.sent, self.source)
    }
}

impl Error for BatchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Buffers, and how far they are sent.
pub(super) struct Batch<B> {
    buffers: Vec<B>,
    /// The most buffers with one call.
    window: usize,
    /// The first that is not sent to its end.
    first: usize,
    /// How much of that is sent.
    done: usize,
    /// How much is sent of all.
    sent: usize,
    /// There is one call only, and more follows if somebody makes it follow.
    is_once: bool,
    /// The list that the kernel reads: where each part of the call is, and how long.
    parts: Vec<libc::iovec>,
}

// SAFETY:
// - the addresses in `parts` are set anew for each entry and are for the kernel alone; they lead to
//   memory of `buffers`, which are `Send`.
unsafe impl<B: Send> Send for Batch<B> {}

impl<B: IoBuf> Batch<B> {
    fn new(buffers: Vec<B>, window: usize) -> Self {
        let window = window.min(MAX_PARTS);
        let (parts, is_once) = (Vec::new(), false);
        let mut batch = Self { buffers, window, first: 0, done: 0, sent: 0, is_once, parts };
        batch.skip_sent();
        batch
    }

    /// As many of the buffers as one call takes.
    pub(super) fn once(buffers: Vec<B>) -> Self {
        Self { is_once: true, ..Self::new(buffers, MAX_PARTS) }
    }

    pub(super) fn into_buffers(self) -> Vec<B> {
        self.buffers
    }

    /// Whether no byte is left.
    pub(super) fn is_sent(&self) -> bool {
        self.first == self.buffers.len()
    }

    /// Goes on to the first buffer that has bytes to send.
    fn skip_sent(&mut self) {
        while let Some(buf) = self.buffers.get(self.first)
            && buf.bytes_init() == self.done
        {
            self.first += 1;
            self.done = 0;
        }
    }

    /// Lists the buffers of the next call. Whether there is another, for the bytes that are left.
    fn gather(&mut self) -> bool {
        self.parts.clear();
        let mut from = self.done;
        for buf in &self.buffers[self.first..] {
            let left = buf.bytes_init() - from;
            if left > 0 {
                if self.parts.len() == self.window {
                    return !self.is_once;
                }
                // SAFETY:
                // - `from <= bytes_init`, so by O1 the result is in the buffer.
                let start = unsafe { buf.stable_ptr().add(from) };
                // A transfer ends at the limit anyway; the sum may go beyond it.
                let iov_len = left.min(MAX_TRANSFER);
                self.parts.push(libc::iovec { iov_base: start.cast_mut().cast(), iov_len });
            }
            from = 0;
        }
        false
    }

    /// How many bytes the next call is to send.
    fn gathered(&self) -> usize {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.iov_len))
    }

    /// So many bytes more are sent.
    fn advance(&mut self, count: usize) {
        self.sent += count;
        let mut left = count;
        while let Some(buf) = self.buffers.get(self.first)
            && left > 0
        {
            let step = left.min(buf.bytes_init() - self.done);
            left -= step;
            self.done += step;
            self.skip_sent();
        }
    }

    fn failed(self, source: io::Error) -> BufResult<usize, Vec<B>> {
        let kind = source.kind();
        let error = BatchError { sent: self.sent, source };
        (Err(io::Error::new(kind, error)), self.buffers)
    }
}

impl<B> fmt::Debug for Batch<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("buffers", &self.buffers.len())
            .field("window", &self.window)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

/// Sends the next buffers of a batch.
pub(super) struct SendBatch<B> {
    fd: Fd,
    batch: Batch<B>,
    header: libc::msghdr,
    inline: Inline,
    /// `MSG_*`.
    flags: i32,
    /// How many entries were made: the second is for the ring after a direct call in vain.
    entries: u8,
}

// SAFETY:
// - the pointer in `header` is set anew for each entry and is for the kernel alone. What it points
//   to is owned by `batch`.
unsafe impl<B: Send> Send for SendBatch<B> {}

/// What came of a part of a batch.
#[derive(Debug)]
pub(super) struct SentBatch<B> {
    /// How many bytes went.
    result: io::Result<usize>,
    /// The batch, from there on.
    batch: Batch<B>,
    /// Fewer bytes than were meant to.
    is_short: bool,
    /// The socket had no room for all of them at once.
    pub(super) blocked: bool,
}

impl<B: IoBuf> SentBatch<B> {
    /// How many bytes went, and the buffers.
    pub(super) fn into_parts(self) -> BufResult<usize, Vec<B>> {
        (self.result, self.batch.into_buffers())
    }
}

impl<B> SendBatch<B> {
    /// With `MSG_*` flags.
    pub(super) fn new(fd: Fd, batch: Batch<B>, inline: Inline, flags: i32) -> Self {
        // SAFETY:
        // - a header of zeros is a valid one: null pointers with lengths of 0.
        let header = unsafe { std::mem::zeroed::<libc::msghdr>() };
        Self { fd, batch, header, inline, flags, entries: 0 }
    }
}

// SAFETY: I1:
// - the header is in `self`, which is not moved; the list is on the heap and owned by `self`, as
//   are the buffers, whose addresses and first `bytes_init` bytes stay (O1, O2 and O3 of `IoBuf`).
// - `self.fd` keeps the fd open.
unsafe impl<B: IoBuf> Operation for SendBatch<B> {
    fn entry(&mut self) -> Sqe {
        let more = if self.batch.gather() { libc::MSG_MORE } else { 0 };
        self.header.msg_iov = self.batch.parts.as_mut_ptr();
        self.header.msg_iovlen = self.batch.parts.len() as _;
        let flags = libc::MSG_NOSIGNAL | self.flags | more;
        let mut sqe = Sqe::send_msg(self.fd.number(), &raw const self.header, flags);
        if self.entries > 0 {
            // A direct call has just found no room.
            sqe.ioprio = ioprio::RECVSEND_POLL_FIRST;
        }
        self.entries = self.entries.saturating_add(1);
        sqe
    }
}

impl<B: IoBuf> Complete for SendBatch<B> {
    type Output = SentBatch<B>;

    fn inline(&self) -> Inline {
        self.inline
    }

    fn starts_over(&self) -> bool {
        true
    }

    fn finish(self, outcome: io::Result<Outcome>) -> SentBatch<B> {
        let Self { mut batch, entries, .. } = self;
        let result = outcome.map(Outcome::bytes);
        let count = *result.as_ref().unwrap_or(&0);
        let is_short = result.is_ok() && count < batch.gathered();
        batch.advance(count);
        SentBatch { result, batch, is_short, blocked: is_short || entries > 1 }
    }
}

impl<B> fmt::Debug for SendBatch<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch").field("batch", &self.batch).finish_non_exhaustive()
    }
}
