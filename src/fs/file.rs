//! A file without a cursor.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use crate::buf::{IoBuf, IoBufMut};
use crate::fs::{OpenOptions, ReadAt, ReadExactAt, WriteAllAt, WriteAt};
use crate::op::Op;
use crate::op::file::{self, FileFd, Fsync};
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

/// An open file, read and written at offsets.
///
/// Clones are cheap and share the descriptor, which is closed when the last clone and the last
/// operation on it are gone: on a shard through the ring, without waiting. Use
/// [`close`](Self::close) to learn whether closing went well, and [`sync_all`](Self::sync_all) to
/// learn whether the data is safe.
///
/// Operations run on the ring of the shard that polls them, so a file follows a task that is
/// stolen. On a thread that belongs to no shard of the runtime they run on the shard that the file
/// was opened on.
///
/// ```no_run
/// use spargio::fs::File;
///
/// # async fn example() -> std::io::Result<()> {
/// let file = File::open("/etc/hostname").await?;
/// let (read, buf) = file.read_at(Vec::with_capacity(256), 0).await;
/// println!("{} bytes: {:?}", read?, String::from_utf8_lossy(&buf));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct File {
    pub(super) shared: Arc<FileFd>,
    pub(super) blocking_writes: bool,
}

impl File {
    pub(super) fn new(fd: OwnedFd, lane: Arc<dyn Lane>, blocking_writes: bool) -> Self {
        Self { shared: Arc::new(FileFd::new(fd, lane)), blocking_writes }
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// As for [`OpenOptions::open`]; outside of a runtime the error names
    /// [`open_on`](Self::open_on).
    ///
    /// # Cancel safety
    ///
    /// A descriptor that arrives for a dropped future is closed.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let recipe = OpenOptions::new().read(true).recipe(path.as_ref())?;
        drop(path);
        recipe.open(port::ambient_lane("File::open_on")?).await
    }

