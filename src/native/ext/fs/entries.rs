//! The entries of a directory, all at once.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::fs::FileType;
use crate::op::offload::offload;
use crate::op::path::c_path;
use crate::op::{PathError, dirents};
use crate::port::ToLane;

/// One entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DirEntry {
    /// The name within the directory, byte for byte as the file system has it.
    pub file_name: OsString,
    /// Its number within the file system.
    pub inode: u64,
    /// What it is, as far as the directory says; a symbolic link is a symbolic link.
    pub entry_type: FileType,
}

/// All entries of a directory, in the order of their names, without `.` and `..`.
///
/// The ring has no opcode for it: `getdents64(2)` on a thread of the blocking pool, one job for the
/// whole directory. [`fs::read_dir`](crate::fs::read_dir) hands them out bit by bit.
///
/// # Errors
///
/// What `open(2)` and `getdents64(2)` answer, in a [`PathError`](crate::fs::PathError).
///
/// # Cancel safety
///
/// When the future is dropped, the job runs to its end and nobody hears of it.
///
/// # Examples
///
/// ```
/// use spargio::extension::fs::read_dir_entries;
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # let handle = runtime.handle();
/// # runtime.block_on(async {
/// let entries = read_dir_entries(&handle, ".").await?;
/// let manifest = entries.iter().find(|entry| entry.file_name == "Cargo.toml").unwrap();
/// assert!(manifest.entry_type.is_file());
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn read_dir_entries(
    lane: &impl ToLane,
    path: impl AsRef<Path>,
) -> io::Result<Vec<DirEntry>> {
    let path = path.as_ref().to_owned();
    let entries = offload(&lane.to_lane().0, move |_| {
        let named = |error| PathError::wrap("read the directory", &path, error);
        let dir = dirents::open_dir_at(None, &c_path(&path)?, true).map_err(named)?;
        let mut entries = Vec::new();
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let has_ended = dirents::read(dir.as_fd(), &mut bytes).map_err(named)?;
            let mut at = 0;
            while let Some((record, next)) = dirents::record(&bytes, at) {
                at = next;
                entries.push(DirEntry {
                    file_name: OsString::from_vec(record.name.to_bytes().to_vec()),
                    inode: record.inode,
                    entry_type: FileType::of_entry(record.kind),
                });
            }
            if has_ended {
                entries.sort_unstable_by(|a, b| a.file_name.cmp(&b.file_name));
                return Ok(entries);
            }
        }
    });
    entries.await?
}
