//! Errors that name what they are about.

use std::error::Error;
use std::ffi::{CStr, OsStr};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What is inside the [`io::Error`] of an operation on a path: what was to be done, to which path,
/// and what the system answered.
///
/// The kind of the outer error is that of the system's answer. Its number is not: it is here.
///
/// ```
/// use spargio::fs::{self, PathError};
///
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let error = fs::metadata("/no/such/path").await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// assert!(error.to_string().contains("/no/such/path"));
/// let inner = PathError::of(&error).unwrap();
/// assert_eq!(inner.raw_os_error(), Some(2));
/// # });
/// ```
#[derive(Debug)]
pub struct PathError {
    action: &'static str,
    path: PathBuf,
    second: Option<PathBuf>,
    source: io::Error,
}

impl PathError {
    /// The inside of an error, if it is that of an operation on a path.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The path that the operation was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The other path, for operations with two, such as a rename.
    pub fn second_path(&self) -> Option<&Path> {
        self.second.as_deref()
    }

    /// What the system answered.
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }

    /// The number of the system's answer (`errno(3)`), if it was the system that answered.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// An error about one path: "cannot `action` `path`".
    pub(crate) fn wrap(action: &'static str, path: &Path, source: io::Error) -> io::Error {
        let kind = source.kind();
        io::Error::new(kind, Self { action, path: path.to_owned(), second: None, source })
    }

    /// An error about two paths: "cannot `action` `path` to `second`".
    pub(crate) fn wrap_two(
        action: &'static str,
        path: &Path,
        second: &Path,
        source: io::Error,
    ) -> io::Error {
        let (path, second) = (path.to_owned(), Some(second.to_owned()));
        io::Error::new(source.kind(), Self { action, path, second, source })
    }
}

/// The path that a string for the kernel is.
pub(crate) fn as_path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {:?}", self.action, self.path)?;
        if let Some(second) = &self.second {
            write!(f, " to {second:?}")?;
        }
        write!(f, ": {}", self.source)
    }
}

impl Error for PathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
