//! What kind of file something is.

/// What kind of file something is.
///
/// ```
/// use spargio::fs::FileType;
/// assert!(FileType::Directory.is_dir());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// The file system does not say, or says what this version does not know.
    Unknown,
}

/// The kind of a directory's entry.
pub type DirEntryType = FileType;

impl FileType {
    /// That of the type bits of a mode.
    pub(super) fn of_mode(mode: u32) -> Self {
        match mode & libc::S_IFMT {
            libc::S_IFREG => Self::File,
            libc::S_IFDIR => Self::Directory,
            libc::S_IFLNK => Self::Symlink,
            libc::S_IFBLK => Self::BlockDevice,
            libc::S_IFCHR => Self::CharDevice,
            libc::S_IFIFO => Self::Fifo,
            libc::S_IFSOCK => Self::Socket,
            _ => Self::Unknown,
        }
    }

    /// That of an entry (`DT_*`), whose numbers are the type bits of a mode moved down.
    pub(crate) fn of_entry(kind: u8) -> Self {
        Self::of_mode(u32::from(kind) << 12)
    }

    /// Whether it is a directory.
    pub fn is_dir(self) -> bool {
        self == Self::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(self) -> bool {
        self == Self::File
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(self) -> bool {
        self == Self::Symlink
    }
}
