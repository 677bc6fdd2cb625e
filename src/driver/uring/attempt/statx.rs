//! Metadata that is in memory, by direct calls that do not wait for a device.

use std::cell::RefCell;
use std::ffi::c_long;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::driver::entry::Sqe;
use crate::driver::uring::enter::errno;

/// Flags of a `statx(2)` that mean the same in the calls made here. Not among them:
/// `AT_STATX_FORCE_SYNC`, which asks a server.
const FLAGS: i32 = libc::AT_EMPTY_PATH
    | libc::AT_SYMLINK_NOFOLLOW
    | libc::AT_NO_AUTOMOUNT
    | libc::AT_STATX_DONT_SYNC;

/// # Safety
///
/// As [`attempt`](super::attempt).
pub(super) unsafe fn statx(sqe: &Sqe) -> Option<i32> {
    let flags = sqe.op_flags as i32;
    if flags & !FLAGS != 0 {
        return None;
    }
    let path: *const libc::c_char = ptr::with_exposed_provenance(sqe.addr as usize);
    let to: *mut libc::statx = ptr::with_exposed_provenance_mut(sqe.off as usize);
    // SAFETY: the caller's promise: a path that ends with NUL has a first byte.
    let is_empty = unsafe { path.read() } == 0;
    let opened;
    let fd = if is_empty && flags & libc::AT_EMPTY_PATH != 0 {
        sqe.fd
    } else {
        // SAFETY: the caller's promise.
        match unsafe { open_cached(sqe.fd, path, flags) } {
            Ok(fd) => opened = fd,
            Err(libc::EACCES) => return Some(-libc::EACCES),
            Err(libc::ENOENT) => return Some(-libc::ENOENT),
            Err(libc::ENOTDIR) => return Some(-libc::ENOTDIR),
            // It is not in memory; or the ring has an answer of its own.
            Err(_) => return None,
        }
        opened.as_raw_fd()
    };
    // Without a look at a server, which could take any time.
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    // SAFETY: the path is a constant; the memory for the answer is the caller's promise.
    let done = unsafe { libc::statx(fd, c"".as_ptr(), flags, sqe.len, to) };
    if done != 0 {
        return None;
    }
    // SAFETY: the kernel has just filled it, and the device is part of every answer.
    let answer = unsafe { &*to };
    (answer.stx_dev_major != 0 || is_in_memory(answer.stx_dev_minor)).then_some(0)
}

/// A descriptor that only names what the path leads to, if all of the way is in memory.
///
/// # Errors
///
/// The error number; `EAGAIN` if it is not.
///
/// # Safety
///
/// As [`attempt`](super::attempt).
unsafe fn open_cached(
    dir: i32,
    path: *const libc::c_char,
    flags: i32,
) -> Result<OwnedFd, libc::c_int> {
    let last = if flags & libc::AT_SYMLINK_NOFOLLOW == 0 { 0 } else { libc::O_NOFOLLOW };
    // SAFETY: three numbers, for which 0 is a value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_CLOEXEC | last) as u64;
    how.resolve = libc::RESOLVE_CACHED;
    let size = size_of::<libc::open_how>();
    // SAFETY: the path is the caller's promise, and `how` lives until the call returns.
    let fd: c_long = unsafe { libc::syscall(libc::SYS_openat2, dir, path, &raw const how, size) };
    if fd < 0 {
        return Err(errno());
    }
    // SAFETY: the kernel has just opened it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// What a thread remembers of device numbers, at most.
const REMEMBERED: usize = 64;

/// File systems without a device that keep their metadata in memory, or have it on local devices:
/// for them an answer without a look at a server is the whole answer.
const LOCAL: [&str; 12] = [
    "tmpfs",
    "overlay",
    "btrfs",
    "zfs",
    "bcachefs",
    "proc",
    "sysfs",
    "devtmpfs",
    "ramfs",
    "hugetlbfs",
    "cgroup2",
    "rootfs",
];

thread_local! {
    static DEVICES: RefCell<Vec<(u32, bool)>> = const { RefCell::new(Vec::new()) };
}

/// Whether the device 0:`minor` is one of a file system that asks nobody else.
fn is_in_memory(minor: u32) -> bool {
    DEVICES
        .try_with(|devices| {
            let mut devices = devices.borrow_mut();
            if let Some((_, is_local)) = devices.iter().find(|(known, _)| *known == minor) {
                return *is_local;
            }
            let is_local = fs::read_to_string("/proc/self/mountinfo")
                .is_ok_and(|mounts| is_local(&mounts, minor));
            if devices.len() == REMEMBERED {
                devices.clear();
            }
            devices.push((minor, is_local));
            is_local
        })
        // The thread is ending.
        .unwrap_or(false)
}

/// Whether the list of mounts has device 0:`minor` with a file system of [`LOCAL`].
fn is_local(mounts: &str, minor: u32) -> bool {
    let device = format!("0:{minor}");
    mounts.lines().any(|mount| {
        let kind = mount.split(" - ").nth(1).and_then(|rest| rest.split(' ').next());
        mount.split(' ').nth(2) == Some(device.as_str())
            && kind.is_some_and(|kind| LOCAL.contains(&kind))
    })
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn a_device_is_local_by_the_kind_of_its_file_system() {
        let mounts = "22 1 0:20 / /proc rw shared:5 - proc proc rw\n\
                      40 1 0:41 / /net rw - nfs4 server:/ rw\n\
                      41 1 254:0 / / rw - ext4 /dev/vda rw\n";
        assert!(is_local(mounts, 20));
        assert!(!is_local(mounts, 41), "a server is asked");
        assert!(!is_local(mounts, 4), "no such device");
    }
}
