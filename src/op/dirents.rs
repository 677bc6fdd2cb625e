//! The entries of a directory, as `getdents64(2)` packs them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// How much room one call is given; a batch of a large directory is up to twice this.
pub(crate) const ROOM: usize = 32 * 1024;

/// Appends entries to the bytes until there are [`ROOM`] of them or the directory ends, and says
/// whether it has ended. May block: not for a shard's thread.
///
/// # Errors
///
/// What `getdents64(2)` answers; what was read before an error is in the bytes.
pub(crate) fn read(dir: BorrowedFd<'_>, bytes: &mut Vec<u8>) -> io::Result<bool> {
    while bytes.len() < ROOM {
        bytes.reserve(ROOM);
        let spare = bytes.spare_capacity_mut();
        let (fd, to, room) = (dir.as_raw_fd(), spare.as_mut_ptr(), spare.len());
        // SAFETY:
        // - the room is the spare capacity of a vector, which is borrowed for the call.
        let count = unsafe { libc::syscall(libc::SYS_getdents64, fd, to, room) };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        };
        if count == 0 {
            return Ok(true);
        }
        // SAFETY:
        // - the kernel filled so many bytes of the spare capacity from its start.
        unsafe { bytes.set_len(bytes.len() + count) };
    }
    Ok(false)
}

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record<'b> {
    pub(crate) inode: u64,
    /// `DT_*`.
    pub(crate) kind: u8,
    pub(crate) name: &'b [u8],
}

/// The entry at `at` and where the next one is; `None` at the end. The entries `.` and `..` are
/// passed over.
pub(crate) fn record(bytes: &[u8], mut at: usize) -> Option<(Record<'_>, usize)> {
    const INODE: usize = 0;
    const LENGTH: usize = 16;
    const KIND: usize = 18;
    const NAME: usize = 19;
    loop {
        let rest = bytes.get(at..)?;
        let inode = u64::from_ne_bytes(*rest.get(INODE..)?.first_chunk()?);
        let length = usize::from(u16::from_ne_bytes(*rest.get(LENGTH..)?.first_chunk()?));
        let kind = *rest.get(KIND)?;
        let name = rest.get(NAME..length)?;
        let end = name.iter().position(|&byte| byte == 0)?;
        at += length;
        let name = &name[..end];
        if name != b"." && name != b".." {
            return Some((Record { inode, kind, name }, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::{read, record};

    #[test]
    fn a_directory_is_read_to_its_end_without_itself_and_its_parent() {
        let dir = std::fs::File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
        let mut bytes = Vec::new();
        assert!(read(dir.as_fd(), &mut bytes).unwrap(), "it fits in a batch");
        let mut at = 0;
        let mut names = Vec::new();
        while let Some((entry, next)) = record(&bytes, at) {
            assert!(entry.inode > 0);
            names.push(entry.name.to_vec());
            at = next;
        }
        assert_eq!(at, bytes.len());
        assert!(names.iter().any(|name| name == b"Cargo.toml"));
        assert!(!names.iter().any(|name| name == b"." || name == b".."));
    }

    #[test]
    fn bytes_that_are_no_entry_end_the_list() {
        assert_eq!(record(&[], 0), None);
        assert_eq!(record(&[0; 18], 0), None);
        assert_eq!(record(&[0; 40], 0), None, "a length of 0 holds no name");
        assert_eq!(record(&[0xff; 40], 0), None, "a length beyond the end");
    }
}
