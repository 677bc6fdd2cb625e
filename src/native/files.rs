//! Reading, writing and flushing by descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::buf::{BufResult, IoBuf, IoBufMut, transfer_len};
use crate::driver::Sqe;
use crate::id::ShardId;
use crate::native::cqe::UringCqe;
use crate::native::submit::NativeOp;
use crate::native::uring_any::UringNativeAny;

/// A descriptor and a buffer that an entry names.
pub(super) struct Transfer<F, B> {
    pub(super) fd: F,
    pub(super) buf: B,
}

impl<F: AsFd, B: IoBufMut> Transfer<F, B> {
    /// After the kernel was given the buffer from its start.
    ///
    /// # Safety
    ///
    /// The answer is that to an entry which writes to the start of `buf`, no more than
    /// `bytes_total`, and says how much.
    pub(super) unsafe fn filled(self, answer: io::Result<UringCqe>) -> BufResult<usize, B> {
        let Self { fd, mut buf } = self;
        drop(fd);
        let read = answer.and_then(UringCqe::check).map(|count| {
            let count = count as usize;
            // SAFETY:
            // - the kernel wrote `count` bytes from the start, and had room for no more than
            //   `bytes_total`: the caller's promise.
            unsafe { buf.set_init(count) };
            count
        });
        (read, buf)
    }
}

impl<F: AsFd, B: IoBuf> Transfer<F, B> {
    /// After the kernel has read of the buffer.
    pub(super) fn emptied(self, answer: io::Result<UringCqe>) -> BufResult<usize, B> {
        drop(self.fd);
        (answer.and_then(UringCqe::check).map(|count| count as usize), self.buf)
    }
}

impl UringNativeAny {
    /// Reads up to `len` bytes at an offset, into memory of its own. Offset `u64::MAX` stands for
    /// the cursor of the descriptor, and for what has none: pipes, terminals.
    ///
    /// Fewer bytes than asked for are no error; none are the end of the file.
    ///
    /// # Errors
    ///
    /// What `pread(2)` answers; those of [`submit_unsafe`](Self::submit_unsafe).
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// # runtime.block_on(async {
    /// let (reader, writer) = std::io::pipe()?;
    /// native.write_at(writer, u64::MAX, "through a pipe").await.0?;
    /// assert_eq!(native.read_at(reader, u64::MAX, 64).await?, b"through a pipe");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn read_at<F>(&self, fd: F, offset: u64, len: usize) -> NativeOp<io::Result<Vec<u8>>>
    where
        F: AsFd + Send + 'static,
    {
        self.read_at_on(self.pick(), fd, offset, len)
    }

    /// As [`read_at`](Self::read_at), on this shard, which there is.
    pub(super) fn read_at_on<F>(
        &self,
        shard: ShardId,
        fd: F,
        offset: u64,
        len: usize,
    ) -> NativeOp<io::Result<Vec<u8>>>
    where
        F: AsFd + Send + 'static,
    {
        let owned = Transfer { fd, buf: Vec::with_capacity(len) };
        let complete = |owned: Transfer<F, Vec<u8>>, answer| {
            // SAFETY:
            // - it is the answer to `read_entry`.
            let (read, bytes) = unsafe { owned.filled(answer) };
            read.map(|_| bytes)
        };
        let build = move |owned: &mut _| Ok(read_entry(owned, offset));
        // SAFETY: as `read_entry` says; the buffer is on the heap behind what the operation owns.
        unsafe { self.start(shard, None, owned, build, complete) }
    }

    /// As [`read_at`](Self::read_at), to the start of a buffer.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// The future panics if the shard ended and left the buffer to the kernel.
    pub fn read_at_into<F, B>(&self, fd: F, offset: u64, buf: B) -> NativeOp<BufResult<usize, B>>
    where
        F: AsFd + Send + 'static,
        B: IoBufMut,
    {
        let complete = |owned: Transfer<F, B>, answer| {
            // SAFETY:
            // - it is the answer to `read_entry`.
            unsafe { owned.filled(answer) }
        };
        let build = move |owned: &mut _| Ok(read_entry(owned, offset));
        // SAFETY: as `read_entry` says.
        unsafe { self.start(self.pick(), None, Transfer { fd, buf }, build, complete) }
    }

    /// Writes what is initialised of a buffer at an offset, or as much of it as goes. Offset
    /// `u64::MAX` stands for the cursor of the descriptor, and for what has none.
    ///
    /// # Errors
    ///
    /// What `pwrite(2)` answers; those of [`submit_unsafe`](Self::submit_unsafe).
    ///
    /// # Panics
    ///
    /// As [`read_at_into`](Self::read_at_into).
    pub fn write_at<F, B>(&self, fd: F, offset: u64, buf: B) -> NativeOp<BufResult<usize, B>>
    where
        F: AsFd + Send + 'static,
        B: IoBuf,
    {
        self.write_at_on(self.pick(), fd, offset, buf)
    }

    /// As [`write_at`](Self::write_at), on this shard, which there is.
    pub(super) fn write_at_on<F, B>(
        &self,
        shard: ShardId,
        fd: F,
        offset: u64,
        buf: B,
    ) -> NativeOp<BufResult<usize, B>>
    where
        F: AsFd + Send + 'static,
        B: IoBuf,
    {
        let build = move |owned: &mut Transfer<F, B>| {
            let (from, len) = (owned.buf.stable_ptr(), transfer_len(owned.buf.bytes_init()));
            Ok(Sqe::write(owned.fd.as_fd().as_raw_fd(), from, len, offset))
        };
        // SAFETY:
        // - the first `bytes_init` bytes of the buffer stay where they are as long as it is neither
        //   moved nor dropped (O1, O2), and nobody else writes to them.
        // - `owned` keeps the descriptor open: it is not touched while its loan goes on.
        unsafe {
            self.start(shard, None, Transfer { fd, buf }, build, |owned, answer| {
                owned.emptied(answer)
            })
        }
    }

    /// Flushes a file to its device (`fsync(2)`).
    ///
    /// # Errors
    ///
    /// What the call answers; those of [`submit_unsafe`](Self::submit_unsafe).
    pub fn fsync<F>(&self, fd: F) -> NativeOp<io::Result<()>>
    where
        F: AsFd + Send + 'static,
    {
        // SAFETY:
        // - the entry names no memory, and `owned` keeps the descriptor open.
        unsafe {
            self.start(
                self.pick(),
                None,
                fd,
                |fd| Ok(Sqe::fsync(fd.as_fd().as_raw_fd(), false)),
                |_, answer| answer.and_then(UringCqe::check).map(drop),
            )
        }
    }
}

/// Reads to the buffer. What it names is there as long as `owned` is neither moved nor dropped: the
/// first `bytes_total` bytes of the buffer (O2, O5), which nobody else uses (O6), and the
/// descriptor, whose loan goes on until the answer is there.
fn read_entry<F: AsFd, B: IoBufMut>(owned: &mut Transfer<F, B>, offset: u64) -> Sqe {
    let (to, len) = (owned.buf.stable_mut_ptr(), transfer_len(owned.buf.bytes_total()));
    Sqe::read(owned.fd.as_fd().as_raw_fd(), to, len, offset)
}
