//! What can be done with an open file besides reading and writing it.

use std::fs::Permissions;
use std::io;
use std::ops::{Bound, RangeBounds};

use crate::blocking::CancelFlag;
use crate::fs::metadata::MASK;
use crate::fs::{File, Metadata, checked_offset};
use crate::op::Op;
use crate::op::extent::{Extent, OnExtent};
use crate::op::offload::offload;
use crate::op::statx::{Statx, Whose};
use crate::primitive::Arc;

/// What [`File::allocate`] does with a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Allocate {
    /// Reserves blocks, and extends the file if the range ends behind it. What is there stays, and
    /// what is new reads as zeros.
    Extend,
    /// Reserves blocks without changing the length of the file.
    KeepLen,
    /// Frees the blocks: the range reads as zeros. The length stays.
    PunchHole,
    /// The range reads as zeros, on blocks that are reserved; extends the file as `Extend` does.
    Zero,
    /// Takes the range out: what is behind it moves forward. Must be whole blocks of the file
    /// system.
    Collapse,
    /// Moves what is there and behind it backward, and leaves a hole. Must be whole blocks of the
    /// file system.
    Insert,
}

/// How a range of a file will be used: [`File::advise`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Advice {
    /// Nothing special.
    Normal,
    /// From front to back: more is read ahead.
    Sequential,
    /// Here and there: nothing is read ahead.
    Random,
    /// Once.
    NoReuse,
    /// Soon: it is read to the page cache.
    WillNeed,
    /// Not any more: it may leave the page cache.
    DontNeed,
}

/// How far [`File::sync_range`] goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SyncRange {
    /// Writing to the device is started, and not waited for.
    Start,
    /// Writing is started and waited for, whoever started it.
    Complete,
}

impl File {
    /// What the system knows about the file. Read at once without the ring (0.5 us), unless a
    /// server must be asked.
    ///
    /// # Errors
    ///
    /// What `statx(2)` answers; those of [`fs`](crate::fs).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let statx = Statx::new(Whose::File(Arc::clone(&self.shared)), 0, MASK);
        Op::new(statx, self.shared.fd.lane()).await.map(|answer| Metadata::new(&answer))
    }

    /// Cuts the file to `len` bytes, or extends it to them with a hole that reads as zeros.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a length above `i64::MAX`; what
    /// `ftruncate(2)` answers; those of [`fs`](crate::fs).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether it was done.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        let len = checked_offset(len)?;
        match self.on_extent(Extent::SetLen { len }).await {
            // A kernel before Linux 6.9 does not know the operation. One that does will say the
            // same again.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.blocking(move |file| file.set_len(len)).await
            }
            other => other,
        }
    }

    /// Reserves or frees blocks of the file: see [`Allocate`].
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for an empty range and one that ends beyond
    /// `i64::MAX`; what `fallocate(2)` answers, which is
    /// [`Unsupported`](io::ErrorKind::Unsupported) from a file system that cannot do it; those of
    /// [`fs`](crate::fs).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether it was done.
    pub async fn allocate(&self, how: Allocate, offset: u64, len: u64) -> io::Result<()> {
        let mode = match how {
            Allocate::Extend => 0,
            Allocate::KeepLen => libc::FALLOC_FL_KEEP_SIZE,
            Allocate::PunchHole => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
            Allocate::Zero => libc::FALLOC_FL_ZERO_RANGE,
            Allocate::Collapse => libc::FALLOC_FL_COLLAPSE_RANGE,
            Allocate::Insert => libc::FALLOC_FL_INSERT_RANGE,
        };
        let offset = checked_offset(offset)?;
        checked_offset(offset.saturating_add(len))?;
        self.on_extent(Extent::Allocate { mode, offset, len }).await
    }

    /// Says how a range of the file will be used: see [`Advice`]. An open end is the end of the
    /// file, whatever it is by then.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a range beyond `i64::MAX`; what
    /// `posix_fadvise(2)` answers; those of [`fs`](crate::fs).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether it was done.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use spargio::fs::{Advice, File};
    /// let file = File::open("log").await?;
    /// file.advise(Advice::Sequential, ..).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn advise(&self, advice: Advice, range: impl RangeBounds<u64>) -> io::Result<()> {
        let advice = match advice {
            Advice::Normal => libc::POSIX_FADV_NORMAL,
            Advice::Sequential => libc::POSIX_FADV_SEQUENTIAL,
            Advice::Random => libc::POSIX_FADV_RANDOM,
            Advice::NoReuse => libc::POSIX_FADV_NOREUSE,
            Advice::WillNeed => libc::POSIX_FADV_WILLNEED,
            Advice::DontNeed => libc::POSIX_FADV_DONTNEED,
        };
        for (offset, len) in Pieces::of(&range)? {
            self.on_extent(Extent::Advise { advice, offset, len }).await?;
        }
        Ok(())
    }

    /// Writes a range of what is in the page cache to the device, without metadata and without
    /// flushing the device's own cache: no promise that it survives a crash, which
    /// [`sync_data`](File::sync_data) gives. Spreads the work of a later `sync_data`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a range beyond `i64::MAX`; what
    /// `sync_file_range(2)` answers; those of [`fs`](crate::fs).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open what was written.
    pub async fn sync_range(&self, how: SyncRange, range: impl RangeBounds<u64>) -> io::Result<()> {
        let flags = match how {
            SyncRange::Start => libc::SYNC_FILE_RANGE_WRITE,
            SyncRange::Complete => {
                libc::SYNC_FILE_RANGE_WAIT_BEFORE
                    | libc::SYNC_FILE_RANGE_WRITE
                    | libc::SYNC_FILE_RANGE_WAIT_AFTER
            }
        };
        for (offset, len) in Pieces::of(&range)? {
            self.on_extent(Extent::Sync { flags, offset, len }).await?;
        }
        Ok(())
    }

    /// Sets the permissions of the file. Done by a thread of the blocking pool.
    ///
    /// # Errors
    ///
    /// What `fchmod(2)` answers; those of [`fs`](crate::fs).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether it was done.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.blocking(move |file| file.set_permissions(permissions)).await
    }

    async fn on_extent(&self, extent: Extent) -> io::Result<()> {
        let operation = OnExtent { file: Arc::clone(&self.shared), extent };
        Op::new(operation, self.shared.fd.lane()).await
    }

    /// What the ring has no opcode for, on a second descriptor of the same open file.
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(std::fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let fd = self.shared.fd.clone();
        let work = move |_: &CancelFlag<'_>| {
            let second = std::os::fd::AsFd::as_fd(&fd).try_clone_to_owned()?;
            call(second.into())
        };
        offload(self.shared.fd.lane(), work).await?
    }
}

