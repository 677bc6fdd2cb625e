//! The recipe of an io_uring, and the ladder of flags down which it is opened.

use std::fmt;
use std::io;
use std::thread;
use std::time::Duration;

use io_uring::{Builder, IoUring};

use crate::error::BuildError;

/// Flags of `io_uring_setup(2)`.
pub(super) mod setup_flags {
    pub(crate) const SQPOLL: u32 = 1 << 1;
    pub(crate) const SQ_AFF: u32 = 1 << 2;
    pub(crate) const CQSIZE: u32 = 1 << 3;
    pub(crate) const CLAMP: u32 = 1 << 4;
    pub(crate) const SUBMIT_ALL: u32 = 1 << 7;
    pub(crate) const COOP_TASKRUN: u32 = 1 << 8;
    pub(crate) const TASKRUN_FLAG: u32 = 1 << 9;
    pub(crate) const SINGLE_ISSUER: u32 = 1 << 12;
    pub(crate) const DEFER_TASKRUN: u32 = 1 << 13;
    pub(crate) const NO_SQARRAY: u32 = 1 << 16;
}

/// How the ring of an [`Uring`](super::Uring) is made.
///
/// The default is right for a shard: 256 submission and 1024 completion entries (56 KiB of kernel
/// memory), completion work deferred to the moment the shard asks for it. What the kernel does not
/// know is left away step by step; [`Caps::setup_flags`](crate::driver::Caps::setup_flags) says
/// what remained.
///
/// ```
/// use spargio::driver::UringSetup;
/// let setup = UringSetup::default().with_entries(1024).with_cq_entries(8192);
/// assert_eq!(setup.entries, 1024);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UringSetup {
    /// Entries of the submission queue, 1 to [`MAX_ENTRIES`](Self::MAX_ENTRIES); the kernel rounds
    /// up to a power of two. Not a limit on operations in flight. Default 256.
    pub entries: u32,
    /// Entries of the completion queue, from `entries` to
    /// [`MAX_CQ_ENTRIES`](Self::MAX_CQ_ENTRIES). What does not fit waits in the kernel, slower but
    /// not lost. Default: four times `entries`.
    pub cq_entries: Option<u32>,
    /// A kernel thread takes submissions and sleeps when it found none for so long (whole
    /// milliseconds; 0 means the kernel's second). It burns a CPU meanwhile. Default: no thread.
    pub sqpoll: Option<Duration>,
    /// The CPU of that thread; only with `sqpoll`. Default: any.
    pub sqpoll_cpu: Option<u32>,
    /// Completion work runs at any system call of the shard instead of only when it collects; not
    /// with `sqpoll`. Default: off.
    pub coop_taskrun: bool,
    /// How many kernel worker threads may serve the operations of this thread that block: on files
    /// and block devices, and on everything else. `None` keeps the kernel's limits, of which the
    /// second is the number of processes a user may have. Default: 16 and 64.
    pub iowq_max_workers: Option<[u32; 2]>,
}

impl UringSetup {
    /// The largest submission queue.
    pub const MAX_ENTRIES: u32 = 32_768;
    /// The largest completion queue.
    pub const MAX_CQ_ENTRIES: u32 = 65_536;
    /// The default of [`iowq_max_workers`](Self::iowq_max_workers). Every shard has workers of its
    /// own, so the number does not grow with the CPUs.
    pub const DEFAULT_WORKERS: [u32; 2] = [16, 64];

    /// How many times a setup without memory is tried again.
    const MEMORY_RETRIES: u32 = 4;
    /// What lies between two such tries: a closed ring gives its locked memory back only after 20
    /// to 50 ms, and a setup that failed holds part of it as long.
    const MEMORY_PAUSE: Duration = Duration::from_millis(100);
    /// Tries with less memory do not go below so many entries.
    const FLOOR_ENTRIES: u32 = 16;

    /// The setup with a submission queue of this size.
    #[must_use]
    pub const fn with_entries(mut self, entries: u32) -> Self {
        self.entries = entries;
        self
    }

    /// The setup with a completion queue of this size.
    #[must_use]
    pub const fn with_cq_entries(mut self, entries: u32) -> Self {
        self.cq_entries = Some(entries);
        self
    }

    /// The setup with a kernel thread that takes submissions and sleeps after `idle`.
    #[must_use]
    pub const fn with_sqpoll(mut self, idle: Duration) -> Self {
        self.sqpoll = Some(idle);
        self
    }

    /// The setup with the kernel's thread on this CPU.
    #[must_use]
    pub const fn with_sqpoll_cpu(mut self, cpu: u32) -> Self {
        self.sqpoll_cpu = Some(cpu);
        self
    }

    /// The setup with completion work at any system call, or only when the shard collects.
    #[must_use]
    pub const fn with_coop_taskrun(mut self, coop: bool) -> Self {
        self.coop_taskrun = coop;
        self
    }

    /// The setup with these limits on kernel workers.
    #[must_use]
    pub const fn with_iowq_max_workers(mut self, bounded: u32, unbounded: u32) -> Self {
        self.iowq_max_workers = Some([bounded, unbounded]);
        self
    }

    /// The size of the completion queue that is asked for.
    pub(super) const fn cq_size(&self) -> u32 {
        match self.cq_entries {
            Some(entries) => entries,
            None => self.entries.saturating_mul(4),
        }
    }

