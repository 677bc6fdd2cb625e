//! The operations on files: what they own while the kernel has them, and what their answers mean.

use std::ffi::CString;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::buf::{BufResult, IoBuf, IoBufMut, transfer_len};
use crate::driver::Sqe;
use crate::id::ShardId;
use crate::op::path_error::{PathError, as_path};
use crate::op::predict::Predictor;
use crate::op::{self, Complete, Fd, Inline, Op, Operation, Outcome};
use crate::options::LEAVES_PER_FILE_CALL;
use crate::port::{self, Lane};
use crate::primitive::Arc;

/// Whether the file was opened for direct I/O. Asked once: `RWF_NOWAIT` does not keep such a read
/// from sleeping (0.15 to 6 ms measured), and asking before each read costs a system call.
fn is_direct(fd: &OwnedFd) -> bool {
    // SAFETY:
    // - the call takes no memory and changes nothing.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    flags >= 0 && flags & libc::O_DIRECT != 0
}

/// What the handles of one open file and the operations on it share.
#[derive(Debug)]
pub(crate) struct FileFd {
    pub(crate) fd: Fd,
    reads: Predictor,
    /// Reads go past the page cache, and a direct call would sleep until the device has answered.
    is_direct: bool,
}

impl FileFd {
    /// Shares a descriptor. Operations on it that start away from shards go to `lane`.
    pub(crate) fn new(fd: OwnedFd, lane: Arc<dyn Lane>) -> Self {
        let is_direct = is_direct(&fd);
        Self { fd: Fd::new(fd, lane), reads: Predictor::default(), is_direct }
    }

    /// Whether it was opened for direct I/O.
    pub(crate) fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// The descriptor, if neither a handle nor an operation uses it besides.
    ///
    /// # Errors
    ///
    /// The share comes back.
    pub(crate) fn into_owned(self: Arc<Self>) -> Result<OwnedFd, Arc<Self>> {
        let Self { fd, reads, is_direct } = Arc::try_unwrap(self)?;
        fd.into_owned().map_err(|fd| Arc::new(Self { fd, reads, is_direct }))
    }

