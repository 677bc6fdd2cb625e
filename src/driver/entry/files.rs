//! Entries that work on files, directories and their names.

use std::os::fd::RawFd;

use crate::driver::entry::Sqe;
use crate::driver::opcode::Opcode;

impl Sqe {
    /// The read or write with its buffer in the memory that the ring knows by this number (see
    /// [`Driver::register`](crate::driver::Driver::register)); another operation as it is.
    pub const fn fixed(mut self, number: u16) -> Self {
        let opcode = match self.opcode() {
            Opcode::READ => Opcode::READ_FIXED,
            Opcode::WRITE => Opcode::WRITE_FIXED,
            _ => return self,
        };
        self.opcode = opcode.get();
        self.buf_index = number;
        self
    }

    /// Reads to the `count` parts at `parts`, one after the other, from `offset` on; `u64::MAX`
    /// stands for the file's own cursor.
    pub fn readv(fd: RawFd, parts: *const libc::iovec, count: u32, offset: u64) -> Self {
        Self {
            off: offset,
            addr: parts.expose_provenance() as u64,
            len: count,
            ..Self::new(Opcode::READV, fd)
        }
    }

    /// Writes the `count` parts at `parts`, one after the other, from `offset` on; `u64::MAX`
    /// stands for the file's own cursor.
    pub fn writev(fd: RawFd, parts: *const libc::iovec, count: u32, offset: u64) -> Self {
        Self {
            off: offset,
            addr: parts.expose_provenance() as u64,
            len: count,
            ..Self::new(Opcode::WRITEV, fd)
        }
    }

    /// Asks for the metadata (`STATX_*`) of the NUL-terminated path, relative to the directory
    /// `dir`, with `AT_*` flags; of `dir` itself with `AT_EMPTY_PATH` and an empty path.
    pub fn statx(
        dir: RawFd,
        path: *const libc::c_char,
        flags: i32,
        mask: u32,
        to: *mut libc::statx,
    ) -> Self {
        Self {
            addr: path.expose_provenance() as u64,
            off: to.expose_provenance() as u64,
            len: mask,
            op_flags: flags as u32,
            ..Self::new(Opcode::STATX, dir)
        }
    }

    /// Makes a directory.
    pub fn mkdir_at(dir: RawFd, path: *const libc::c_char, mode: u32) -> Self {
        let addr = path.expose_provenance() as u64;
        Self { addr, len: mode, ..Self::new(Opcode::MKDIRAT, dir) }
    }

    /// Removes a name, that of an empty directory with `AT_REMOVEDIR`.
    pub fn unlink_at(dir: RawFd, path: *const libc::c_char, flags: i32) -> Self {
        let addr = path.expose_provenance() as u64;
        Self { addr, op_flags: flags as u32, ..Self::new(Opcode::UNLINKAT, dir) }
    }

    /// Gives the file another name, with `RENAME_*` flags. Both paths are relative to the working
    /// directory.
    pub fn rename(from: *const libc::c_char, to: *const libc::c_char, flags: u32) -> Self {
        Self { op_flags: flags, ..Self::two_paths(Opcode::RENAMEAT, from, to) }
    }

    /// Gives the file a second name. Both paths are relative to the working directory.
    pub fn link(from: *const libc::c_char, to: *const libc::c_char) -> Self {
        Self::two_paths(Opcode::LINKAT, from, to)
    }

    /// Makes a symbolic link at the path `link`, relative to the working directory, with this
    /// text.
    pub fn symlink(text: *const libc::c_char, link: *const libc::c_char) -> Self {
        Self { len: 0, ..Self::two_paths(Opcode::SYMLINKAT, text, link) }
    }

    fn two_paths(opcode: Opcode, first: *const libc::c_char, second: *const libc::c_char) -> Self {
        Self {
            addr: first.expose_provenance() as u64,
            off: second.expose_provenance() as u64,
            len: libc::AT_FDCWD as u32,
            ..Self::new(opcode, libc::AT_FDCWD)
        }
    }

    /// Allocates or frees a range of a file (`fallocate(2)`).
    pub const fn fallocate(fd: RawFd, mode: i32, offset: u64, len: u64) -> Self {
        Self { off: offset, addr: len, len: mode as u32, ..Self::new(Opcode::FALLOCATE, fd) }
    }

    /// Says how a range of a file will be used (`posix_fadvise(2)`); a length of 0 is up to its
    /// end.
    pub const fn fadvise(fd: RawFd, offset: u64, len: u32, advice: i32) -> Self {
        Self { off: offset, len, op_flags: advice as u32, ..Self::new(Opcode::FADVISE, fd) }
    }

    /// Cuts or extends a file (`ftruncate(2)`).
    pub const fn ftruncate(fd: RawFd, len: u64) -> Self {
        Self { off: len, ..Self::new(Opcode::FTRUNCATE, fd) }
    }

    /// Starts or awaits the writing of a range (`sync_file_range(2)`); a length of 0 is up to its
    /// end.
    pub const fn sync_file_range(fd: RawFd, offset: u64, len: u32, flags: u32) -> Self {
        Self { off: offset, len, op_flags: flags, ..Self::new(Opcode::SYNC_FILE_RANGE, fd) }
    }
}
