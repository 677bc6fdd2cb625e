//! Operations on names: what they own while the kernel has them, and errors that name the path.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::driver::Sqe;
use crate::id::ShardId;
use crate::op::path_error::{PathError, as_path};
use crate::op::{self, Complete, Operation, Outcome};

/// The path as the kernel takes it.
///
/// # Errors
///
/// `InvalidInput` for one with a NUL byte.
pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|nul| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the path {path:?} has a NUL byte at position {}", nul.nul_position()),
        )
    })
}

/// What becomes of one name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// It names a new directory with these permissions, less the umask.
    MakeDir { mode: u32 },
    /// It names nothing any more; it named something else than a directory.
    RemoveFile,
    /// It names nothing any more; it named an empty directory.
    RemoveDir,
}

/// Changes what one path names, relative to the working directory.
#[derive(Debug)]
pub(crate) struct ChangeName {
    pub(crate) path: CString,
    pub(crate) change: Change,
}

// SAFETY:
// - I1: the one address is that of the path, which is on the heap and owned by `self`; the
//   directory is no fd but the working directory.
unsafe impl Operation for ChangeName {
    fn entry(&mut self) -> Sqe {
        let (dir, path) = (libc::AT_FDCWD, self.path.as_ptr());
        match self.change {
            Change::MakeDir { mode } => Sqe::mkdir_at(dir, path, mode),
            Change::RemoveFile => Sqe::unlink_at(dir, path, 0),
            Change::RemoveDir => Sqe::unlink_at(dir, path, libc::AT_REMOVEDIR),
        }
    }
}

impl Complete for ChangeName {
    type Output = io::Result<()>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<()> {
        let action = match self.change {
            Change::MakeDir { .. } => "create the directory",
            Change::RemoveFile => "remove the file",
            Change::RemoveDir => "remove the directory",
        };
        let named = |error| PathError::wrap(action, as_path(&self.path), error);
        outcome.map(drop).map_err(named)
    }

    fn finish_lost(home: ShardId) -> io::Result<()> {
        Err(op::lost(home))
    }
}

/// What is done with two names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pairing {
    /// The first file gets the second name instead of its own, with `RENAME_*` flags.
    Rename { flags: u32 },
    /// The first file gets the second name as well.
    Link,
    /// The second name becomes a symbolic link with the first as its text.
    Symlink,
}

/// Does something with two paths, both relative to the working directory.
#[derive(Debug)]
pub(crate) struct PairNames {
    pub(crate) first: CString,
    pub(crate) second: CString,
    pub(crate) pairing: Pairing,
}

// SAFETY:
// - I1: the two addresses are those of the paths, which are on the heap and owned by `self`; the
//   directory is no fd but the working directory.
unsafe impl Operation for PairNames {
    fn entry(&mut self) -> Sqe {
        let (first, second) = (self.first.as_ptr(), self.second.as_ptr());
        match self.pairing {
            Pairing::Rename { flags } => Sqe::rename(first, second, flags),
            Pairing::Link => Sqe::link(first, second),
            Pairing::Symlink => Sqe::symlink(first, second),
        }
    }
}

impl Complete for PairNames {
    type Output = io::Result<()>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<()> {
        let (first, second) = (as_path(&self.first), as_path(&self.second));
        outcome.map(drop).map_err(|error| match self.pairing {
            Pairing::Rename { flags: libc::RENAME_EXCHANGE } => {
                PathError::wrap_two("exchange with another name", first, second, error)
            }
            Pairing::Rename { .. } => PathError::wrap_two("rename", first, second, error),
            Pairing::Link => PathError::wrap_two("link", first, second, error),
            // The text of a link is what it leads to, so the link comes first here.
            Pairing::Symlink => PathError::wrap_two("make a symbolic link", second, first, error),
        })
    }

    fn finish_lost(home: ShardId) -> io::Result<()> {
        Err(op::lost(home))
    }
}
