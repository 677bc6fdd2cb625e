//! The raw calls into the kernel: entering a ring, registering with it, posting to one from
//! outside.

use std::io;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use crate::driver::entry::{BufferRing, Sqe, Token};

/// Flags of `io_uring_enter(2)`.
pub(super) mod enter_flags {
    pub(crate) const GETEVENTS: u32 = 1 << 0;
    pub(crate) const SQ_WAKEUP: u32 = 1 << 1;
    pub(crate) const SQ_WAIT: u32 = 1 << 2;
    pub(crate) const EXT_ARG: u32 = 1 << 3;
    pub(crate) const REGISTERED_RING: u32 = 1 << 4;
    pub(crate) const ABS_TIMER: u32 = 1 << 5;
    pub(crate) const NO_IOWAIT: u32 = 1 << 7;
}

const REGISTER_BUFFERS2: u32 = 15;
const REGISTER_BUFFERS_UPDATE: u32 = 16;
const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;
const REGISTER_PBUF_RING: u32 = 22;
const UNREGISTER_PBUF_RING: u32 = 23;
const REGISTER_SEND_MSG_RING: u32 = 31;
const REGISTER_QUERY: u32 = 35;

/// The longest wait asked of the kernel, in seconds: far from where its clock overflows.
const MAX_WAIT_SECS: u64 = 1 << 31;

/// `struct io_uring_getevents_arg`.
#[repr(C)]
#[derive(Debug)]
pub(super) struct WaitArg {
    sigmask: u64,
    sigmask_size: u32,
    min_wait_usec: u32,
    timespec: u64,
}

const _: () = assert!(size_of::<WaitArg>() == 24);

/// `struct __kernel_timespec`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Timespec {
    seconds: i64,
    nanos: i64,
}

impl Timespec {
    fn new(time: Duration) -> Self {
        let seconds = time.as_secs().min(MAX_WAIT_SECS) as i64;
        Self { seconds, nanos: i64::from(time.subsec_nanos()) }
    }
}

/// Turns an [`Instant`] into a time of `CLOCK_MONOTONIC`, which is what a wait names absolutely.
///
/// Both count the same clock but `Instant` hides the number, so one pair of readings joins them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    instant: Instant,
    monotonic: Duration,
}

impl Clock {
    /// How many pairs of readings are taken; the closest counts.
    const SAMPLES: usize = 3;

    pub(super) fn new() -> Self {
        let mut best = Self::sample();
        for _ in 1..Self::SAMPLES {
            let next = Self::sample();
            if next.0 < best.0 {
                best = next;
            }
        }
        best.1
    }

    /// A pair, and how far apart its readings can be. The absolute time is read first, so a
    /// deadline is early by that much at most, never late.
    fn sample() -> (Duration, Self) {
        let before = Instant::now();
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a live local that the call fills.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        let instant = Instant::now();
        let monotonic = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        (instant - before, Self { instant, monotonic })
    }

    pub(super) fn absolute(&self, until: Instant) -> Timespec {
        let since = until.saturating_duration_since(self.instant);
        Timespec::new(self.monotonic.saturating_add(since))
    }
}

/// How long a wait lasts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// Not at all.
    No,
    /// Until a completion.
    Forever,
    /// Until a completion or a time of `CLOCK_MONOTONIC`.
    Until(Timespec),
    /// Until a completion or for so long.
    For(Duration),
}

/// The way into one ring, and the count of how often it was gone.
#[derive(Debug)]
pub(super) struct Gate {
    /// The fd, or the index under which the fd is registered with this thread.
    ring: i32,
    /// Flags of every call.
    flags: u32,
    /// Flags of a call that waits.
    wait_flags: u32,
    /// The fd, if `ring` is an index.
    registered: Option<RawFd>,
    /// The ring has places for memory that it knows.
    has_table: bool,
    entered: u64,
}

