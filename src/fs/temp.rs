//! Files and directories that do not stay.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{File, Fs, OpenOptions};
use crate::op::offload::clear_up;
use crate::op::path::{Change, ChangeName, c_path};
use crate::op::{Op, PathError};
use crate::primitive::Arc;

/// Names that are tried before giving up: one of them being taken is a matter of 2 to the 64.
const TRIES: usize = 8;

/// An empty file without a name, open for reading and writing, which is gone when it is closed. In
/// the directory for temporary files ([`std::env::temp_dir`]), and for this user only.
///
/// # Errors
///
/// What `open(2)` answers, in a [`PathError`]; outside of a runtime the error names
/// [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future leaves nothing; on a file system without files that have no name
/// (`O_TMPFILE`) it may leave an empty one.
///
/// # Examples
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let scratch = spargio::fs::temp_file().await?;
/// scratch.write_all_at("notes", 0).await.0?;
/// assert_eq!(scratch.read_to_string_at(0).await?, "notes");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn temp_file() -> io::Result<File> {
    Fs::ambient()?.temp_file().await
}

/// A file with a name of its own, which is removed when the value is dropped: made by
/// [`Fs::temp_file_in`].
///
/// Dropping it leaves the removal to a thread of the blocking pool; [`close`](Self::close) waits
/// for it and says whether it went well. A program that is ended from outside leaves the file.
#[derive(Debug)]
pub struct TempFile {
    file: File,
    place: Place,
}

/// A directory of one's own, which is removed with all that is in it when the value is dropped.
///
/// Dropping it leaves the removal to a thread of the blocking pool; [`close`](Self::close) waits
/// for it and says whether it went well. A program that is ended from outside leaves the directory.
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// use spargio::fs::{self, TempDir};
/// let dir = TempDir::new().await?;
/// fs::write(dir.path().join("notes"), "text").await?;
/// dir.close().await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct TempDir(Place);

impl Fs {
    /// See [`fs::temp_file`](crate::fs::temp_file).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn temp_file(&self) -> io::Result<File> {
        let dir = std::env::temp_dir();
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE | libc::O_EXCL);
        match options.recipe(&dir)?.open(Arc::clone(&self.0)).await {
            Err(error) if lacks_nameless(&error) => {
                let TempFile { file, place } = self.temp_file_in(&dir).await?;
                place.remove().await?;
                Ok(file)
            }
            opened => opened,
        }
    }

    /// An empty file with a name of its own in this directory, which is removed when the value is
    /// dropped; open for reading and writing, and for this user only.
    ///
    /// # Errors
    ///
    /// What `open(2)` answers, in a [`PathError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave an empty file.
    pub async fn temp_file_in(&self, dir: impl AsRef<Path>) -> io::Result<TempFile> {
        let dir = dir.as_ref().to_owned();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let mut tries = TRIES;
        loop {
            let place = Place::new(self, &dir, false);
            match options.recipe(&place.path)?.open(Arc::clone(&self.0)).await {
                Ok(file) => return Ok(TempFile { file, place: place.armed() }),
                Err(error) => tries = again(tries, error)?,
            }
        }
    }

    /// A directory of one's own in this directory, which is removed when the value is dropped; for
    /// this user only.
    ///
    /// # Errors
    ///
    /// What `mkdir(2)` answers, in a [`PathError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave an empty directory.
    pub async fn temp_dir_in(&self, dir: impl AsRef<Path>) -> io::Result<TempDir> {
        let dir = dir.as_ref().to_owned();
        let mut tries = TRIES;
        loop {
            let place = Place::new(self, &dir, true);
            let change = Change::MakeDir { mode: 0o700 };
            let make = ChangeName { path: c_path(&place.path)?, change };
            match Op::new(make, &self.0).await {
                Ok(()) => return Ok(TempDir(place.armed())),
                Err(error) => tries = again(tries, error)?,
            }
        }
    }
}