    /// # Errors
    ///
    /// The first value that cannot be, by the name of the builder's knob for it.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        let invalid = |knob, value: &dyn fmt::Display, limit: String| {
            Err(BuildError::invalid(knob, value, limit))
        };
        let (entries, cq_entries) = (self.entries, self.cq_size());
        let (max, max_cq) = (Self::MAX_ENTRIES, Self::MAX_CQ_ENTRIES);
        if entries == 0 || entries > max {
            return invalid("ring_entries", &entries, format!("from 1 to {max}"));
        }
        // A default that is too large is cut by the kernel; a wish is not.
        if self.cq_entries.is_some() && (cq_entries < entries || cq_entries > max_cq) {
            let limit = format!("from ring_entries, which is {entries}, to {max_cq}");
            return invalid("cq_entries", &cq_entries, limit);
        }
        if self.sqpoll.is_none() && self.sqpoll_cpu.is_some() {
            return invalid("sqpoll_cpu", &"set", "left out without sqpoll".to_owned());
        }
        if self.sqpoll.is_some() && self.coop_taskrun {
            return invalid("coop_taskrun", &"set", "left out with sqpoll".to_owned());
        }
        match self.sqpoll {
            Some(idle) if idle.as_millis() > u128::from(u32::MAX) => {
                invalid("sqpoll", &format!("{idle:?}"), format!("at most {} ms", u32::MAX))
            }
            _ => Ok(()),
        }
    }

    /// The sets of flags to try, best first.
    pub(super) fn ladder(&self) -> Vec<u32> {
        use setup_flags::{
            CLAMP, COOP_TASKRUN, CQSIZE, DEFER_TASKRUN, NO_SQARRAY, SINGLE_ISSUER, SQ_AFF, SQPOLL,
            SUBMIT_ALL, TASKRUN_FLAG,
        };
        let sizes = CLAMP | CQSIZE;
        if self.sqpoll.is_some() {
            // The kernel's thread runs the completion work: the taskrun flags are refused with it.
            let polled = sizes | SQPOLL | if self.sqpoll_cpu.is_some() { SQ_AFF } else { 0 };
            return vec![
                polled | SUBMIT_ALL | SINGLE_ISSUER | NO_SQARRAY,
                polled | SUBMIT_ALL | SINGLE_ISSUER,
                polled | SUBMIT_ALL,
                polled,
            ];
        }
        // Deferred work without `TASKRUN_FLAG` would be invisible from user space, and so would
        // be cooperative work.
        let when = if self.coop_taskrun { COOP_TASKRUN } else { DEFER_TASKRUN };
        let best = sizes | SUBMIT_ALL | SINGLE_ISSUER | TASKRUN_FLAG | when;
        vec![
            best | NO_SQARRAY,
            best,
            sizes | SUBMIT_ALL | COOP_TASKRUN | TASKRUN_FLAG,
            sizes | SUBMIT_ALL,
            sizes,
        ]
    }

    /// Opens a ring on the best step of the ladder that the kernel takes. Without memory it tries
    /// again four times, a tenth of a second apart, the later ones with smaller queues.
    ///
    /// # Errors
    ///
    /// What `io_uring_setup(2)` or mapping the ring answered last.
    pub(super) fn build(&self) -> io::Result<IoUring> {
        let mut retries = 0u32;
        loop {
            let shrink = retries.saturating_sub(1);
            match self.build_once(shrink) {
                Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                    if retries == Self::MEMORY_RETRIES {
                        return Err(error);
                    }
                    retries += 1;
                    thread::sleep(Self::MEMORY_PAUSE);
                }
                done => return done,
            }
        }
    }

    /// One way down the ladder, with both queues halved `shrink` times.
    fn build_once(&self, shrink: u32) -> io::Result<IoUring> {
        let entries = (self.entries >> shrink).max(self.entries.min(Self::FLOOR_ENTRIES));
        let cq_entries = (self.cq_size() >> shrink).max(entries);
        let mut refused = io::Error::from_raw_os_error(libc::EINVAL);
        for flags in self.ladder() {
            match self.builder(flags, cq_entries).build(entries) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused = error,
                done => return done,
            }
        }
        Err(refused)
    }

    fn builder(&self, flags: u32, cq_entries: u32) -> Builder {
        use setup_flags as flag;
        let mut builder = IoUring::builder();
        builder.dontfork();
        let has = |wanted: u32| flags & wanted != 0;
        if has(flag::CQSIZE) {
            builder.setup_cqsize(cq_entries);
        }
        if has(flag::CLAMP) {
            builder.setup_clamp();
        }
        if has(flag::SUBMIT_ALL) {
            builder.setup_submit_all();
        }
        if has(flag::COOP_TASKRUN) {
            builder.setup_coop_taskrun();
        }
        if has(flag::TASKRUN_FLAG) {
            builder.setup_taskrun_flag();
        }
        if has(flag::SINGLE_ISSUER) {
            builder.setup_single_issuer();
        }
        if has(flag::DEFER_TASKRUN) {
            builder.setup_defer_taskrun();
        }
        if has(flag::NO_SQARRAY) {
            builder.setup_no_sqarray();
        }
        if let Some(idle) = self.sqpoll {
            builder.setup_sqpoll(u32::try_from(idle.as_millis()).unwrap_or(u32::MAX));
        }
        if let Some(cpu) = self.sqpoll_cpu {
            builder.setup_sqpoll_cpu(cpu);
        }
        builder
    }
}

impl Default for UringSetup {
    fn default() -> Self {
        Self {
            entries: 256,
            cq_entries: None,
            sqpoll: None,
            sqpoll_cpu: None,
            coop_taskrun: false,
            iowq_max_workers: Some(Self::DEFAULT_WORKERS),
        }
    }
}

#[cfg(test)]
mod tests;
