//! A file from front to back, with reads under way ahead of the reader.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::buf::{IoBuf, Slice};
use crate::fs::{File, FileType, ReadAt, checked_offset};

/// How long a chunk is unless said otherwise.
const CHUNK: usize = 256 * 1024;
/// How many reads are under way unless said otherwise.
const DEPTH: usize = 4;
/// How many may be.
const MAX_DEPTH: usize = 128;

/// A file from front to back, in chunks, with several reads under way: made by
/// [`File::read_ahead`].
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let file = spargio::fs::File::open("Cargo.toml").await?;
/// let mut chunks = file.read_ahead(0).await?.chunk(64 * 1024).depth(8);
/// let mut lines = 0;
/// while let Some(chunk) = chunks.next().await? {
///     lines += chunk.iter().filter(|&&byte| byte == b'\n').count();
///     chunks.give_back(chunk);
/// }
/// assert!(lines > 0);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct ReadAhead<'f> {
    file: &'f File,
    chunk: usize,
    depth: usize,
    /// Where the next read that is not under way begins.
    next: u64,
    /// In the order of their offsets, without gaps.
    reads: VecDeque<Read<'f>>,
    ended: bool,
    spare: Vec<Vec<u8>>,
}

/// One read, for `len` bytes at `offset`.
struct Read<'f> {
    offset: u64,
    len: usize,
    state: State<'f>,
}

enum State<'f> {
    Made(ReadAt<'f, Slice<Vec<u8>>>),
    Started(ReadAt<'f, Slice<Vec<u8>>>),
    Done(io::Result<usize>, Vec<u8>),
}

impl File {
    /// Reads the file from `offset` to its end, in chunks of 256 KiB with 4 reads under way unless
    /// said otherwise.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for what is no regular file and no block
    /// device, because a pipe answers reads in any order, and for an offset above `i64::MAX`; those
    /// of [`metadata`](Self::metadata).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn read_ahead(&self, offset: u64) -> io::Result<ReadAhead<'_>> {
        let next = checked_offset(offset)?;
        let file_type = self.metadata().await?.file_type();
        if !matches!(file_type, FileType::File | FileType::BlockDevice) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a {file_type:?} has no offsets to be read ahead at"),
            ));
        }
        Ok(ReadAhead {
            file: self,
            chunk: CHUNK,
            depth: DEPTH,
            next,
            reads: VecDeque::new(),
            ended: false,
            spare: Vec::new(),
        })
    }
}

impl ReadAhead<'_> {
    /// How many bytes a chunk has; more than 0. For direct I/O a multiple of the alignment that the
    /// file [asks for](crate::fs::Metadata::direct_alignment).
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub fn chunk(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a chunk has at least one byte");
        self.chunk = bytes;
        self
    }

    /// How many reads are under way; 1 to 128.
    ///
    /// # Panics
    ///
    /// If it is 0 or more than 128.
    #[must_use]
    pub fn depth(mut self, reads: usize) -> Self {
        assert!((1..=MAX_DEPTH).contains(&reads), "a depth of {reads} is not in 1..={MAX_DEPTH}");
        self.depth = reads;
        self
    }

    /// The next chunk: as long as was asked for, except where a read came back short, as at the end
    /// of the file. `None` at the end, and then again and again.
    ///
    /// # Errors
    ///
    /// As for [`File::read_at`]. The next call tries the same place again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing. Dropping the reader cancels what is under way.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Takes a chunk back, for its memory to be used again.
    pub fn give_back(&mut self, chunk: Vec<u8>) {
        if self.spare.len() < self.depth && chunk.capacity() >= self.chunk {
            self.spare.push(chunk);
        }
    }

    /// Where in the file the next chunk begins.
    pub fn position(&self) -> u64 {
        self.reads.front().map_or(self.next, |read| read.offset)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        loop {
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            self.fill_up();
            for (place, read) in self.reads.iter_mut().enumerate() {
                read.state.poll(place == 0, cx);
            }
            let Some(Read { offset, len, state }) = self.reads.pop_front() else { continue };
            let (count, mut bytes) = match state {
                State::Done(Ok(count), bytes) => (count, bytes),
                State::Done(Err(error), _) => {
                    // What is behind it would leave a gap.
                    self.restart(offset);
                    if error.kind() == io::ErrorKind::Interrupted {
                        continue;
                    }
                    return Poll::Ready(Err(error));
                }
                state => {
                    self.reads.push_front(Read { offset, len, state });
                    return Poll::Pending;
                }
            };
            if count == 0 {
                self.restart(offset);
                self.ended = true;
                continue;
            }
            if count < len {
                // The end of the file, most often; if not, the rest comes before what is behind.
                let rest = self.read(offset + count as u64, len - count);
                self.reads.push_front(rest);
            }
            bytes.truncate(count);
            return Poll::Ready(Ok(Some(bytes)));
        }
    }

    /// Makes reads until as many as wanted are under way.
    fn fill_up(&mut self) {
        while self.reads.len() < self.depth {
            let read = self.read(self.next, self.chunk);
            // Saturated is beyond every file, and refused as such.
            self.next = self.next.saturating_add(self.chunk as u64);
            self.reads.push_back(read);
        }
    }

    fn restart(&mut self, offset: u64) {
        self.reads.clear();
        self.next = offset;
    }
}

impl<'f> ReadAhead<'f> {
    fn read(&mut self, offset: u64, len: usize) -> Read<'f> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.reserve_exact(len);
        let read = ReadAt::new(self.file, bytes.slice(..len), offset);
        Read { offset, len, state: State::Made(read) }
    }
}

impl State<'_> {
    /// Starts it if it has not started, and looks whether it is done if it is the `first`.
    fn poll(&mut self, first: bool, cx: &mut Context<'_>) {
        let read = match self {
            State::Made(read) => read,
            State::Started(read) if first => read,
            State::Started(_) | State::Done(..) => return,
        };
        let polled = Pin::new(read).poll(cx);
        let before = std::mem::replace(self, State::Done(Ok(0), Vec::new()));
        *self = match (polled, before) {
            (Poll::Ready((result, bytes)), _) => State::Done(result, bytes.into_inner()),
            (Poll::Pending, State::Made(read) | State::Started(read)) => State::Started(read),
            (Poll::Pending, done) => done,
        };
    }
}

impl fmt::Debug for ReadAhead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAhead")
            .field("file", &self.file)
            .field("position", &self.position())
            .field("chunk", &self.chunk)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}