impl TempFile {
    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Gives the file its name for good, in the place of what has that name: a file that is there
    /// is complete at every moment. It must be on the same file system.
    ///
    /// # Errors
    ///
    /// As for [`fs::rename`](crate::fs::rename); the file is then removed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether it has the name; if not, it is removed.
    pub async fn persist(mut self, to: impl AsRef<Path>) -> io::Result<File> {
        let to = to.as_ref().to_owned();
        self.place.fs.rename(&self.place.path, &to).await?;
        self.place.is_ours = false;
        Ok(self.file.clone())
    }

    /// Leaves the file where it is, and says where.
    pub fn keep(mut self) -> (File, PathBuf) {
        self.place.is_ours = false;
        (self.file.clone(), self.place.path.clone())
    }

    /// Removes the file.
    ///
    /// # Errors
    ///
    /// As for [`fs::remove_file`](crate::fs::remove_file); it is then tried once more by a thread
    /// of the blocking pool.
    ///
    /// # Cancel safety
    ///
    /// It is removed also if the future is dropped.
    pub async fn close(self) -> io::Result<()> {
        self.place.remove().await
    }
}

impl TempDir {
    /// A directory in that for temporary files ([`std::env::temp_dir`]).
    ///
    /// # Errors
    ///
    /// As for [`Fs::temp_dir_in`]; outside of a runtime the error names
    /// [`fs::on`](crate::fs::on).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave an empty directory.
    pub async fn new() -> io::Result<Self> {
        Fs::ambient()?.temp_dir_in(std::env::temp_dir()).await
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Leaves the directory where it is, and says where.
    pub fn keep(mut self) -> PathBuf {
        self.0.is_ours = false;
        self.0.path.clone()
    }

    /// Removes the directory with all that is in it.
    ///
    /// # Errors
    ///
    /// As for [`fs::remove_dir_all`](crate::fs::remove_dir_all); it is then tried once more by a
    /// thread of the blocking pool.
    ///
    /// # Cancel safety
    ///
    /// It is removed also if the future is dropped.
    pub async fn close(self) -> io::Result<()> {
        self.0.remove().await
    }
}

/// A name that is removed when this is dropped, if what it names is ours.
struct Place {
    fs: Fs,
    path: PathBuf,
    is_dir: bool,
    is_ours: bool,
}

impl Place {
    /// A name that nobody has, in all probability.
    fn new(fs: &Fs, dir: &Path, is_dir: bool) -> Self {
        // Keys that nobody can foresee are what it is made for.
        let number = RandomState::new().build_hasher().finish();
        let path = dir.join(format!(".spargio-{number:016x}"));
        Self { fs: fs.clone(), path, is_dir, is_ours: false }
    }

    fn armed(mut self) -> Self {
        self.is_ours = true;
        self
    }

    async fn remove(mut self) -> io::Result<()> {
        let removed = if self.is_dir {
            self.fs.remove_dir_all(&self.path).await
        } else {
            self.fs.remove_file(&self.path).await
        };
        // Not before, so that it is removed also when this future is dropped; and what was
        // interrupted, say, is tried once more without anybody who waits.
        self.is_ours = removed.is_err();
        removed
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_ours {
            return;
        }
        let (path, is_dir) = (std::mem::take(&mut self.path), self.is_dir);
        clear_up(&self.fs.0, move || {
            let removed =
                if is_dir { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            // Nobody is there to be told; `close` tells.
            drop(removed);
        });
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// How many tries are left after this error.
fn again(tries: usize, error: io::Error) -> io::Result<usize> {
    let left = tries - 1;
    if error.kind() == io::ErrorKind::AlreadyExists && left > 0 { Ok(left) } else { Err(error) }
}

/// Whether the file system, or the kernel, has no files without a name.
fn lacks_nameless(error: &io::Error) -> bool {
    let number = PathError::of(error).and_then(PathError::raw_os_error);
    matches!(number, Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL))
}
