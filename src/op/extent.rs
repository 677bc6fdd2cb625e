//! Operations on ranges of a file: its length, its blocks, and what is known about its use.

use std::io;

use crate::driver::Sqe;
use crate::id::ShardId;
use crate::op::file::FileFd;
use crate::op::{self, Complete, Operation, Outcome};
use crate::primitive::Arc;

/// What is done with the range. Offsets and lengths are those of the kernel, at most `i64::MAX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// The file is cut or extended to this length.
    SetLen { len: u64 },
    /// Blocks are allocated or freed (`FALLOC_FL_*`).
    Allocate { mode: i32, offset: u64, len: u64 },
    /// It will be used like this (`POSIX_FADV_*`); a length of 0 is up to the end.
    Advise { advice: i32, offset: u64, len: u32 },
    /// It is written to the device (`SYNC_FILE_RANGE_*`); a length of 0 is up to the end.
    Sync { flags: u32, offset: u64, len: u32 },
}

/// Does something with a range of a file.
#[derive(Debug)]
pub(crate) struct OnExtent {
    pub(crate) file: Arc<FileFd>,
    pub(crate) extent: Extent,
}

// SAFETY:
// - I1: no address, and the fd is kept open by the share.
unsafe impl Operation for OnExtent {
    fn entry(&mut self) -> Sqe {
        let fd = self.file.fd.number();
        match self.extent {
            Extent::SetLen { len } => Sqe::ftruncate(fd, len),
            Extent::Allocate { mode, offset, len } => Sqe::fallocate(fd, mode, offset, len),
            Extent::Advise { advice, offset, len } => Sqe::fadvise(fd, offset, len, advice),
            Extent::Sync { flags, offset, len } => Sqe::sync_file_range(fd, offset, len, flags),
        }
    }
}

impl Complete for OnExtent {
    type Output = io::Result<()>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<()> {
        outcome.map(drop)
    }

    fn finish_lost(home: ShardId) -> io::Result<()> {
        Err(op::lost(home))
    }
}
