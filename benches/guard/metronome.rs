//! The default driver, made fit for valgrind, under which the kernels are counted.
//!
//! - Its clock only goes on when it is asked. The real one runs fifty times too fast for a program
//!   that runs fifty times slower, and what a shard does by time would differ from run to run.
//! - It sleeps in `poll(2)`, on an event counter of the ring. Valgrind lets one thread run at a
//!   time and, up to 3.19 at least, does not know that `io_uring_enter(2)` may block: a shard that
//!   slept there would stop all others.
//! - It can tell when a shard sleeps, so that whoever wakes it never meets it half awake.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use spargio::ShardId;
use spargio::driver::{Caps, Cqe, Driver, Opcode, RingDriver, SqFull, Sqe, Uring, UringSetup};

/// What the clock advances with each look: somewhat less than looks are apart at full speed.
const TICK: Duration = Duration::from_nanos(100);

/// How reads of files are served.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Reads {
    /// As everywhere: by a direct call if that does not block.
    #[default]
    Usual,
    /// Through the ring.
    Ring,
    /// Through the ring, as an operation that does nothing and reads 0 bytes.
    Nop,
}

/// How a [`Metronome`] is opened.
#[derive(Clone, Default, Debug)]
pub(crate) struct Setup {
    pub(crate) reads: Reads,
    /// The shard whose sleeps are told, and to whom.
    pub(crate) sleeper: Option<(ShardId, Arc<Beacon>)>,
}

/// Tells that a shard is about to sleep, and how far its task had come by then.
#[derive(Debug)]
pub(crate) struct Beacon {
    /// Written by the task, on the thread that sleeps.
    pub(crate) round: AtomicU64,
    pub(crate) told: PipeWriter,
}

/// An io_uring with a clock of its own.
pub(crate) struct Metronome {
    ring: Uring,
    event: File,
    clock: Cell<Instant>,
    reads: Reads,
    beacon: Option<Arc<Beacon>>,
}

// SAFETY: every obligation but two is that of `Uring`, to which all calls go.
// - O5: an attempt that is not made has had no effect.
// - O6: everything is handed over first. The kernel counts what becomes ready from then on, also
//   between the look and the wait. If the wait ended at the deadline, the clock is set to it.
// - O1 and O2 for a read that became a NOP: it is one entry with the same token, and the kernel
//   does not even look at the memory.
unsafe impl Driver for Metronome {
    type Setup = Setup;

    fn open(setup: &Setup, shard: ShardId) -> io::Result<Self> {
        let ring = Uring::open(&UringSetup::default(), shard)?;
        let event = watch(ring.ring_fd())?;
        let clock = Cell::new(ring.now());
        let sleeper = setup.sleeper.as_ref().filter(|(sleeper, _)| *sleeper == shard);
        let beacon = sleeper.map(|(_, beacon)| Arc::clone(beacon));
        Ok(Self { ring, event, clock, reads: setup.reads, beacon })
    }

    #[inline]
    fn caps(&self) -> &Caps {
        self.ring.caps()
    }

    #[inline]
    fn now(&self) -> Instant {
        let now = self.clock.get() + TICK;
        self.clock.set(now);
        now
    }

    #[inline]
    unsafe fn push(&mut self, mut sqe: Sqe) -> Result<(), SqFull> {
        if self.reads == Reads::Nop && sqe.opcode() == Opcode::READ {
            sqe = Sqe::nop().token(sqe.token);
        }
        // SAFETY: the caller's promise; a NOP names no memory.
        unsafe { self.ring.push(sqe) }
    }

    #[inline]
    unsafe fn attempt(&mut self, sqe: &Sqe) -> Option<i32> {
        if self.reads != Reads::Usual && sqe.opcode() == Opcode::READ {
            return None;
        }
        // SAFETY: the caller's promise.
        unsafe { self.ring.attempt(sqe) }
    }

    #[inline]
    fn queued(&self) -> usize {
        self.ring.queued()
    }

    fn flush(&mut self) -> io::Result<usize> {
        self.ring.flush()
    }

    fn park(&mut self, until: Option<Instant>) -> io::Result<()> {
        // Counting starts anew before the look, so that nothing that comes after it is missed.
        match self.event.read(&mut [0; 8]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        self.ring.flush()?;
        if self.ring.pending() || self.ring.queued() > 0 {
            return Ok(());
        }
        if let Some(beacon) = &self.beacon {
            let round = beacon.round.load(Ordering::Relaxed);
            (&beacon.told).write_all(&round.to_ne_bytes())?;
        }
        let left = until.map(|until| until.saturating_duration_since(self.ring.now()));
        wait_readable(&self.event, left)?;
        if let Some(until) = until
            && self.ring.now() >= until
        {
            self.clock.set(self.clock.get().max(until));
        }
        Ok(())
    }

    #[inline]
    fn pending(&self) -> bool {
        self.ring.pending()
    }

    #[inline]
    fn drain(&mut self, sink: impl FnMut(Cqe)) -> usize {
        self.ring.drain(sink)
    }

    #[inline]
    fn enters(&self) -> u64 {
        self.ring.enters()
    }
}

// SAFETY: O9: it is the fd of the ring that every entry is pushed to.
unsafe impl RingDriver for Metronome {
    fn ring_fd(&self) -> BorrowedFd<'_> {
        self.ring.ring_fd()
    }
}

/// An event counter that the kernel counts up whenever the ring has something to collect.
fn watch(ring: BorrowedFd<'_>) -> io::Result<File> {
    const REGISTER_EVENTFD: u32 = 4;
    // SAFETY:
    // - the call takes no memory.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY:
    // - the call has just made it, and nobody else knows it.
    let event = unsafe { OwnedFd::from_raw_fd(fd) };
    let (number, ring) = (libc::SYS_io_uring_register, ring.as_raw_fd());
    // SAFETY:
    // - the pointer is to one descriptor, as the count says, which lives during the call.
    let result = unsafe { libc::syscall(number, ring, REGISTER_EVENTFD, &raw const fd, 1) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(File::from(event))
}

/// Waits until the descriptor is readable, for at most so long.
fn wait_readable(fd: &File, left: Option<Duration>) -> io::Result<()> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // Rounded up: a wait that ended early would be made again and again.
    let left = left.map_or(-1, |left| left.as_nanos().div_ceil(1_000_000).min(1 << 30) as i32);
    // SAFETY:
    // - the pointer is to one structure, as the count says, which lives during the call.
    if unsafe { libc::poll(&raw mut poll, 1, left) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}
