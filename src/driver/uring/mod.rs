//! The io_uring driver: one ring, owned by one thread.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::time::Instant;

use io_uring::{CompletionStatus, IoUring, squeue};

use crate::driver::caps::Caps;
use crate::driver::entry::{BufferRing, Cqe, Sqe, Token};
use crate::driver::{Driver, RingDriver, SqFull};
use crate::error::{BuildError, RuntimeError};
use crate::id::ShardId;

mod attempt;
mod enter;
mod probe;
mod refusal;
mod setup;

use enter::{Clock, Gate, Wait, enter_flags};
use probe::features;
use setup::setup_flags;

pub(crate) use enter::post;
pub use refusal::{RefusalReason, UringRefused};
pub use setup::UringSetup;

/// A driver that is an io_uring.
///
/// It belongs to the thread that opened it, and to it alone: the kernel refuses everybody else.
/// Nothing is entered when there is nothing to do, and one call submits, collects and sleeps.
///
/// Linux 5.17 or newer. Opening takes some 60 us; without memory for it up to 0.4 s, because the
/// locked memory of rings just closed comes back late. Dropping it closes the ring, which the
/// kernel finishes some 20 ms later; a `recv` with a timeout or an `epoll_wait` of the same thread
/// may be interrupted by that (`EINTR`).
///
/// [`attempt`](Driver::attempt) finishes reads from the page cache at an offset, sends and
/// receives. It does not look at other operations on the same socket: a receive that is pending on
/// the ring may lose its bytes to one that is attempted.
///
/// ```
/// use spargio::ShardId;
/// use spargio::driver::{Class, Driver, Sqe, Token, Uring, UringSetup};
///
/// # fn main() -> std::io::Result<()> {
/// let mut driver = Uring::open(&UringSetup::default(), ShardId::new(0))?;
/// let token = Token::new(Class::Op, 0, 7);
/// // SAFETY: the entry names no memory and no fd.
/// unsafe { driver.push(Sqe::nop().token(token)) }.expect("the queue is empty");
/// driver.park(None)?;
/// let mut seen = Vec::new();
/// driver.drain(|cqe| seen.push((cqe.token, cqe.result)));
/// assert_eq!(seen, [(token, 0)]);
/// # Ok(())
/// # }
/// ```
pub struct Uring {
    /// The way in. Before `ring`, because it takes back what it registered while the fd is open.
    gate: Gate,
    /// The look at the completion queue: the two numbers it reads live in the memory of `ring`.
    completions: CompletionStatus,
    ring: IoUring,
    caps: Caps,
    clock: Clock,
    /// The kernel takes the submissions by itself.
    polled: bool,
    /// So many looks the flag that there is deferred work is not believed.
    doubts: Cell<u32>,
    /// Neither `Send` nor `Sync`: see the type's page. Also what makes the views of `&self` the
    /// only ones of their time.
    _thread: PhantomData<*mut ()>,
}

impl Uring {
    /// How many calls one [`flush`](Driver::flush) makes at most: a call runs about 20 pieces of
    /// deferred work, and the shard has other things to do than to run more than 320.
    const MAX_ROUNDS: u32 = 16;
    /// A kernel that adds work while this thread runs it may raise the flag after the work is done
    /// (seen on Linux 6.18), and then it stays up until there is work again. A call that finds
    /// nothing is a sign of that: so many looks later it is tried again, and a sleep is safe
    /// meanwhile, because the kernel looks at the work and not at the flag.
    const DOUBTS: u32 = 8;

