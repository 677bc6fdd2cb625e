//! Files and directories: what the ring has an opcode for is done on the ring, and the rest by a
//! bounded pool of threads.
//!
//! The functions here take the shard whose thread this is; [`on`] names one, for other threads and
//! executors. Errors of operations on paths name the path: see [`PathError`].
//!
//! A [`File`] has no cursor. Every read and write says where, so that any number of them may be in
//! flight on one file at once, from any number of tasks, without a lock. [`File::cursor`] is for
//! those who go from front to back. Buffers are owned by the operation and come back with its
//! result (see [`BufResult`](crate::BufResult)).
//!
//! Dropping the future of an operation cancels it. What the kernel still reads or writes meanwhile,
//! the buffer and the descriptor, stays alive until the kernel has let go of it. A write that is
//! cancelled may have been carried out.
//!
//! # Errors
//!
//! Beside what the system call of the same name answers, every operation fails with
//! [`WouldBlock`](std::io::ErrorKind::WouldBlock) when its shard has as many operations in flight
//! as it may, and with [`BrokenPipe`](std::io::ErrorKind::BrokenPipe) when the runtime shuts down.

mod copy;
mod cursor;
mod du;
mod file;
mod file_type;
mod fixed;
mod io;
mod manage;
mod metadata;
mod on;
mod options;
mod path;
mod read;
mod read_ahead;
mod read_dir;
mod read_exact;
mod steps;
mod temp;
mod vectored;
mod whole;
mod write;
mod write_all;

pub use crate::op::PathError;
pub use cursor::FileCursor;
pub use du::{DuErrorMode, DuOptions, DuSizeMode, DuSummary, DuSymlinkMode, du};
pub use file::File;
pub use file_type::{DirEntryType, FileType};
pub use fixed::register_fixed;
pub use manage::{Advice, Allocate, SyncRange};
pub use metadata::{DirectAlignment, Metadata};
pub use on::{Fs, on};
pub use options::OpenOptions;
pub use path::{
    canonicalize, copy, create_dir, create_dir_all, exists, hard_link, metadata, read, read_dir,
    read_link, read_to_string, remove_dir, remove_dir_all, remove_file, rename, rename_exchange,
    rename_no_replace, set_permissions, symlink, symlink_metadata, write,
};
pub use read::ReadAt;
pub use read_ahead::ReadAhead;
pub use read_dir::{DirEntry, ReadDir};
pub use read_exact::ReadExactAt;
pub use temp::{TempDir, TempFile, temp_file};
pub use vectored::{ReadVectoredAt, WriteVectoredAt};
pub use write::WriteAt;
pub use write_all::WriteAllAt;

/// The offset as the kernel takes it.
///
/// # Errors
///
/// `InvalidInput` for what is beyond its signed 64 bits. The largest `u64` would even mean
/// something else to it: the descriptor's own cursor.
fn checked_offset(offset: u64) -> std::io::Result<u64> {
    const LIMIT: u64 = i64::MAX as u64;
    if offset <= LIMIT {
        return Ok(offset);
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::InvalidInput,
        format!("the offset {offset} is beyond {LIMIT}, the last one of a file"),
    ))
}

#[cfg(test)]
mod tests;