    /// Writes by `pwrite(2)`, which may block, and goes on when it is interrupted.
    ///
    /// # Errors
    ///
    /// What `pwrite(2)` answers; among it `ESPIPE` for what has no offsets.
    ///
    /// # Panics
    ///
    /// If the offset is above `i64::MAX`.
    pub(crate) fn write_now(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let offset = i64::try_from(offset).expect("offsets are checked before they come here");
        loop {
            let (number, from) = (self.fd.number(), bytes.as_ptr().cast());
            // SAFETY:
            // - pointer and length are those of one slice, borrowed during the call.
            let count = unsafe { libc::pwrite64(number, from, bytes.len(), offset) };
            if let Ok(count) = usize::try_from(count) {
                return Ok(count);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

/// Opens a path, relative to the working directory.
#[derive(Debug)]
pub(crate) struct OpenAt {
    pub(crate) path: CString,
    /// `O_*`.
    pub(crate) flags: i32,
    pub(crate) mode: u32,
}

// SAFETY:
// - I1: the one address is that of the path, which is on the heap and owned by `self`; the
//   directory is no fd but the working directory.
unsafe impl Operation for OpenAt {
    fn entry(&mut self) -> Sqe {
        Sqe::open_at(libc::AT_FDCWD, self.path.as_ptr(), self.flags, self.mode)
    }

    fn abandon(self, outcome: Option<Outcome>) {
        if let Some(Ok(outcome)) = outcome.map(Outcome::check) {
            op::close(opened(outcome));
        }
    }
}

impl Complete for OpenAt {
    type Output = io::Result<OwnedFd>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<OwnedFd> {
        let named = |error| PathError::wrap("open", as_path(&self.path), error);
        outcome.map(opened).map_err(named)
    }

    fn finish_lost(home: ShardId) -> io::Result<OwnedFd> {
        Err(op::lost(home))
    }
}

/// The descriptor that a successful open answered.
fn opened(outcome: Outcome) -> OwnedFd {
    // SAFETY:
    // - the kernel opened the descriptor for this operation, whose outcome is looked at once.
    unsafe { OwnedFd::from_raw_fd(outcome.result) }
}

/// The read or write of the buffer, by the number of its memory if the ring of this shard knows it.
fn fixed<B: IoBuf>(sqe: Sqe, buf: &B) -> Sqe {
    let Some(part) = buf.fixed() else { return sqe };
    let number = port::with(|port| port.and_then(|port| port.fixed_number(part)));
    number.map_or(sqe, |number| sqe.fixed(number))
}

/// Reads at an offset, from the start of the buffer.
#[derive(Debug)]
pub(crate) struct ReadAt<B> {
    pub(crate) file: Arc<FileFd>,
    pub(crate) buf: B,
    pub(crate) offset: u64,
}

// SAFETY:
// - I1: the buffer is owned by `self`, and its address and its first `bytes_total` bytes stay (O1,
//   O2 and O5 of the buffer traits); the fd is kept open by the share.
unsafe impl<B: IoBufMut> Operation for ReadAt<B> {
    fn entry(&mut self) -> Sqe {
        let len = transfer_len(self.buf.bytes_total());
        Sqe::read(self.file.fd.number(), self.buf.stable_mut_ptr(), len, self.offset)
    }

    fn ring_entry(&mut self) -> Sqe {
        fixed(self.entry(), &self.buf)
    }
}

impl<B: IoBufMut> Complete for ReadAt<B> {
    type Output = BufResult<usize, B>;

    const LEAVES: i64 = LEAVES_PER_FILE_CALL;

    fn inline(&self) -> Inline {
        if self.file.is_direct { Inline::Never } else { self.file.reads.next() }
    }

    fn attempted(&self, finished: bool) {
        self.file.reads.note(finished);
    }

    fn finish(mut self, outcome: io::Result<Outcome>) -> BufResult<usize, B> {
        let read = outcome.map(|outcome| {
            let count = outcome.bytes();
            // SAFETY:
            // - the kernel wrote `count` bytes from the start of the buffer, and was given room for
            //   no more than `bytes_total`.
            unsafe { self.buf.set_init(count) };
            count
        });
        (read, self.buf)
    }
}

/// Writes what is initialised of the buffer at an offset.
#[derive(Debug)]
pub(crate) struct WriteAt<B> {
    pub(crate) file: Arc<FileFd>,
    pub(crate) buf: B,
    pub(crate) offset: u64,
}

// SAFETY:
// - I1: the buffer is owned by `self`, and its address and its first `bytes_init` bytes stay (O1,
//   O2 and O3 of the buffer traits); the fd is kept open by the share.
unsafe impl<B: IoBuf> Operation for WriteAt<B> {
    fn entry(&mut self) -> Sqe {
        let len = transfer_len(self.buf.bytes_init());
        Sqe::write(self.file.fd.number(), self.buf.stable_ptr(), len, self.offset)
    }

    fn ring_entry(&mut self) -> Sqe {
        fixed(self.entry(), &self.buf)
    }
}

impl<B: IoBuf> Complete for WriteAt<B> {
    type Output = BufResult<usize, B>;

    fn finish(self, outcome: io::Result<Outcome>) -> BufResult<usize, B> {
        (outcome.map(Outcome::bytes), self.buf)
    }
}

/// Flushes a file to its device.
#[derive(Debug)]
pub(crate) struct Fsync {
    pub(crate) file: Arc<FileFd>,
    /// Leaves out metadata that reading back does not need.
    pub(crate) data_only: bool,
}

// SAFETY:
// - I1: no address, and the fd is kept open by the share.
unsafe impl Operation for Fsync {
    fn entry(&mut self) -> Sqe {
        Sqe::fsync(self.file.fd.number(), self.data_only)
    }
}

impl Complete for Fsync {
    type Output = io::Result<()>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<()> {
        outcome.map(drop)
    }

    fn finish_lost(home: ShardId) -> io::Result<()> {
        Err(op::lost(home))
    }
}

/// Closes the descriptor and says what the file system answered. It is closed also if the future is
/// dropped.
pub(crate) async fn close(fd: OwnedFd, lane: Arc<dyn Lane>) -> io::Result<()> {
    Uncancelled(Op::new(Close { fd, pushed: false }, &lane)).await
}

struct Close {
    fd: OwnedFd,
    pushed: bool,
}

impl Close {
    /// The end of the descriptor: by the kernel if it had the entry, else here.
    fn settle(self) {
        if self.pushed {
            // The number is free whatever the kernel answered, and may be somebody else's by now.
            // (A close that shutdown cancels before it began keeps its number: better than to
            // close what may be another's.)
            let _closed_by_the_kernel = self.fd.into_raw_fd();
        }
    }
}

// SAFETY:
// - I1: no address. The fd is not kept open, as closing it is the operation; nobody else has it.
unsafe impl Operation for Close {
    fn entry(&mut self) -> Sqe {
        self.pushed = true;
        Sqe::close(self.fd.as_raw_fd())
    }

    fn abandon(self, _: Option<Outcome>) {
        self.settle();
    }
}

impl Complete for Close {
    type Output = io::Result<()>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<()> {
        self.settle();
        outcome.map(drop)
    }

    fn finish_lost(home: ShardId) -> io::Result<()> {
        Err(op::lost(home))
    }
}

/// Goes on after it was dropped: a close that is under way is not called back.
struct Uncancelled<'l>(Op<'l, Close>);

impl Future for Uncancelled<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Drop for Uncancelled<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.0.take_claim() {
            // What the answer says about a cancel is left aside.
            let _in_flight = claim.abandon();
        }
    }
}