    /// As [`open`](Self::open), from any thread and any executor, with a shard that is named.
    ///
    /// # Errors
    ///
    /// As for [`OpenOptions::open`].
    pub async fn open_on(lane: &impl ToLane, path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).open_on(lane, path).await
    }

    /// Opens a file for writing: creates it if it does not exist, cuts it to length 0 if it does.
    ///
    /// # Errors
    ///
    /// As for [`OpenOptions::open`]; outside of a runtime the error names
    /// [`create_on`](Self::create_on).
    ///
    /// # Cancel safety
    ///
    /// A descriptor that arrives for a dropped future is closed; the file may have been created or
    /// truncated.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let recipe = Self::creation().recipe(path.as_ref())?;
        drop(path);
        recipe.open(port::ambient_lane("File::create_on")?).await
    }

    /// As [`create`](Self::create), from any thread and any executor, with a shard that is named.
    ///
    /// # Errors
    ///
    /// As for [`OpenOptions::open`].
    pub async fn create_on(lane: &impl ToLane, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::creation().open_on(lane, path).await
    }

    pub(super) fn creation() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        options
    }

    /// Takes a file of the standard library over. Its cursor is not used and not moved.
    ///
    /// # Errors
    ///
    /// When no runtime owns the thread; the error names [`from_std_on`](Self::from_std_on). The
    /// file is then closed.
    pub fn from_std(file: std::fs::File) -> io::Result<Self> {
        let lane = port::ambient_lane("File::from_std_on")?;
        Ok(Self::new(file.into(), lane, false))
    }

    /// As [`from_std`](Self::from_std), from any thread, with a shard that is named.
    pub fn from_std_on(lane: &impl ToLane, file: std::fs::File) -> Self {
        Self::new(file.into(), lane.to_lane().0, false)
    }

    /// Reads at `offset` into the buffer, from its start, and says how many bytes were read: up to
    /// [`bytes_total`](IoBuf::bytes_total) of the buffer and up to
    /// [`MAX_TRANSFER`](crate::MAX_TRANSFER). Fewer than asked for are no error; 0 is the end of
    /// the file, or a buffer without room, for which the kernel is not asked.
    ///
    /// What is in the page cache is read at once by a direct call (0.45 us for 4 KiB) unless other
    /// operations wait to be submitted anyway, which it then joins. On file systems without
    /// non-blocking reads (tmpfs) the ring does it in a kernel worker thread (5 us or more).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for an offset above `i64::MAX`; what
    /// `pread(2)` answers; those of [`fs`](crate::fs). The buffer comes back with every error.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled again after it was ready.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the read and gives the buffer up. The file has no cursor, so
    /// nothing is lost.
    pub fn read_at<B: IoBufMut>(&self, buf: B, offset: u64) -> ReadAt<'_, B> {
        ReadAt::new(self, buf, offset)
    }

    /// Writes the initialised bytes of the buffer at `offset`, and says how many were written: up
    /// to [`MAX_TRANSFER`](crate::MAX_TRANSFER), and perhaps fewer. An empty buffer is written
    /// without asking the kernel. A file that was opened to append writes to its end instead.
    ///
    /// Through the ring, which gives buffered writes to a kernel worker thread: 5 to 36 us for 4
    /// KiB. See [`OpenOptions::blocking_writes`] for the alternative.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for an offset above `i64::MAX`; what
    /// `pwrite(2)` answers; those of [`fs`](crate::fs). The buffer comes back with every error.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled again after it was ready.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the write and gives the buffer up; the write may or may not have
    /// been carried out, in whole or in part.
    pub fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> WriteAt<'_, B> {
        WriteAt::new(self, buf, offset)
    }

    /// Reads from `offset` on until all [`bytes_total`](IoBuf::bytes_total) bytes of the buffer are
    /// filled, in as many reads as it takes.
    ///
    /// For a vector that is its whole capacity, which may be more than was asked for; read into
    /// `vec.slice(..n)` to fix the length.
    ///
    /// With direct I/O a read that ended within a block is followed by one from the start of that
    /// block, if the system refuses it where the first ended.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the file ends first; otherwise as for
    /// [`read_at`](Self::read_at). What was read until then is in the buffer.
    ///
    /// # Cancel safety
    ///
    /// As for [`read_at`](Self::read_at).
    pub fn read_exact_at<B: IoBufMut>(&self, buf: B, offset: u64) -> ReadExactAt<'_, B> {
        ReadExactAt::new(self, buf, offset)
    }

    /// Writes all initialised bytes of the buffer from `offset` on, in as many writes as it takes.
    ///
    /// With direct I/O a write that ended within a block is followed by one from the start of that
    /// block, if the system refuses it where the first ended.
    ///
    /// # Errors
    ///
    /// [`WriteZero`](io::ErrorKind::WriteZero) if the file takes no more; otherwise as for
    /// [`write_at`](Self::write_at). Part of the buffer may have been written.
    ///
    /// # Cancel safety
    ///
    /// As for [`write_at`](Self::write_at).
    pub fn write_all_at<B: IoBuf>(&self, buf: B, offset: u64) -> WriteAllAt<'_, B> {
        WriteAllAt::new(self, buf, offset)
    }

    /// Flushes what was written, and all metadata, to the device (`fsync(2)`): what was written by
    /// operations that had completed before.
    ///
    /// Takes what the device takes: 0.1 ms to many. A kernel worker thread waits for it.
    ///
    /// # Errors
    ///
    /// What `fsync(2)` answers. After an error it is unknown what reached the device, and a second
    /// call may succeed without having written it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether the data was flushed.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.sync(false).await
    }

    /// As [`sync_all`](Self::sync_all), without metadata that reading back does not need, such as
    /// times (`fdatasync(2)`).
    ///
    /// # Errors
    ///
    /// As for [`sync_all`](Self::sync_all).
    pub async fn sync_data(&self) -> io::Result<()> {
        self.sync(true).await
    }

    /// Closes the file and reports what the file system answers: for NFS and quotas this is where
    /// a failed write may come to light.
    ///
    /// # Errors
    ///
    /// - [`ResourceBusy`](io::ErrorKind::ResourceBusy) if a clone, an operation in flight or one
    ///   that was dropped and not yet ended still uses the descriptor. It then stays open until the
    ///   last of them is gone; only this handle is.
    /// - What `close(2)` answers. The descriptor is closed nevertheless.
    ///
    /// # Cancel safety
    ///
    /// The file is closed also if the future is dropped, before its first poll or after.
    pub async fn close(self) -> io::Result<()> {
        let lane = Arc::clone(self.shared.fd.lane());
        match self.into_owned() {
            Ok(fd) => file::close(fd, lane).await,
            Err(shared) => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!(
                    "descriptor {} stays open: other handles or operations use it ({} in all)",
                    shared.as_raw_fd(),
                    Arc::strong_count(&shared.shared) - 1,
                ),
            )),
        }
    }

    /// The file as one of the standard library.
    ///
    /// # Errors
    ///
    /// The handle comes back if a clone, an operation in flight or one that was dropped and not yet
    /// ended still uses the descriptor.
    pub fn into_std(self) -> Result<std::fs::File, Self> {
        self.into_owned().map(std::fs::File::from)
    }

    async fn sync(&self, data_only: bool) -> io::Result<()> {
        let fsync = Fsync { file: Arc::clone(&self.shared), data_only };
        Op::new(fsync, self.shared.fd.lane()).await
    }

    fn into_owned(self) -> Result<OwnedFd, Self> {
        let blocking_writes = self.blocking_writes;
        self.shared.into_owned().map_err(|shared| Self { shared, blocking_writes })
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.fd.number()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("fd", &self.shared.fd.number()).finish_non_exhaustive()
    }
}
