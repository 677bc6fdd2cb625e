//! The walk through a tree that adds sizes up.

use std::collections::HashSet;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::blocking::CancelFlag;
use crate::fs::FileType;
use crate::fs::du::{DuErrorMode, DuOptions, DuSizeMode, DuSummary, DuSymlinkMode};
use crate::op::path::c_path;
use crate::op::{PathError, dirents};
use crate::primitive::Arc;

/// What is asked of each entry.
const MASK: u32 =
    libc::STATX_TYPE | libc::STATX_NLINK | libc::STATX_INO | libc::STATX_SIZE | libc::STATX_BLOCKS;

/// Which file: device and number.
type Identity = ((u32, u32), u64);

/// A directory that was counted and not yet read. It is found by its parent, which stays open as
/// long as one of its directories waits: so no path is too long, and of a deep tree only those
/// levels are open that still have something to be read.
struct Waiting {
    parent: Option<Arc<OwnedFd>>,
    name: CString,
    /// For errors.
    path: PathBuf,
}

struct Walk {
    options: DuOptions,
    sum: DuSummary,
    root_device: (u32, u32),
    seen: HashSet<Identity>,
    waiting: Vec<Waiting>,
}

/// Adds up what is at and below the root, until nobody wants to know any more.
pub(super) fn sum_up(
    root: PathBuf,
    options: DuOptions,
    flag: &CancelFlag<'_>,
) -> io::Result<DuSummary> {
    let name = c_path(&root)?;
    let follow = options.symlink_mode == DuSymlinkMode::Follow;
    let about = dirents::stat_at(None, &name, follow, MASK)
        .map_err(|error| PathError::wrap("read the metadata of", &root, error))?;
    let mut walk = Walk {
        options,
        sum: DuSummary::default(),
        root_device: (about.stx_dev_major, about.stx_dev_minor),
        seen: HashSet::new(),
        waiting: Vec::new(),
    };
    if walk.count(&about) {
        walk.waiting.push(Waiting { parent: None, name, path: root });
    }
    let mut batch = Vec::new();
    while let Some(next) = walk.waiting.pop() {
        if flag.is_canceled() {
            break;
        }
        walk.read(next, &mut batch)?;
    }
    Ok(walk.sum)
}

impl Walk {
    /// Counts what is in a directory.
    fn read(&mut self, directory: Waiting, batch: &mut Vec<u8>) -> io::Result<()> {
        let Waiting { parent, name, path } = directory;
        let parent_fd = parent.as_ref().map(|parent| parent.as_fd());
        let fd = match dirents::open_dir_at(parent_fd, &name, self.follows() || parent.is_none()) {
            Ok(fd) => Arc::new(fd),
            Err(error) => {
                return self.failed(PathError::wrap("read the directory", &path, error));
            }
        };
        drop(parent);
        loop {
            batch.clear();
            let ended = dirents::read(fd.as_fd(), batch);
            let mut at = 0;
            while let Some((record, next)) = dirents::record(batch, at) {
                at = next;
                match self.entry(fd.as_fd(), record.name) {
                    Ok(false) => {}
                    Ok(true) => self.waiting.push(Waiting {
                        parent: Some(Arc::clone(&fd)),
                        name: record.name.to_owned(),
                        path: path.join(OsStr::from_bytes(record.name.to_bytes())),
                    }),
                    Err(error) => {
                        let path = path.join(OsStr::from_bytes(record.name.to_bytes()));
                        self.failed(PathError::wrap("read the metadata of", &path, error))?;
                    }
                }
            }
            match ended {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    return self.failed(PathError::wrap("read the directory", &path, error));
                }
            }
        }
    }

    /// Counts an entry; whether it is a directory to be read.
    fn entry(&mut self, directory: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
        let about = dirents::stat_at(Some(directory), name, self.follows(), MASK)?;
        let device = (about.stx_dev_major, about.stx_dev_minor);
        if self.options.one_file_system && device != self.root_device {
            self.sum.skipped_cross_device += 1;
            return Ok(false);
        }
        Ok(self.count(&about))
    }

    /// Counts a file unless it was counted already; whether it is a directory to be read.
    fn count(&mut self, about: &libc::statx) -> bool {
        let file_type = FileType::of_mode(u32::from(about.stx_mode));
        let is_dir = file_type.is_dir();
        // Only what can be reached in two ways is worth remembering.
        let is_once =
            is_dir || self.options.hardlink_dedupe && (self.follows() || about.stx_nlink > 1);
        let identity = ((about.stx_dev_major, about.stx_dev_minor), about.stx_ino);
        if is_once && !self.seen.insert(identity) {
            return false;
        }
        let size = match self.options.size_mode {
            DuSizeMode::Allocated => about.stx_blocks.saturating_mul(512),
            DuSizeMode::Apparent => about.stx_size,
        };
        // The lengths of a few files with holes may add up to more than there are numbers.
        self.sum.total_bytes = self.sum.total_bytes.saturating_add(size);
        self.sum.total_entries += 1;
        match file_type {
            FileType::File => self.sum.files += 1,
            FileType::Directory => self.sum.directories += 1,
            FileType::Symlink => self.sum.symlinks += 1,
            _ => {}
        }
        is_dir
    }

    /// Goes on after an error, if that is wanted.
    fn failed(&mut self, error: io::Error) -> io::Result<()> {
        if self.options.error_mode == DuErrorMode::FailFast {
            return Err(error);
        }
        self.sum.skipped_errors += 1;
        Ok(())
    }

    fn follows(&self) -> bool {
        self.options.symlink_mode == DuSymlinkMode::Follow
    }
}
