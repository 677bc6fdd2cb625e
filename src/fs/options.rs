//! How a file is opened.

use std::io;
use std::path::Path;

use crate::fs::File;
use crate::op::Op;
use crate::op::file::OpenAt;
use crate::op::path::c_path;
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

/// How a file is opened: the options of [`std::fs::OpenOptions`] with the same meaning, and one
/// more, [`blocking_writes`](Self::blocking_writes).
///
/// Descriptors are opened with `O_CLOEXEC`.
///
/// ```no_run
/// use spargio::fs::OpenOptions;
///
/// # async fn example() -> std::io::Result<()> {
/// let journal = OpenOptions::new().read(true).write(true).create(true).open("journal").await?;
/// let (written, _entry) = journal.write_at("entry\n", 0).await;
/// assert_eq!(written?, 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    blocking_writes: bool,
    mode: u32,
    custom_flags: i32,
}

impl OpenOptions {
    /// Options with nothing set; at least one of [`read`](Self::read), [`write`](Self::write) and
    /// [`append`](Self::append) must be.
    ///
    /// ```
    /// use spargio::fs::OpenOptions;
    /// let mut options = OpenOptions::new();
    /// options.write(true).create(true).truncate(true);
    /// ```
    pub const fn new() -> Self {
        Self {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            blocking_writes: false,
            mode: 0o666,
            custom_flags: 0,
        }
    }

    /// Whether the file may be read.
    pub const fn read(&mut self, read: bool) -> &mut Self {
        self.read = read;
        self
    }

    /// Whether the file may be written.
    pub const fn write(&mut self, write: bool) -> &mut Self {
        self.write = write;
        self
    }

    /// Whether every write goes to the end of the file, whatever offset it names (`O_APPEND`).
    /// Implies write access.
    pub const fn append(&mut self, append: bool) -> &mut Self {
        self.append = append;
        self
    }

