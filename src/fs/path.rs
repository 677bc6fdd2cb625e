//! Operations on paths.

use std::fs::Permissions;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{Fs, Metadata, ReadDir};

/// What the system knows about the file that the path leads to, through symbolic links.
///
/// Metadata that is in memory is read at once, without the ring (about 2 us with the walk along the
/// path). What is not, and what a server must be asked for, is fetched by a worker thread of the
/// kernel (7 us and more).
///
/// # Errors
///
/// What `stat(2)` answers, in a [`PathError`](crate::fs::PathError); outside of a runtime the error
/// names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future changes nothing.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    Fs::ambient()?.metadata(path).await
}

/// As [`metadata`], of a symbolic link itself if the path leads to one.
///
/// # Errors
///
/// As for [`metadata`].
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    Fs::ambient()?.symlink_metadata(path).await
}

/// Whether the path leads to something, through symbolic links.
///
/// The answer may be outdated when it arrives: to create what does not exist, use
/// [`OpenOptions::create_new`](crate::fs::OpenOptions::create_new).
///
/// # Errors
///
/// When it cannot be known, for lack of permission for instance; as for [`metadata`].
pub async fn exists(path: impl AsRef<Path>) -> io::Result<bool> {
    Fs::ambient()?.exists(path).await
}

/// Creates a directory.
///
/// # Errors
///
/// What `mkdir(2)` answers, in a [`PathError`](crate::fs::PathError); outside of a runtime the
/// error names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future leaves it open whether the directory was created.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.create_dir(path).await
}

/// Creates a directory and those above it that are missing.
///
/// # Errors
///
/// As for [`create_dir`]; no error if it exists and is a directory.
///
/// # Cancel safety
///
/// Dropping the future leaves some of the directories created.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.create_dir_all(path).await
}

/// Removes the name of something that is no directory. The file goes with its last name, once
/// nobody has it open.
///
/// # Errors
///
/// What `unlink(2)` answers, in a [`PathError`](crate::fs::PathError); outside of a runtime the
/// error names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future leaves it open whether the name was removed.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.remove_file(path).await
}

/// Removes an empty directory.
///
/// # Errors
///
/// What `rmdir(2)` answers, as for [`remove_file`].
///
/// # Cancel safety
///
/// Dropping the future leaves it open whether the directory was removed.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.remove_dir(path).await
}

/// Removes a directory with all that is in it. Symbolic links are removed and not followed, also
/// when somebody puts one in the place of a directory meanwhile.
///
/// Done by a thread of the blocking pool.
///
/// # Errors
///
/// The first that occurs, as for [`remove_file`]; what was removed before stays removed.
///
/// # Cancel safety
///
/// What has begun goes on to its end after the future was dropped.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.remove_dir_all(path).await
}

/// Gives a file another name on the same file system. What had that name before is replaced, in one
/// step: at every moment the name leads to the one or to the other.
///
/// # Errors
///
/// What `rename(2)` answers, in a [`PathError`](crate::fs::PathError) that names both paths;
/// outside of a runtime the error names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future leaves it open whether the file was renamed.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.rename(from, to).await
}

/// As [`rename`], but replaces nothing.
///
/// # Errors
///
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the name is taken;
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file system cannot do it in one step; else
/// as for [`rename`].
///
/// # Cancel safety
///
/// As for [`rename`].
pub async fn rename_no_replace(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.rename_no_replace(from, to).await
}

/// Exchanges what two names lead to, in one step.
///
/// # Errors
///
/// [`NotFound`](io::ErrorKind::NotFound) if one of the two leads to nothing;
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file system cannot do it in one step; else
/// as for [`rename`].
///
/// # Cancel safety
///
/// As for [`rename`].
pub async fn rename_exchange(first: impl AsRef<Path>, second: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.rename_exchange(first, second).await
}

/// Gives a file a second name on the same file system. A symbolic link is not followed.
///
/// # Errors
///
/// What `link(2)` answers, in a [`PathError`](crate::fs::PathError) that names both paths; outside
/// of a runtime the error names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future leaves it open whether the name was made.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.hard_link(original, link).await
}

/// Makes a symbolic link at `link` that leads to `original`, which need not exist, and which
/// counts from the directory of the link if it is relative.
///
/// # Errors
///
/// What `symlink(2)` answers, as for [`hard_link`].
///
/// # Cancel safety
///
/// As for [`hard_link`].
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    Fs::ambient()?.symlink(original, link).await
}

/// Where a symbolic link leads.
///
/// Done by a thread of the blocking pool.
///
/// # Errors
///
/// What `readlink(2)` answers, in a [`PathError`](crate::fs::PathError); outside of a runtime the
/// error names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future changes nothing.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    Fs::ambient()?.read_link(path).await
}

/// The path from the root, without symbolic links, `.` and `..`.
///
/// Done by a thread of the blocking pool.
///
/// # Errors
///
/// What `realpath(3)` answers, as for [`read_link`].
///
/// # Cancel safety
///
/// Dropping the future changes nothing.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    Fs::ambient()?.canonicalize(path).await
}

/// Sets the permissions of what the path leads to, through symbolic links.
///
/// Done by a thread of the blocking pool.
///
/// # Errors
///
/// What `chmod(2)` answers, as for [`read_link`].
///
/// # Cancel safety
///
/// Dropping the future leaves it open whether they were set.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    Fs::ambient()?.set_permissions(path, permissions).await
}

/// The entries of a directory, in the order in which the file system has them.
///
/// # Errors
///
/// When it cannot be opened: what `open(2)` answers, in a [`PathError`](crate::fs::PathError);
/// outside of a runtime the error names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future changes nothing.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let mut entries = spargio::fs::read_dir("/etc").await?;
/// while let Some(entry) = entries.next_entry().await? {
///     println!("{:?} is a {:?}", entry.file_name(), entry.entry_type());
/// }
/// # Ok(())
/// # }
/// ```
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    Fs::ambient()?.read_dir(path).await
}

/// The contents of a file, to its real end: also of files that say they are empty, as those in
/// `/proc` do.
///
/// # Errors
///
/// What `open(2)` and `read(2)` answer, in a [`PathError`](crate::fs::PathError); outside of a
/// runtime the error names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future changes nothing.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    Fs::ambient()?.read(path).await
}

/// As [`read`], as text.
///
/// # Errors
///
/// [`InvalidData`](io::ErrorKind::InvalidData) if it is no UTF-8; else as for [`read`].
///
/// # Cancel safety
///
/// Dropping the future changes nothing.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    Fs::ambient()?.read_to_string(path).await
}

/// Makes the bytes the contents of a file, which is created if it does not exist. They are not
/// flushed to the device: see [`File::sync_all`](crate::fs::File::sync_all).
///
/// # Errors
///
/// What `open(2)` and `write(2)` answer, in a [`PathError`](crate::fs::PathError); outside of a
/// runtime the error names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future leaves the file as it was, empty, or with a part of the bytes.
pub async fn write(path: impl AsRef<Path>, contents: impl Into<Vec<u8>>) -> io::Result<()> {
    Fs::ambient()?.write(path, contents).await
}

/// Copies the contents and permissions of a file to another, which is created or overwritten, and
/// says how many bytes that were.
///
/// Done by a thread of the blocking pool; the kernel copies, without the data passing through the
/// program, where the file systems can (`copy_file_range(2)`).
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if `from` is no regular file; else what the system
/// answers, in a [`PathError`](crate::fs::PathError) that names both paths; outside of a runtime
/// the error names [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future ends the copy soon; what was copied until then stays.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    Fs::ambient()?.copy(from, to).await
}
