//! Metadata of a path by `statx(2)`.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::driver::Sqe;
use crate::id::ShardId;
use crate::native::cqe::UringCqe;
use crate::native::uring_any::UringNativeAny;
use crate::op::offload::offload;
use crate::op::path::c_path;
use crate::op::{PathError, as_path};
use crate::port::ToLane;

/// What `statx(2)` says of a file: numbers as the kernel gives them.
///
/// A field whose `STATX_*` bit is not in [`mask`](Self::mask) is 0, or a guess.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct StatxMetadata {
    /// Which fields the file system has filled (`STATX_*`).
    pub mask: u32,
    /// Type and permissions.
    pub mode: u16,
    /// Number of the file on its device.
    pub ino: u64,
    /// How many names it has.
    pub nlink: u64,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Blocks of 512 bytes that it takes.
    pub blocks: u64,
    /// Bytes that reads and writes are best made of.
    pub blksize: u64,
    /// The device that it is on.
    pub dev: u64,
    /// The device that it is.
    pub rdev: u64,
    /// What is special about it (`STATX_ATTR_*`).
    pub attributes: u64,
    /// Which of these the file system knows.
    pub attributes_mask: u64,
    /// When it was read last, in seconds since 1970.
    pub atime_sec: i64,
    /// When its bytes were changed last.
    pub mtime_sec: i64,
    /// When something of it was changed last.
    pub ctime_sec: i64,
    /// When it was made.
    pub btime_sec: i64,
}

impl StatxMetadata {
    /// Whether it is a directory.
    pub const fn is_dir(&self) -> bool {
        self.is(libc::S_IFDIR)
    }

    /// Whether it is a regular file.
    pub const fn is_file(&self) -> bool {
        self.is(libc::S_IFREG)
    }

    /// Whether it is a symbolic link.
    pub const fn is_symlink(&self) -> bool {
        self.is(libc::S_IFLNK)
    }

    const fn is(&self, kind: u32) -> bool {
        self.mode as u32 & libc::S_IFMT == kind
    }
}

impl From<&libc::statx> for StatxMetadata {
    fn from(answer: &libc::statx) -> Self {
        Self {
            mask: answer.stx_mask,
            mode: answer.stx_mode,
            ino: answer.stx_ino,
            nlink: u64::from(answer.stx_nlink),
            uid: answer.stx_uid,
            gid: answer.stx_gid,
            size: answer.stx_size,
            blocks: answer.stx_blocks,
            blksize: u64::from(answer.stx_blksize),
            dev: libc::makedev(answer.stx_dev_major, answer.stx_dev_minor),
            rdev: libc::makedev(answer.stx_rdev_major, answer.stx_rdev_minor),
            attributes: answer.stx_attributes,
            attributes_mask: answer.stx_attributes_mask,
            atime_sec: answer.stx_atime.tv_sec,
            mtime_sec: answer.stx_mtime.tv_sec,
            ctime_sec: answer.stx_ctime.tv_sec,
            btime_sec: answer.stx_btime.tv_sec,
        }
    }
}

impl From<&std::fs::Metadata> for StatxMetadata {
    /// Without attributes, and without the time of birth, which the mask says.
    fn from(metadata: &std::fs::Metadata) -> Self {
        Self {
            mask: libc::STATX_BASIC_STATS,
            // The type and the permissions are the low 16 bits.
            mode: metadata.mode() as u16,
            ino: metadata.ino(),
            nlink: metadata.nlink(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            size: metadata.size(),
            blocks: metadata.blocks(),
            blksize: metadata.blksize(),
            dev: metadata.dev(),
            rdev: metadata.rdev(),
            attributes: 0,
            attributes_mask: 0,
            atime_sec: metadata.atime(),
            mtime_sec: metadata.mtime(),
            ctime_sec: metadata.ctime(),
            btime_sec: 0,
        }
    }
}

/// What is asked of `statx(2)`.
///
/// ```
/// use spargio::extension::fs::StatxOptions;
/// let own = StatxOptions::new().flags(libc::AT_SYMLINK_NOFOLLOW).mask(libc::STATX_SIZE);
/// assert_ne!(own, StatxOptions::default());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatxOptions {
    flags: i32,
    mask: u32,
}

