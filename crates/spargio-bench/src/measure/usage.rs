//! What this process has used so far, as the kernel counts it.

use std::fs;
use std::io;
use std::mem::MaybeUninit;

/// CPU time and switches of all threads of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Nanoseconds of CPU time, the kernel's workers for this process included.
    pub(crate) cpu_nanos: u64,
    /// Times that a thread went to sleep.
    pub(crate) sleeps: u64,
    /// Times that a thread was put aside for another.
    pub(crate) preemptions: u64,
}

impl Usage {
    /// Up to now.
    pub(crate) fn now() -> Self {
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY:
        // - the pointer is to memory for the structure that the call fills.
        let result =
            unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, time.as_mut_ptr()) };
        assert_eq!(result, 0, "clock_gettime: {}", io::Error::last_os_error());
        // SAFETY:
        // - the call succeeded, so it has filled the structure.
        let time = unsafe { time.assume_init() };
        let mut usage = MaybeUninit::<libc::rusage>::uninit();
        // SAFETY:
        // - the pointer is to memory for the structure that the call fills.
        let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
        assert_eq!(result, 0, "getrusage: {}", io::Error::last_os_error());
        // SAFETY:
        // - the call succeeded, so it has filled the structure.
        let usage = unsafe { usage.assume_init() };
        Self {
            cpu_nanos: time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs(),
            sleeps: usage.ru_nvcsw.unsigned_abs(),
            preemptions: usage.ru_nivcsw.unsigned_abs(),
        }
    }
}

/// The most memory this process has had resident, in bytes; 0 if the system does not say.
pub(crate) fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok()
    });
    kib.unwrap_or(0) * 1024
}