    /// Reads the submission queue's side of the ring without writing it back.
    #[inline]
    fn view(&self) -> ManuallyDrop<squeue::SubmissionQueue<'_>> {
        // SAFETY: the type is not `Sync`, and the borrow of `self` keeps the methods that push
        // from running while this view lives; two views that only read do not conflict. Being
        // dropped would store the tail that was read, which is of no use.
        ManuallyDrop::new(unsafe { self.ring.submission_shared() })
    }

    /// Whether a call would bring completions into the queue, and there is room for them.
    #[inline]
    fn can_collect(&mut self) -> bool {
        let view = self.view();
        (view.taskrun() || view.cq_overflow()) && !self.ring.completion().is_full()
    }

    /// Hands over to the kernel's own thread: wakes it if it sleeps, waits for room if there is
    /// none.
    fn flush_polled(&mut self) -> io::Result<usize> {
        let queued = self.queued() as u32;
        let mut extra = 0;
        if self.must_wake_poller() {
            extra |= enter_flags::SQ_WAKEUP;
        }
        if self.view().is_full() {
            extra |= enter_flags::SQ_WAIT;
        }
        if extra != 0 || self.can_collect() {
            // Interrupted or out of memory: what is queued stays queued, and the next flush wakes
            // the thread.
            if let Err(errno) = self.gate.enter(queued, Wait::No, extra)
                && !is_passing(errno)
            {
                return Err(io::Error::from_raw_os_error(errno));
            }
        }
        Ok(queued as usize)
    }

    fn must_wake_poller(&self) -> bool {
        // The fence in here stands between the tail that `push` stored and the read of the flag;
        // it pairs with the kernel's barrier between setting the flag and reading the tail.
        self.polled && self.view().need_wakeup()
    }

    /// How long a wait until then is; `None` if the moment has come.
    fn wait_until(&self, until: Option<Instant>) -> Option<Wait> {
        let Some(until) = until else { return Some(Wait::Forever) };
        // Asking the kernel to wait until a moment that has passed makes it sleep for 16 us.
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        if self.caps.absolute_wait {
            Some(Wait::Until(self.clock.absolute(until)))
        } else {
            Some(Wait::For(left))
        }
    }
}

/// Whether an error of a call into the kernel is a normal state: interrupted, at the deadline, no
/// memory for the moment, completions to be collected first.
fn is_passing(errno: i32) -> bool {
    matches!(errno, libc::EINTR | libc::ETIME | libc::EAGAIN | libc::EBUSY)
}

// SAFETY: the obligations in turn.
// - O1: entries are copied to the ring, whose head only the kernel moves; what a call did not take
//   is still between head and tail and goes with the next call. The kernel answers each entry it
//   took with a completion (`CQE_SKIP_SUCCESS` aside), and `NODROP`, without which `open` fails,
//   keeps those for which the queue has no room.
// - O2: the kernel's promise, for entries as for zero-copy notifications.
// - O3: `user_data` comes back as it went in; messages carry what a doorbell put into them, and
//   the one of the probe is thrown away before `open` returns. The kernel cancels a close before
//   it begins or not at all.
// - O4: `push` writes to mapped memory, and when the queue is full it writes nothing.
// - O5: see `attempt`: direct calls with `RWF_NOWAIT` or `MSG_DONTWAIT`.
// - O6: a wait ends with one completion or at the deadline; a doorbell posts a completion. Entries
//   go in the same call, and when the kernel does not take all of them it does not sleep.
// - O7: two looks at mapped memory. Every ladder step in which work is put off shows it in a flag.
// - O8: closing the ring frees none of the caller's memory.
// - O10: the kernel's promise; it moves its head behind a buffer when it takes that for a receive,
//   and names it in the completion. It does not look at the memory of a ring that is unregistered.
unsafe impl Driver for Uring {
    type Setup = UringSetup;

    fn check(setup: &UringSetup) -> Result<(), BuildError> {
        setup.check()
    }

    fn open(setup: &UringSetup, _shard: ShardId) -> io::Result<Self> {
        setup.check().map_err(|error| io::Error::from(RuntimeError::Build(error)))?;
        let refused = |error| UringRefused::diagnose(error, setup);
        let mut ring = setup.build().map_err(refused)?;
        let mut caps = probe::from_params(ring.params());
        if caps.features & features::REQUIRED != features::REQUIRED {
            return Err(UringRefused::missing_features());
        }
        let mut gate = Gate::new(ring.as_raw_fd());
        probe::complete(&mut caps, &mut ring, &mut gate).map_err(refused)?;
        if let Some(mut limits) = setup.iowq_max_workers {
            ring.submitter().register_iowq_max_workers(&mut limits).map_err(refused)?;
        }
        let queue = ring.completion();
        // SAFETY: the status lives beside the ring in the same value; it is not handed out, and
        // its pointers are not followed once the ring is dropped.
        let completions = unsafe { queue.status() };
        drop(queue);
        let polled = caps.setup_flags & setup_flags::SQPOLL != 0;
        let clock = Clock::new();
        Ok(Self {
            gate,
            completions,
            ring,
            caps,
            clock,
            polled,
            doubts: Cell::new(0),
            _thread: PhantomData,
        })
    }

    #[inline]
    fn caps(&self) -> &Caps {
        &self.caps
    }