impl StatxOptions {
    /// The basic fields, of what the path leads to, as fresh as the file system finds good.
    pub const fn new() -> Self {
        Self { flags: libc::AT_STATX_SYNC_AS_STAT, mask: libc::STATX_BASIC_STATS }
    }

    /// `AT_*`: whether links are followed, and how fresh the answer is to be.
    pub const fn flags(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }

    /// `STATX_*`: which fields.
    pub const fn mask(mut self, mask: u32) -> Self {
        self.mask = mask;
        self
    }
}

impl Default for StatxOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Metadata of what a path leads to, relative to the working directory.
///
/// # Errors
///
/// `InvalidInput` for a path with a NUL byte; what `statx(2)` answers, in a
/// [`PathError`](crate::fs::PathError); those of
/// [`submit_unsafe`](UringNativeAny::submit_unsafe).
///
/// # Examples
///
/// ```
/// use spargio::extension::fs::statx;
/// use spargio::native::UringNativeAny;
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let metadata = statx(&UringNativeAny::new()?, "Cargo.toml").await?;
/// assert!(metadata.is_file() && metadata.size > 0);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn statx(native: &UringNativeAny, path: impl AsRef<Path>) -> io::Result<StatxMetadata> {
    statx_on_shard(native, native.select_shard(None)?, path, StatxOptions::new()).await
}

/// As [`statx`], with options, on the ring of this shard.
///
/// # Errors
///
/// As there; `NotFound` if there is no such shard.
pub async fn statx_on_shard(
    native: &UringNativeAny,
    shard: impl Into<ShardId>,
    path: impl AsRef<Path>,
    options: StatxOptions,
) -> io::Result<StatxMetadata> {
    /// All that the entry names.
    struct Question {
        path: CString,
        answer: libc::statx,
    }

    let StatxOptions { flags, mask } = options;
    let path = c_path(path.as_ref())?;
    // SAFETY:
    // - it consists of numbers, for which 0 is a value.
    let answer = unsafe { std::mem::zeroed() };
    let build = move |question: &mut Question| {
        let Question { path, answer } = question;
        Ok(Sqe::statx(libc::AT_FDCWD, path.as_ptr(), flags, mask, answer))
    };
    let complete = |Question { path, answer }: Question, cqe: UringCqe| match cqe.check() {
        Ok(_) => Ok(StatxMetadata::from(&answer)),
        Err(error) => Err(PathError::wrap("read the metadata of", as_path(&path), error)),
    };
    // SAFETY:
    // - the path is on the heap behind what the operation owns, and the answer is in it; nobody
    //   else has either, and nobody writes to the path.
    // - the kernel writes one `statx`, for which there is room; the directory is no descriptor.
    let statx =
        unsafe { native.submit_unsafe_on_shard(shard, Question { path, answer }, build, complete) };
    statx.await
}

/// As [`statx`], and where the ring cannot do that, what the standard library says, on a thread of
/// the blocking pool.
///
/// # Errors
///
/// As there.
///
/// # Examples
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # let handle = runtime.handle();
/// # runtime.block_on(async {
/// let metadata = spargio::extension::fs::statx_or_metadata(&handle, "src").await?;
/// assert!(metadata.is_dir());
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn statx_or_metadata(
    lane: &impl ToLane,
    path: impl AsRef<Path>,
) -> io::Result<StatxMetadata> {
    let lane = lane.to_lane();
    let path = path.as_ref().to_owned();
    let native = UringNativeAny::new_on(&lane)?;
    let answer = statx(&native, &path).await;
    let lacks = |error: &io::Error| {
        let number = PathError::of(error).and_then(PathError::raw_os_error);
        matches!(number, Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP))
    };
    match answer {
        Err(error) if lacks(&error) => {
            let metadata = offload(&lane.0, move |_| {
                let named = |error| PathError::wrap("read the metadata of", &path, error);
                std::fs::metadata(&path).map_err(named)
            });
            Ok(StatxMetadata::from(&metadata.await??))
        }
        answer => answer,
    }
}
