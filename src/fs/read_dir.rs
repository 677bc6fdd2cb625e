//! The entries of a directory.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::blocking::Offload;
use crate::fs::{DirEntryType, FileType, Fs, Metadata, OpenOptions};
use crate::op::offload::offload;
use crate::op::{Fd, Op, PathError, dirents};
use crate::port::Lane;
use crate::primitive::Arc;

/// The entries of a directory, read in batches by a thread of the blocking pool: made by
/// [`read_dir`](crate::fs::read_dir).
///
/// Entries come in the order of the file system, without `.` and `..`. What is added or removed
/// meanwhile may or may not be among them.
pub struct ReadDir {
    base: Arc<Base>,
    fd: Fd,
    batch: Vec<u8>,
    /// Where in the batch the next entry is.
    at: usize,
    ended: bool,
    more: Option<Offload<Batch>>,
}

/// Entries, whether the directory has ended with them, and an error that came after them.
struct Batch {
    bytes: Vec<u8>,
    ended: io::Result<bool>,
}

/// What all entries of a directory share.
struct Base {
    path: PathBuf,
    fs: Fs,
}

pub(super) async fn open(lane: &Arc<dyn Lane>, path: PathBuf) -> io::Result<ReadDir> {
    let mut options = OpenOptions::new();
    let open = options.read(true).custom_flags(libc::O_DIRECTORY).open_at(&path)?;
    let fd = Fd::new(Op::new(open, lane).await?, Arc::clone(lane));
    Ok(ReadDir {
        base: Arc::new(Base { path, fs: Fs(Arc::clone(lane)) }),
        fd,
        batch: Vec::new(),
        at: 0,
        ended: false,
        more: None,
    })
}

impl ReadDir {
    /// The next entry; `None` at the end, and then again and again.
    ///
    /// # Errors
    ///
    /// What `getdents(2)` answers, in a [`PathError`](crate::fs::PathError); the directory then
    /// ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no entry.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// As [`next_entry`](Self::next_entry), for those who poll themselves.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            if let Some((record, next)) = dirents::record(&self.batch, self.at) {
                self.at = next;
                return Poll::Ready(Ok(Some(DirEntry {
                    base: Arc::clone(&self.base),
                    name: OsString::from_vec(record.name.to_bytes().to_vec()),
                    inode: record.inode,
                    entry_type: FileType::of_entry(record.kind),
                })));
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            let more = self.more.get_or_insert_with(|| {
                let (fd, mut bytes) = (self.fd.clone(), std::mem::take(&mut self.batch));
                bytes.clear();
                offload(&self.base.fs.0, move |_| {
                    let ended = dirents::read(fd.as_fd(), &mut bytes);
                    Batch { bytes, ended }
                })
            });
            let batch = ready!(Pin::new(more).poll(cx));
            self.more = None;
            let named = |error| PathError::wrap("read the directory", &self.base.path, error);
            let batch = batch.and_then(|batch| {
                (self.batch, self.at) = (batch.bytes, 0);
                batch.ended
            });
            match batch {
                Ok(ended) => self.ended = ended,
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Err(named(error)));
                }
            }
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").field("path", &self.base.path).finish_non_exhaustive()
    }
}

/// One entry of a directory.
pub struct DirEntry {
    base: Arc<Base>,
    name: OsString,
    inode: u64,
    entry_type: DirEntryType,
}

impl DirEntry {
    /// The name within the directory, byte for byte as the file system has it.
    pub fn file_name(&self) -> &OsStr {
        &self.name
    }

    /// The name within the directory, to be kept.
    pub fn into_file_name(self) -> OsString {
        self.name
    }

    /// The path of the directory, as it was given, with the name appended.
    pub fn path(&self) -> PathBuf {
        self.base.path.join(&self.name)
    }

    /// Its number within the file system.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// What it is, as far as the directory says: some file systems leave it at
    /// [`Unknown`](FileType::Unknown). A symbolic link is a symbolic link.
    pub fn entry_type(&self) -> DirEntryType {
        self.entry_type
    }

    /// What it is; asks for the metadata if the directory does not say.
    ///
    /// # Errors
    ///
    /// As for [`metadata`](Self::metadata).
    pub async fn file_type(&self) -> io::Result<FileType> {
        match self.entry_type {
            FileType::Unknown => Ok(self.metadata().await?.file_type()),
            known => Ok(known),
        }
    }

    /// What the system knows about it; of the link itself if it is a symbolic link.
    ///
    /// # Errors
    ///
    /// As for [`symlink_metadata`](crate::fs::symlink_metadata).
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.base.fs.symlink_metadata(self.path()).await
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirEntry")
            .field("path", &self.path())
            .field("inode", &self.inode)
            .field("entry_type", &self.entry_type)
            .finish()
    }
}