impl Gate {
    pub(super) fn new(fd: RawFd) -> Self {
        Self { ring: fd, flags: 0, wait_flags: 0, registered: None, has_table: false, entered: 0 }
    }

    /// Registers the ring fd with this thread, so that a call need not look it up. Answers whether
    /// it worked: a thread has 16 places, and Linux before 5.18 none.
    pub(super) fn register_fd(&mut self) -> bool {
        let mut place = RingPlace { offset: u32::MAX, reserved: 0, fd: self.ring as u64 };
        // SAFETY: one place, as the count says, which the call reads and fills.
        let done = unsafe { register(self.ring, REGISTER_RING_FDS, (&raw mut place).cast(), 1) };
        let (Ok(1), Ok(index)) = (done, i32::try_from(place.offset)) else { return false };
        self.registered = Some(self.ring);
        self.ring = index;
        self.flags |= enter_flags::REGISTERED_RING;
        true
    }

    /// The fd of the ring.
    fn fd(&self) -> RawFd {
        self.registered.unwrap_or(self.ring)
    }

    /// Whether the kernel knows rings of provided buffers.
    pub(super) fn knows_buffer_rings(&self) -> bool {
        // At an address where nothing can be: a kernel that knows the call fails to read it, and
        // one that does not refuses the call.
        let nowhere = ptr::without_provenance_mut(1);
        // SAFETY: the kernel reads what the argument points to, with a check; it is nothing.
        let answer = unsafe { register(self.fd(), REGISTER_PBUF_RING, nowhere, 1) };
        answer == Err(libc::EFAULT)
    }

    /// Whether the kernel can be asked what it knows (Linux 6.18).
    pub(super) fn knows_queries(&self) -> bool {
        let nowhere = ptr::without_provenance_mut(1);
        // SAFETY: as in `knows_buffer_rings`.
        let answer = unsafe { register(self.fd(), REGISTER_QUERY, nowhere, 0) };
        answer == Err(libc::EFAULT)
    }

    /// Registers a ring of buffers.
    ///
    /// # Safety
    ///
    /// As [`Driver::provide`](crate::driver::Driver::provide).
    pub(super) unsafe fn register_buffers(&mut self, ring: BufferRing) -> Result<(), i32> {
        let address = ring.address.expose_provenance() as u64;
        let entries = u32::from(ring.entries);
        let mut arg = BufferRingArg { address, entries, group: ring.group, ..Default::default() };
        // SAFETY: one argument, as the count says, which the call reads; what it names is the
        // caller's promise.
        unsafe { register(self.fd(), REGISTER_PBUF_RING, (&raw mut arg).cast(), 1) }.map(drop)
    }

    /// Takes a ring of buffers back.
    pub(super) fn unregister_buffers(&mut self, group: u16) -> Result<(), i32> {
        let mut arg = BufferRingArg { group, ..Default::default() };
        // SAFETY: one argument, as the count says, which the call reads; it names no memory.
        unsafe { register(self.fd(), UNREGISTER_PBUF_RING, (&raw mut arg).cast(), 1) }.map(drop)
    }

    /// Makes the ring know memory by a number, or makes the number mean nothing. The ring's table
    /// is made by the first call (Linux 5.19).
    ///
    /// # Safety
    ///
    /// As [`Driver::register`](crate::driver::Driver::register).
    pub(super) unsafe fn register_memory(
        &mut self,
        number: u16,
        memory: Option<NonNull<[u8]>>,
    ) -> Result<(), i32> {
        const SPARSE: u32 = 1;
        let size = size_of::<MemoryTable>() as u32;
        if !self.has_table {
            let mut table = MemoryTable { count: TABLE, flags: SPARSE, ..Default::default() };
            // SAFETY: an argument of `size` bytes, which the call reads; it names no memory.
            unsafe { register(self.fd(), REGISTER_BUFFERS2, (&raw mut table).cast(), size) }?;
            self.has_table = true;
        }
        let (base, len) = memory.map_or((ptr::null_mut(), 0), |memory| {
            (memory.as_ptr().cast::<libc::c_void>(), memory.len())
        });
        let part = libc::iovec { iov_base: base, iov_len: len };
        let mut update = MemoryUpdate {
            offset: number.into(),
            parts: (&raw const part).expose_provenance() as u64,
            count: 1,
            ..Default::default()
        };
        // SAFETY: an argument of `size` bytes, and one part, both of which the call reads; what the
        // part names is the caller's promise.
        let done =
            unsafe { register(self.fd(), REGISTER_BUFFERS_UPDATE, (&raw mut update).cast(), size) };
        done.map(drop)
    }