    #[inline]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[inline]
    unsafe fn push(&mut self, sqe: Sqe) -> Result<(), SqFull> {
        const _: () = assert!(size_of::<Sqe>() == size_of::<squeue::Entry>());
        const _: () = assert!(align_of::<Sqe>() == align_of::<squeue::Entry>());
        let entry = ptr::from_ref(&sqe).cast::<squeue::Entry>();
        // SAFETY: both types are the kernel's layout of an entry, of the same size and alignment,
        // and any bits make a valid one.
        let entry = unsafe { &*entry };
        // SAFETY: what the entry names stays valid: the caller's promise.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.map_err(|_full| SqFull(sqe))
    }

    #[inline]
    unsafe fn attempt(&mut self, sqe: &Sqe) -> Option<i32> {
        // SAFETY: the caller's promise.
        unsafe { attempt::attempt(sqe) }
    }

    unsafe fn provide(&mut self, ring: BufferRing) -> io::Result<()> {
        // SAFETY: the caller's promise.
        let done = unsafe { self.gate.register_buffers(ring) };
        done.map_err(io::Error::from_raw_os_error)
    }

    fn retract(&mut self, group: u16) -> io::Result<()> {
        self.gate.unregister_buffers(group).map_err(io::Error::from_raw_os_error)
    }

    unsafe fn register(&mut self, number: u16, memory: Option<NonNull<[u8]>>) -> io::Result<()> {
        // SAFETY: the caller's promise.
        let done = unsafe { self.gate.register_memory(number, memory) };
        done.map_err(io::Error::from_raw_os_error)
    }

    #[inline]
    fn queued(&self) -> usize {
        self.view().len()
    }

    fn flush(&mut self) -> io::Result<usize> {
        if self.polled {
            return self.flush_polled();
        }
        let mut taken = 0;
        for _ in 0..Self::MAX_ROUNDS {
            let queued = self.queued() as u32;
            if queued == 0 && !self.can_collect() {
                break;
            }
            match self.gate.enter(queued, Wait::No, 0) {
                Ok(0) if queued == 0 && self.completions.is_empty() => {
                    self.doubts.set(Self::DOUBTS);
                    break;
                }
                Ok(0) if queued > 0 => break,
                Ok(count) => taken += count as usize,
                Err(libc::EINTR) => {}
                Err(libc::EAGAIN | libc::EBUSY) => {
                    // No memory for a request, or too many completions uncollected: the entries
                    // stay, and room is made as far as the queue has any.
                    let _collected = self.gate.enter(0, Wait::No, 0);
                    break;
                }
                Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
        Ok(taken)
    }

    fn park(&mut self, until: Option<Instant>) -> io::Result<()> {
        if self.pending() {
            return self.flush().map(drop);
        }
        let Some(wait) = self.wait_until(until) else { return self.flush().map(drop) };
        let queued = self.queued() as u32;
        let extra = if self.must_wake_poller() { enter_flags::SQ_WAKEUP } else { 0 };
        self.doubts.set(0);
        match self.gate.enter(queued, wait, extra) {
            Ok(_) => Ok(()),
            Err(errno) if is_passing(errno) => Ok(()),
            Err(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    #[inline]
    fn pending(&self) -> bool {
        if !self.completions.is_empty() {
            return true;
        }
        let view = self.view();
        if view.taskrun() {
            let doubts = self.doubts.get();
            if doubts == 0 {
                return true;
            }
            self.doubts.set(doubts - 1);
        }
        view.cq_overflow()
    }

    #[inline]
    fn drain(&mut self, mut sink: impl FnMut(Cqe)) -> usize {
        let mut count = 0;
        for entry in self.ring.completion() {
            let token = Token::from_bits(entry.user_data());
            sink(Cqe { token, result: entry.result(), flags: entry.flags() });
            count += 1;
        }
        count
    }

    #[inline]
    fn enters(&self) -> u64 {
        self.gate.entered()
    }
}

// SAFETY: O9: it is the fd of the one ring of this value, which closes it when dropped.
unsafe impl RingDriver for Uring {
    fn ring_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring owns the fd and lives as long as the borrow of `self`.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("fd", &self.ring.as_raw_fd())
            .field("queued", &self.queued())
            .field("pending", &self.pending())
            .field("caps", &self.caps)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod flag_tests;
#[cfg(test)]
mod tests;
