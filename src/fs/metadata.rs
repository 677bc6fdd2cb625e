//! What the system knows about a file.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use crate::fs::FileType;

/// What [`metadata`](crate::fs::metadata) asks for: the basics, the time of birth, and the
/// alignment that direct I/O needs.
pub(super) const MASK: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_DIOALIGN;

/// What the system knows about a file: the accessors of [`std::fs::Metadata`] and of
/// [`MetadataExt`] with the same meaning, and what `statx(2)` tells beyond them.
///
/// It can be made from the metadata of the standard library, but not turned into it: that type has
/// no constructor. [`Permissions`] are those of the standard library.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let metadata = spargio::fs::metadata("Cargo.toml").await?;
/// println!("{} bytes, {:o}", metadata.len(), metadata.mode());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Metadata {
    mask: u32,
    attributes: u64,
    attributes_mask: u64,
    mode: u32,
    nlink: u64,
    uid: u32,
    gid: u32,
    ino: u64,
    size: u64,
    blocks: u64,
    blksize: u32,
    dev: u64,
    rdev: u64,
    accessed: Stamp,
    modified: Stamp,
    changed: Stamp,
    born: Option<Stamp>,
    direct: Option<DirectAlignment>,
}

/// A moment as the kernel has it: seconds since 1970, and nanoseconds from there on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    seconds: i64,
    nanos: u32,
}

/// What direct I/O on a file asks of buffers and offsets.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let file = spargio::fs::File::open("data").await?;
/// if let Some(alignment) = file.metadata().await?.direct_alignment() {
///     println!("{} in memory, {} in the file", alignment.memory, alignment.offset);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DirectAlignment {
    /// Addresses of buffers are multiples of so many bytes.
    pub memory: u32,
    /// Offsets in the file, and lengths of transfers, are multiples of so many bytes.
    pub offset: u32,
}

impl Metadata {
    pub(super) fn new(answer: &libc::statx) -> Self {
        let has = |bit: u32| answer.stx_mask & bit != 0;
        let direct = (has(libc::STATX_DIOALIGN) && answer.stx_dio_mem_align > 0).then_some(
            DirectAlignment {
                memory: answer.stx_dio_mem_align,
                offset: answer.stx_dio_offset_align,
            },
        );
        Self {
            mask: answer.stx_mask,
            attributes: answer.stx_attributes,
            attributes_mask: answer.stx_attributes_mask,
            mode: u32::from(answer.stx_mode),
            nlink: u64::from(answer.stx_nlink),
            uid: answer.stx_uid,
            gid: answer.stx_gid,
            ino: answer.stx_ino,
            size: answer.stx_size,
            blocks: answer.stx_blocks,
            blksize: answer.stx_blksize,
            dev: libc::makedev(answer.stx_dev_major, answer.stx_dev_minor),
            rdev: libc::makedev(answer.stx_rdev_major, answer.stx_rdev_minor),
            accessed: Stamp::new(answer.stx_atime),
            modified: Stamp::new(answer.stx_mtime),
            changed: Stamp::new(answer.stx_ctime),
            born: has(libc::STATX_BTIME).then(|| Stamp::new(answer.stx_btime)),
            direct,
        }
    }

    /// What kind of file it is.
    pub fn file_type(&self) -> FileType {
        FileType::of_mode(self.mode)
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type().is_dir()
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.file_type().is_file()
    }

