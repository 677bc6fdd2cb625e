//! The CPUs that this process may use.

use std::io;

/// CPU numbers are below this.
pub(crate) const LIMIT: usize = libc::CPU_SETSIZE as usize;

/// The CPUs that the calling thread may run on.
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    let mut set = empty();
    // SAFETY:
    // - the set is alive and of the size that is passed; 0 is the calling thread.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let is_allowed = |cpu: &usize| {
        // SAFETY:
        // - the number is below the limit of a set.
        unsafe { libc::CPU_ISSET(*cpu, &set) }
    };
    Ok((0..LIMIT).filter(is_allowed).collect())
}

/// Binds the calling thread to one CPU.
///
/// # Panics
///
/// If the number is not below [`LIMIT`].
pub(crate) fn bind(cpu: usize) -> io::Result<()> {
    assert!(cpu < LIMIT, "CPU {cpu} is not below {LIMIT}");
    let mut set = empty();
    // SAFETY:
    // - the number is below the limit of a set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY:
    // - the set is alive and of the size that is passed; 0 is the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn empty() -> libc::cpu_set_t {
    // SAFETY:
    // - a CPU set is a plain array of bits, for which zero is a value.
    unsafe { std::mem::zeroed() }
}
