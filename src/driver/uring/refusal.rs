//! Why the system refused an io_uring, and what to do about it.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;

use crate::driver::uring::enter;
use crate::driver::uring::probe::features;
use crate::driver::uring::setup::UringSetup;

/// What refused an io_uring.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RefusalReason {
    /// A seccomp filter, as container runtimes install it.
    Seccomp,
    /// The system setting `kernel.io_uring_disabled`.
    Sysctl,
    /// The limit on locked memory, which counts the rings of all processes of a user.
    Memlock {
        /// The limit in bytes.
        limit: u64,
        /// What this one ring needs, in bytes.
        needed: u64,
    },
    /// The kernel does not have what the driver cannot do without.
    KernelTooOld {
        /// The kernel's release.
        release: String,
        /// The first release that has it.
        needed: &'static str,
    },
    /// The limit on open files.
    FdLimit {
        /// The limit of this process.
        limit: u64,
    },
    /// Something else; the error number is all that is known.
    Other,
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seccomp => f.write_str("a seccomp filter refuses io_uring"),
            Self::Sysctl => f.write_str("kernel.io_uring_disabled forbids io_uring"),
            Self::Memlock { limit, needed } => write!(
                f,
                "the ring needs {needed} bytes of locked memory, the user's limit is {limit}"
            ),
            Self::KernelTooOld { release, needed } => {
                write!(f, "the kernel is {release}, io_uring is needed as of {needed}")
            }
            Self::FdLimit { limit } => {
                write!(f, "the ring needs an fd, the limit of this process is {limit}")
            }
            Self::Other => f.write_str("the system refuses io_uring"),
        }
    }
}

/// A refused io_uring: what refused it and what to do. It travels inside the [`io::Error`] of
/// [`Driver::open`](crate::driver::Driver::open).
///
/// ```no_run
/// use spargio::ShardId;
/// use spargio::driver::{Driver, RefusalReason, Uring, UringRefused, UringSetup};
/// if let Err(error) = Uring::open(&UringSetup::default(), ShardId::new(0)) {
///     match UringRefused::of(&error).map(UringRefused::reason) {
///         Some(RefusalReason::Seccomp) => eprintln!("in a container? {error}"),
///         _ => eprintln!("{error}"),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct UringRefused {
    reason: RefusalReason,
    source: io::Error,
}

impl UringRefused {
    /// The refusal that an error carries, if it carries one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// What refused it.
    pub fn reason(&self) -> &RefusalReason {
        &self.reason
    }

    /// What the system answered.
    pub fn os_error(&self) -> &io::Error {
        &self.source
    }

    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self.reason {
            RefusalReason::Seccomp => {
                "allow io_uring_setup, io_uring_enter and io_uring_register in the filter \
                 (docker and podman: --security-opt seccomp=<profile>)"
            }
            RefusalReason::Sysctl => {
                "set it to 0 (sysctl kernel.io_uring_disabled=0), or for the value 1 run with a \
                 group named by kernel.io_uring_group"
            }
            RefusalReason::Memlock { .. } => {
                "raise RLIMIT_MEMLOCK (ulimit -l; systemd: LimitMEMLOCK), grant CAP_IPC_LOCK, or \
                 ask for smaller queues"
            }
            RefusalReason::KernelTooOld { .. } => {
                "run a newer kernel, or assemble a runtime with a driver that needs no io_uring"
            }
            RefusalReason::FdLimit { .. } => "raise RLIMIT_NOFILE (ulimit -n), or close files",
            RefusalReason::Other => {
                "look for a security module (dmesg, audit log), a kernel without CONFIG_IO_URING, \
                 or a setup value that this kernel does not take"
            }
        }
    }

    /// Finds out why the setup failed. Values that were wrong in themselves are not refusals and
    /// pass as they are.
    pub(super) fn diagnose(error: io::Error, setup: &UringSetup) -> io::Error {
        let Some(errno) = error.raw_os_error() else { return error };
        let surroundings = Surroundings::look(setup);
        let reason = decide(errno, &surroundings);
        Self { reason, source: error }.into()
    }

    /// The refusal of a kernel whose io_uring lacks features.
    pub(super) fn missing_features() -> io::Error {
        let reason =
            RefusalReason::KernelTooOld { release: release(), needed: features::REQUIRED_SINCE };
        Self { reason, source: io::ErrorKind::Unsupported.into() }.into()
    }
}

impl fmt::Display for UringRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.reason, self.advice(), self.source)
    }
}

impl Error for UringRefused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl From<UringRefused> for io::Error {
    fn from(refused: UringRefused) -> Self {
        Self::new(refused.source.kind(), refused)
    }
}