    /// Whether it is a symbolic link, which only [`symlink_metadata`](crate::fs::symlink_metadata)
    /// can find.
    pub fn is_symlink(&self) -> bool {
        self.file_type().is_symlink()
    }

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "as in the standard library")]
    pub fn len(&self) -> u64 {
        self.size
    }

    /// The permissions.
    pub fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.mode)
    }

    /// When the contents were changed last.
    ///
    /// # Errors
    ///
    /// When the moment is beyond those that the standard library can say.
    pub fn modified(&self) -> io::Result<SystemTime> {
        self.modified.system_time()
    }

    /// When it was read last, as far as the mount options have that noted.
    ///
    /// # Errors
    ///
    /// When the moment is beyond those that the standard library can say.
    pub fn accessed(&self) -> io::Result<SystemTime> {
        self.accessed.system_time()
    }

    /// When it was created.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) when the file system has not noted it.
    pub fn created(&self) -> io::Result<SystemTime> {
        let born = self.born.ok_or_else(|| {
            let text = "the file system does not note when a file was created";
            io::Error::new(io::ErrorKind::Unsupported, text)
        });
        born?.system_time()
    }

    /// The file system it is on, as a device number.
    pub fn dev(&self) -> u64 {
        self.dev
    }

    /// Its number within its file system.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// Type and permission bits (`S_IF*` and below).
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// How many names it has.
    pub fn nlink(&self) -> u64 {
        self.nlink
    }

    /// The user it belongs to.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The group it belongs to.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// The device that it is, if it is one.
    pub fn rdev(&self) -> u64 {
        self.rdev
    }

    /// As [`len`](Self::len).
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Seconds since 1970 of [`accessed`](Self::accessed).
    pub fn atime(&self) -> i64 {
        self.accessed.seconds
    }

    /// Nanoseconds from [`atime`](Self::atime) on.
    pub fn atime_nsec(&self) -> i64 {
        i64::from(self.accessed.nanos)
    }

    /// Seconds since 1970 of [`modified`](Self::modified).
    pub fn mtime(&self) -> i64 {
        self.modified.seconds
    }

    /// Nanoseconds from [`mtime`](Self::mtime) on.
    pub fn mtime_nsec(&self) -> i64 {
        i64::from(self.modified.nanos)
    }

    /// Seconds since 1970 of the last change of contents or metadata.
    pub fn ctime(&self) -> i64 {
        self.changed.seconds
    }

    /// Nanoseconds from [`ctime`](Self::ctime) on.
    pub fn ctime_nsec(&self) -> i64 {
        i64::from(self.changed.nanos)
    }

    /// Seconds since 1970 of [`created`](Self::created), if the file system has noted it.
    pub fn btime(&self) -> Option<i64> {
        self.born.map(|born| born.seconds)
    }

    /// Nanoseconds from [`btime`](Self::btime) on.
    pub fn btime_nsec(&self) -> Option<i64> {
        self.born.map(|born| i64::from(born.nanos))
    }

    /// The size of transfers that the file system likes.
    pub fn blksize(&self) -> u64 {
        u64::from(self.blksize)
    }

    /// How many units of 512 bytes it takes on its device: fewer than its length for a file with
    /// holes.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Which fields the system has filled (`STATX_*`).
    pub fn mask(&self) -> u32 {
        self.mask
    }

    /// What else holds for the file (`STATX_ATTR_*`): compressed, immutable, encrypted and such.
    /// Bits that are not in [`attributes_mask`](Self::attributes_mask) say nothing.
    pub fn attributes(&self) -> u64 {
        self.attributes
    }

    /// Which attributes the file system knows of.
    pub fn attributes_mask(&self) -> u64 {
        self.attributes_mask
    }

    /// What direct I/O on the file asks of buffers and offsets; `None` if it cannot be done, or if
    /// the kernel (before Linux 6.1) or the file system does not say.
    pub fn direct_alignment(&self) -> Option<DirectAlignment> {
        self.direct
    }
}

impl Stamp {
    fn new(stamp: libc::statx_timestamp) -> Self {
        Self { seconds: stamp.tv_sec, nanos: stamp.tv_nsec }
    }

    fn system_time(self) -> io::Result<SystemTime> {
        let seconds = Duration::from_secs(self.seconds.unsigned_abs());
        let base = if self.seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(seconds)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(seconds)
        };
        let nanos = Duration::from_nanos(u64::from(self.nanos));
        base.and_then(|base| base.checked_add(nanos)).ok_or_else(|| {
            io::Error::other(format!("the time {} s from 1970 cannot be said", self.seconds))
        })
    }
}

impl From<std::fs::Metadata> for Metadata {
    /// What the standard library tells; attributes and the alignment of direct I/O are not among
    /// it.
    fn from(metadata: std::fs::Metadata) -> Self {
        let stamp = |seconds, nanos: i64| Stamp { seconds, nanos: nanos as u32 };
        let born = metadata.created().ok().and_then(|created| {
            let since = created.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            let seconds = i64::try_from(since.as_secs()).ok()?;
            Some(Stamp { seconds, nanos: since.subsec_nanos() })
        });
        let birth = if born.is_some() { libc::STATX_BTIME } else { 0 };
        Self {
            mask: libc::STATX_BASIC_STATS | birth,
            attributes: 0,
            attributes_mask: 0,
            mode: metadata.mode(),
            nlink: metadata.nlink(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            ino: metadata.ino(),
            size: metadata.size(),
            blocks: metadata.blocks(),
            blksize: u32::try_from(metadata.blksize()).unwrap_or(u32::MAX),
            dev: metadata.dev(),
            rdev: metadata.rdev(),
            accessed: stamp(metadata.atime(), metadata.atime_nsec()),
            modified: stamp(metadata.mtime(), metadata.mtime_nsec()),
            changed: stamp(metadata.ctime(), metadata.ctime_nsec()),
            born,
            direct: None,
        }
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("file_type", &self.file_type())
            .field("mode", &format_args!("{:o}", self.mode & 0o7777))
            .field("len", &self.size)
            .field("blocks", &self.blocks)
            .field("nlink", &self.nlink)
            .field("uid", &self.uid)
            .field("gid", &self.gid)
            .field("dev", &self.dev)
            .field("ino", &self.ino)
            .field("modified", &self.modified().ok())
            .field("created", &self.created().ok())
            .finish_non_exhaustive()
    }
}