    /// Whether an existing file is cut to length 0. Needs [`write`](Self::write).
    pub const fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.truncate = truncate;
        self
    }

    /// Whether a file that does not exist is created. Needs [`write`](Self::write) or
    /// [`append`](Self::append).
    pub const fn create(&mut self, create: bool) -> &mut Self {
        self.create = create;
        self
    }

    /// Whether the file must be created by this very call: opening one that exists fails with
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists). Needs [`write`](Self::write) or
    /// [`append`](Self::append); [`create`](Self::create) and [`truncate`](Self::truncate) are then
    /// without meaning.
    pub const fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.create_new = create_new;
        self
    }

    /// The permission bits of a file that is created, from which the system takes the umask away;
    /// `0o666` unless set.
    pub const fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Further `O_*` flags; those of the access mode are cut off.
    pub const fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.custom_flags = flags;
        self
    }

    /// Whether [`File::write_at`] and [`File::write_all_at`] call `pwrite(2)` on the polling thread
    /// instead of going through the ring.
    ///
    /// A buffered write almost always only copies to the page cache. Linux has no way to do it
    /// without the chance of blocking (on ext4 and tmpfs `RWF_NOWAIT` is refused for writes), so a
    /// ring gives each to a kernel worker thread. Measured on Linux 6.18 on a 2-core virtual
    /// machine, 4 KiB each: 0.55 us by `pwrite(2)`, 5 us through the ring when the worker runs on
    /// the same processor, 36 us when it runs on another.
    ///
    /// **The risk:** when more pages are dirty than the system allows (`vm.dirty_ratio`), when a
    /// page must be read before it is written in part, or when the file system commits its journal,
    /// `pwrite(2)` blocks, for milliseconds or, on a slow device, for seconds. With it blocks every
    /// task and every timer of the shard; only stealable tasks that wait in its queue can go on
    /// elsewhere. Good for modest amounts on a fast device, for tmpfs, and for programs with
    /// nothing else to do; wrong for bulk writes beside requests that must be answered.
    ///
    /// Off unless set: writes go through the ring.
    pub const fn blocking_writes(&mut self, blocking: bool) -> &mut Self {
        self.blocking_writes = blocking;
        self
    }

    /// Opens a file; its operations run on the shards that poll them, and on the present shard
    /// when they are polled on a thread that belongs to no shard of the runtime.
    ///
    /// A name that the kernel has cached is opened without a thread switch (1.6 us); creating a
    /// file or looking a name up on the device is done by a kernel worker thread, 4 us more.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput) for options that contradict each other,
    ///   which are named, and for a path with a NUL byte.
    /// - When no runtime owns the thread: the error names [`open_on`](Self::open_on).
    /// - What `openat(2)` answers.
    ///
    /// # Cancel safety
    ///
    /// A descriptor that arrives for a dropped future is closed. The file may have been created or
    /// truncated.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let recipe = self.recipe(path.as_ref())?;
        drop(path);
        recipe.open(port::ambient_lane("OpenOptions::open_on")?).await
    }

    /// As [`open`](Self::open), from any thread and any executor, with a shard that is named.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn open_on(&self, lane: &impl ToLane, path: impl AsRef<Path>) -> io::Result<File> {
        let recipe = self.recipe(path.as_ref())?;
        drop(path);
        recipe.open(lane.to_lane().0).await
    }

    pub(super) fn recipe(&self, path: &Path) -> io::Result<Recipe> {
        Ok(Recipe { open: self.open_at(path)?, blocking_writes: self.blocking_writes })
    }

    /// The operation, for what is no [`File`].
    pub(super) fn open_at(&self, path: &Path) -> io::Result<OpenAt> {
        let (flags, mode) = (self.flags()?, self.mode);
        Ok(OpenAt { path: c_path(path)?, flags, mode })
    }

    fn flags(&self) -> io::Result<i32> {
        let custom = self.custom_flags & !libc::O_ACCMODE;
        // A file may be larger than 2 GiB on every machine.
        let always = libc::O_CLOEXEC | libc::O_LARGEFILE;
        Ok(self.access()? | self.creation()? | custom | always)
    }

    fn access(&self) -> io::Result<i32> {
        Ok(match (self.read, self.write, self.append) {
            (true, false, false) => libc::O_RDONLY,
            (false, true, false) => libc::O_WRONLY,
            (true, true, false) => libc::O_RDWR,
            (false, _, true) => libc::O_WRONLY | libc::O_APPEND,
            (true, _, true) => libc::O_RDWR | libc::O_APPEND,
            (false, false, false) => {
                return Err(invalid("none of read, write and append is set"));
            }
        })
    }

    fn creation(&self) -> io::Result<i32> {
        if !self.write && !self.append {
            for (set, name) in [
                (self.create_new, "create_new"),
                (self.create, "create"),
                (self.truncate, "truncate"),
            ] {
                if set {
                    return Err(invalid(format_args!("{name} without write or append")));
                }
            }
        }
        if self.append && self.truncate && !self.create_new {
            return Err(invalid("append together with truncate"));
        }
        Ok(match (self.create, self.truncate, self.create_new) {
            (false, false, false) => 0,
            (true, false, false) => libc::O_CREAT,
            (false, true, false) => libc::O_TRUNC,
            (true, true, false) => libc::O_CREAT | libc::O_TRUNC,
            (_, _, true) => libc::O_CREAT | libc::O_EXCL,
        })
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Options and a path that fit together.
pub(super) struct Recipe {
    open: OpenAt,
    blocking_writes: bool,
}

impl Recipe {
    /// Opens a file whose operations go to `lane` when they start away from shards.
    pub(super) async fn open(self, lane: Arc<dyn Lane>) -> io::Result<File> {
        let fd = Op::new(self.open, &lane).await?;
        Ok(File::new(fd, lane, self.blocking_writes))
    }
}

fn invalid(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("invalid options to open a file: {what}"))
}