/// A range in pieces whose lengths the kernel takes in 32 bits. The last piece of a range without
/// an end has the length 0, which stands for that.
struct Pieces {
    next: u64,
    end: Option<u64>,
    done: bool,
}

impl Pieces {
    /// A whole number of pages of any size.
    const LONGEST: u64 = 1 << 31;

    fn of(range: &impl RangeBounds<u64>) -> io::Result<Self> {
        let next = match range.start_bound() {
            Bound::Included(&first) => first,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => Some(last.saturating_add(1)),
            Bound::Excluded(&end) => Some(end),
            Bound::Unbounded => None,
        };
        for bound in [Some(next), end].into_iter().flatten() {
            checked_offset(bound)?;
        }
        Ok(Self { next, end, done: false })
    }
}

impl Iterator for Pieces {
    type Item = (u64, u32);

    fn next(&mut self) -> Option<(u64, u32)> {
        let Some(end) = self.end else {
            let is_first = !std::mem::replace(&mut self.done, true);
            return is_first.then_some((self.next, 0));
        };
        let len = end.saturating_sub(self.next).min(Self::LONGEST);
        if len == 0 {
            return None;
        }
        let at = self.next;
        self.next += len;
        Some((at, len as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::Pieces;

    fn pieces(range: impl std::ops::RangeBounds<u64>) -> Vec<(u64, u32)> {
        Pieces::of(&range).unwrap().collect()
    }

    #[test]
    fn ranges_are_cut_to_what_the_kernel_takes() {
        assert_eq!(pieces(..), [(0, 0)]);
        assert_eq!(pieces(5..), [(5, 0)]);
        assert_eq!(pieces(5..5), []);
        assert_eq!(pieces(5..=5), [(5, 1)]);
        let gib = 1 << 30;
        assert_eq!(
            pieces(1..5 * gib + 1),
            [(1, 1 << 31), (2 * gib + 1, 1 << 31), (4 * gib + 1, 1 << 30),]
        );
    }

    #[test]
    fn ranges_beyond_the_kernel_are_refused() {
        assert!(Pieces::of(&(0..u64::MAX)).is_err());
        assert!(Pieces::of(&(u64::MAX..)).is_err());
    }
}
