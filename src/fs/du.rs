//! How much room a tree takes.

use std::io;
use std::path::Path;

use crate::fs::Fs;
use crate::op::offload::offload;

mod walk;

/// Which size of a file [`du`] adds up.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DuSizeMode {
    /// What it takes on its device: units of 512 bytes, without holes. As `du`.
    #[default]
    Allocated,
    /// Its length, also that of a directory or a link. As `du --apparent-size` before coreutils
    /// 9.2, which leaves the lengths of directories out since.
    Apparent,
}

/// What [`du`] does with symbolic links.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DuSymlinkMode {
    /// A link counts itself. As `du`.
    #[default]
    NoFollow,
    /// What a link leads to counts in its place, once, however many links lead there. As `du -L`.
    Follow,
}

/// What [`du`] does when something cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DuErrorMode {
    /// It ends with the error.
    #[default]
    FailFast,
    /// It goes on, and counts how often that was. As `du`.
    Skip,
}

/// How [`du`] counts.
///
/// ```
/// use spargio::fs::{DuOptions, DuSizeMode};
/// let options = DuOptions::new().size_mode(DuSizeMode::Apparent).one_file_system(true);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DuOptions {
    size_mode: DuSizeMode,
    symlink_mode: DuSymlinkMode,
    hardlink_dedupe: bool,
    one_file_system: bool,
    error_mode: DuErrorMode,
}

impl DuOptions {
    /// As `du` without options, except that the first error ends it.
    pub const fn new() -> Self {
        Self {
            size_mode: DuSizeMode::Allocated,
            symlink_mode: DuSymlinkMode::NoFollow,
            hardlink_dedupe: true,
            one_file_system: false,
            error_mode: DuErrorMode::FailFast,
        }
    }

    /// Which size counts; [`Allocated`](DuSizeMode::Allocated) unless set.
    #[must_use]
    pub const fn size_mode(mut self, mode: DuSizeMode) -> Self {
        self.size_mode = mode;
        self
    }

    /// Whether symbolic links are followed; not unless set.
    #[must_use]
    pub const fn symlink_mode(mut self, mode: DuSymlinkMode) -> Self {
        self.symlink_mode = mode;
        self
    }

    /// Whether a file with several names counts once; so unless set otherwise (`du -l`).
    #[must_use]
    pub const fn hardlink_dedupe(mut self, dedupe: bool) -> Self {
        self.hardlink_dedupe = dedupe;
        self
    }

    /// Whether what is on another file system than the root is left out (`du -x`); not unless set.
    #[must_use]
    pub const fn one_file_system(mut self, one: bool) -> Self {
        self.one_file_system = one;
        self
    }

    /// What an error does; it ends the count unless set otherwise.
    #[must_use]
    pub const fn error_mode(mut self, mode: DuErrorMode) -> Self {
        self.error_mode = mode;
        self
    }
}

impl Default for DuOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`du`] counted. A file that was counted already, under another name or through another
/// link, is in none of the numbers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct DuSummary {
    /// The sum of the sizes, in bytes.
    pub total_bytes: u64,
    /// What was counted: files, directories, links, and devices, pipes and sockets.
    pub total_entries: u64,
    /// Regular files.
    pub files: u64,
    /// Directories, the root among them.
    pub directories: u64,
    /// Symbolic links that count themselves.
    pub symlinks: u64,
    /// What could not be read; with [`DuErrorMode::Skip`] only. A directory that cannot be read is
    /// counted itself.
    pub skipped_errors: u64,
    /// What was left out for being on another file system; with
    /// [`DuOptions::one_file_system`] only.
    pub skipped_cross_device: u64,
}

/// How much room a file or a tree takes. A directory counts once, through however many mounts and
/// links it is reached.
///
/// Done by a thread of the blocking pool: about a microsecond for each entry that is in memory.
///
/// # Errors
///
/// What the system answers, in a [`PathError`](crate::fs::PathError): about the root in any case,
/// about what is below it with [`DuErrorMode::FailFast`]. Outside of a runtime the error names
/// [`fs::on`](crate::fs::on).
///
/// # Cancel safety
///
/// Dropping the future ends the walk soon.
///
/// # Examples
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// use spargio::fs::{self, DuOptions};
/// let sum = fs::du("src", DuOptions::new()).await?;
/// println!("{} bytes in {} files", sum.total_bytes, sum.files);
/// assert!(sum.files > 0);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn du(root: impl AsRef<Path>, options: DuOptions) -> io::Result<DuSummary> {
    Fs::ambient()?.du(root, options).await
}

impl Fs {
    /// See [`fs::du`](crate::fs::du).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn du(&self, root: impl AsRef<Path>, options: DuOptions) -> io::Result<DuSummary> {
        let owned = root.as_ref().to_owned();
        drop(root);
        offload(&self.0, move |flag| walk::sum_up(owned, options, flag)).await?
    }
}