    /// Waits are not counted as waits for I/O.
    pub(super) fn set_no_iowait(&mut self) {
        self.wait_flags |= enter_flags::NO_IOWAIT;
    }

    /// Whether the kernel takes an absolute deadline. Collects on the way.
    ///
    /// # Errors
    ///
    /// The error number of a kernel that does not let us in at all.
    pub(super) fn takes_absolute_deadlines(&mut self) -> Result<bool, i32> {
        let flags = enter_flags::GETEVENTS | enter_flags::EXT_ARG | enter_flags::ABS_TIMER;
        match self.enter_timed(0, 0, flags, Timespec::default()) {
            Ok(_) | Err(libc::ETIME | libc::EINTR) => Ok(true),
            Err(libc::EINVAL) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Submits up to `submit` entries, and collects; with `wait`, sleeps until there is at least
    /// one completion. Answers how many entries were taken, or the error number.
    #[inline]
    pub(super) fn enter(&mut self, submit: u32, wait: Wait, extra: u32) -> Result<u32, i32> {
        let flags = enter_flags::GETEVENTS | extra;
        match wait {
            Wait::No => self.enter_plain(submit, 0, flags),
            Wait::Forever => self.enter_plain(submit, 1, flags | self.wait_flags),
            Wait::Until(time) => {
                let flags = flags | self.wait_flags | enter_flags::EXT_ARG | enter_flags::ABS_TIMER;
                self.enter_timed(submit, 1, flags, time)
            }
            Wait::For(span) => {
                let flags = flags | self.wait_flags | enter_flags::EXT_ARG;
                self.enter_timed(submit, 1, flags, Timespec::new(span))
            }
        }
    }

    /// How often the kernel was entered.
    pub(super) fn entered(&self) -> u64 {
        self.entered
    }

    fn enter_timed(
        &mut self,
        submit: u32,
        min_complete: u32,
        flags: u32,
        time: Timespec,
    ) -> Result<u32, i32> {
        let arg = WaitArg {
            sigmask: 0,
            sigmask_size: 0,
            min_wait_usec: 0,
            timespec: (&raw const time).expose_provenance() as u64,
        };
        let size = size_of::<WaitArg>();
        // SAFETY: `EXT_ARG` is set, so the kernel reads a `WaitArg` of `size` bytes at the pointer
        // and the timespec it names; both live until the call returns.
        unsafe { self.call(submit, min_complete, flags, (&raw const arg).cast(), size) }
    }

    fn enter_plain(&mut self, submit: u32, min_complete: u32, flags: u32) -> Result<u32, i32> {
        // SAFETY: without `EXT_ARG` a null pointer means that there is no signal mask.
        unsafe { self.call(submit, min_complete, flags, ptr::null(), 0) }
    }

    /// # Safety
    ///
    /// `arg` and `size` are what `flags` says, and live until the call returns. What the entries
    /// name is the promise of whoever pushed them.
    unsafe fn call(
        &mut self,
        submit: u32,
        min_complete: u32,
        flags: u32,
        arg: *const libc::c_void,
        size: usize,
    ) -> Result<u32, i32> {
        self.entered += 1;
        let (number, flags) = (libc::SYS_io_uring_enter, flags | self.flags);
        // SAFETY: the caller's promise.
        let taken =
            unsafe { libc::syscall(number, self.ring, submit, min_complete, flags, arg, size) };
        if taken >= 0 { Ok(taken as u32) } else { Err(errno()) }
    }
}

impl Drop for Gate {
    /// A registered fd keeps the ring open, so it is given back.
    fn drop(&mut self) {
        let Some(fd) = self.registered else { return };
        let mut place = RingPlace { offset: self.ring as u32, reserved: 0, fd: 0 };
        // SAFETY: one place, as the count says. A failure leaves the ring open until this thread
        // ends, which costs memory and nothing else.
        let _kept = unsafe { register(fd, UNREGISTER_RING_FDS, (&raw mut place).cast(), 1) };
    }
}

/// `struct io_uring_rsrc_update`, as registering ring fds uses it.
#[repr(C)]
struct RingPlace {
    offset: u32,
    reserved: u32,
    fd: u64,
}

/// How many numbers for memory a ring has.
const TABLE: u32 = 64;

/// `struct io_uring_rsrc_register`.
#[repr(C)]
#[derive(Default)]
struct MemoryTable {
    count: u32,
    flags: u32,
    reserved: u64,
    parts: u64,
    tags: u64,
}

const _: () = assert!(size_of::<MemoryTable>() == 32);

/// `struct io_uring_rsrc_update2`.
#[repr(C)]
#[derive(Default)]
struct MemoryUpdate {
    offset: u32,
    reserved: u32,
    parts: u64,
    tags: u64,
    count: u32,
    reserved2: u32,
}

const _: () = assert!(size_of::<MemoryUpdate>() == 32);

/// `struct io_uring_buf_reg`.
#[repr(C)]
#[derive(Default)]
struct BufferRingArg {
    address: u64,
    entries: u32,
    group: u16,
    flags: u16,
    reserved: [u64; 3],
}

const _: () = assert!(size_of::<BufferRingArg>() == 40);

/// Posts a completion with this token on the ring, from a thread that need not have a ring of its
/// own. Does not block; about 0.3 us, and a wake-up when the ring's owner sleeps.
///
/// # Errors
///
/// `EBADF` if the fd is closed, `EBADFD` if it is no ring, `EINVAL` before Linux 6.13.
pub(crate) fn post(ring: RawFd, token: Token) -> io::Result<()> {
    let mut sqe = Sqe::msg_ring(ring, token, 0);
    // SAFETY: one entry, as the count says, which the call only reads; it names no memory. There
    // is no ring to act on, so the fd must be -1.
    match unsafe { register(-1, REGISTER_SEND_MSG_RING, (&raw mut sqe).cast(), 1) } {
        Ok(_) => Ok(()),
        Err(errno) => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// # Safety
///
/// `arg` and `count` are what the operation says, and live until the call returns.
unsafe fn register(
    ring: i32,
    operation: u32,
    arg: *mut libc::c_void,
    count: u32,
) -> Result<i32, i32> {
    // SAFETY: the caller's promise.
    let answer = unsafe { libc::syscall(libc::SYS_io_uring_register, ring, operation, arg, count) };
    if answer >= 0 { Ok(answer as i32) } else { Err(errno()) }
}

/// What `io_uring_enter(2)` says of an fd that is no fd: `EBADF`, unless a filter answers first.
pub(super) fn errno_without_ring() -> i32 {
    let (number, null) = (libc::SYS_io_uring_enter, ptr::null::<libc::c_void>());
    // SAFETY: there is nothing behind fd -1 to act on, and no argument to read.
    let answer = unsafe { libc::syscall(number, -1, 0u32, 0u32, 0u32, null, 0usize) };
    if answer < 0 { errno() } else { 0 }
}

/// The error number of the last call that failed on this thread.
pub(super) fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