/// What the system shows of the reasons it can have.
#[derive(Clone, Debug)]
struct Surroundings {
    /// The line `Seccomp:` of the thread: 0 none, 1 strict, 2 filter.
    seccomp: u32,
    /// `kernel.io_uring_disabled`; 0 where the kernel has no such setting.
    disabled: u32,
    /// What entering no ring at all answers: `EBADF` unless a filter stands before it.
    errno_without_ring: i32,
    /// The kernel's release.
    release: String,
    /// The limit on locked memory; `None` if there is none or it does not bind this thread.
    memlock: Option<u64>,
    /// What the ring needs of it.
    memlock_needed: u64,
    /// The limit on open files.
    files: u64,
}

impl Surroundings {
    fn look(setup: &UringSetup) -> Self {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
        let users = fs::read_to_string("/proc/thread-self/uid_map").unwrap_or_default();
        let unbound = has_ipc_lock(&status, &users);
        Self {
            seccomp: field(&status, "Seccomp:").and_then(|text| text.parse().ok()).unwrap_or(0),
            disabled: disabled.trim().parse().unwrap_or(0),
            errno_without_ring: enter::errno_without_ring(),
            release: release(),
            memlock: if unbound { None } else { locked_memory_limit() },
            memlock_needed: ring_bytes(setup.entries, setup.cq_size()),
            files: open_files_limit().unwrap_or(u64::MAX),
        }
    }
}

/// The reason behind an error number of the setup call.
fn decide(errno: i32, seen: &Surroundings) -> RefusalReason {
    let too_old = |needed: &'static str| RefusalReason::KernelTooOld {
        release: seen.release.clone(),
        needed,
    };
    // The setting gates the setup alone, a filter for io_uring commonly all three calls.
    let filtered = seen.seccomp != 0;
    let filtered_whole = filtered && seen.errno_without_ring != libc::EBADF;
    match errno {
        libc::EPERM if filtered_whole => RefusalReason::Seccomp,
        libc::EPERM if seen.disabled != 0 => RefusalReason::Sysctl,
        libc::EPERM | libc::EACCES | libc::ENOSYS if filtered => RefusalReason::Seccomp,
        libc::ENOSYS if is_before(&seen.release, 5, 1) => too_old(features::REQUIRED_SINCE),
        libc::EINVAL if is_before(&seen.release, 5, 17) => too_old(features::REQUIRED_SINCE),
        libc::ENOMEM => match seen.memlock {
            Some(limit) => RefusalReason::Memlock { limit, needed: seen.memlock_needed },
            None => RefusalReason::Other,
        },
        libc::EMFILE => RefusalReason::FdLimit { limit: seen.files },
        _ => RefusalReason::Other,
    }
}

/// Whether the release is older; one that does not say its version is not.
fn is_before(release: &str, major: u32, minor: u32) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(second))) => (first, second) < (major, minor),
        _ => false,
    }
}

/// The value behind a name in `/proc/<pid>/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Whether the limit on locked memory does not bind the thread of this status and user map. The
/// right counts in the first user namespace only, which is the one that maps every user to itself.
fn has_ipc_lock(status: &str, users: &str) -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let capabilities = field(status, "CapEff:").map(|text| u64::from_str_radix(text, 16));
    let first = users.split_whitespace().eq(["0", "0", "4294967295"]);
    first && matches!(capabilities, Some(Ok(bits)) if bits >> CAP_IPC_LOCK & 1 == 1)
}

/// The pages that a ring with these queues takes, in bytes.
fn ring_bytes(entries: u32, cq_entries: u32) -> u64 {
    const PAGE: u64 = 4096;
    const HEADER: u64 = 64;
    let (sq, cq) = (size(entries), size(cq_entries));
    (HEADER + cq * 16).next_multiple_of(PAGE) + (sq * 64).next_multiple_of(PAGE)
}

/// The size that the kernel gives a queue.
fn size(entries: u32) -> u64 {
    u64::from(entries).next_power_of_two()
}

/// The limit that the call reads; `None` if there is none.
fn limit(read: impl FnOnce(*mut libc::rlimit) -> libc::c_int) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let answer = read(&raw mut limit);
    (answer == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

fn locked_memory_limit() -> Option<u64> {
    // SAFETY: `limit` lends a live local that the call fills.
    limit(|to| unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, to) })
}

fn open_files_limit() -> Option<u64> {
    // SAFETY: `limit` lends a live local that the call fills.
    limit(|to| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, to) })
}

fn release() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    if release.is_empty() { "of unknown release".to_owned() } else { release.to_owned() }
}

#[cfg(test)]
mod tests;
