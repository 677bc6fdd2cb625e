//! A driver whose kernel does what it is told: entries go to a list, completions come from one.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crate::driver::{Caps, Class, Cqe, Driver, Opcode, RingDriver, SqFull, Sqe, Token};
use crate::id::ShardId;

/// What the kernel of one driver holds.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    /// The submission queue, and how much it holds.
    pub(super) queued: VecDeque<Sqe>,
    pub(super) entries: usize,
    /// So many entries are taken by the next flushes together.
    pub(super) takes: usize,
    /// Entries that were taken and not completed.
    pub(super) taken: Vec<Sqe>,
    /// Completions that are ready.
    pub(super) ready: Vec<Cqe>,
    /// How many entries were taken of requests to cancel, and of doorbells.
    pub(super) cancels: usize,
    pub(super) bells: u64,
    /// Entries that somebody tried to push, taken or not.
    pub(super) seen: Vec<Sqe>,
    /// What a direct call is answered.
    pub(super) answer: Option<i32>,
    /// Entries that were tried by a direct call, and the answers.
    pub(super) tried: Vec<(Sqe, Option<i32>)>,
    /// Posting without a ring goes by an eventfd, which the shard watches.
    pub(super) watches: bool,
}

impl Kernel {
    /// Whether an entry with this token was pushed and not completed.
    pub(super) fn holds(&self, token: Token) -> bool {
        self.queued.iter().chain(&self.taken).any(|sqe| sqe.token == token)
    }

    /// Whether the last completion of this token waits to be drained.
    pub(super) fn has_completed(&self, token: Token) -> bool {
        self.ready.iter().any(|cqe| cqe.token == token && !cqe.has_more())
    }

    /// Entries that were pushed and not completed, of this class.
    pub(super) fn held(&self, class: Class) -> usize {
        let is_of = |sqe: &&Sqe| sqe.token.class() == Some(class);
        self.queued.iter().chain(&self.taken).filter(is_of).count()
    }
}

/// The recipe of a [`Script`], and the way to its kernel.
#[derive(Clone, Default)]
pub(super) struct Setup(Arc<Mutex<Kernel>>);

impl Setup {
    pub(super) fn new(kernel: Kernel) -> Self {
        Self(Arc::new(Mutex::new(kernel)))
    }

    pub(super) fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setup")
    }
}

/// The driver.
#[derive(Debug)]
pub(super) struct Script {
    setup: Setup,
    caps: Caps,
}

// SAFETY:
// - the kernel never touches memory, so O2, O5 and O8 hold whatever it completes.
// - O1, O3, O4, O6, O7: it is the subject of the program to complete what it likes. What names
//   memory or an fd of its own is completed once: the harness sees to it.
unsafe impl Driver for Script {
    type Setup = Setup;

    fn open(setup: &Setup, _shard: ShardId) -> io::Result<Self> {
        let mut caps = Caps::default();
        caps.foreign_msg_ring = !setup.kernel().watches;
        caps.add(Opcode::MSG_RING);
        Ok(Self { setup: setup.clone(), caps })
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    unsafe fn push(&mut self, sqe: Sqe) -> Result<(), SqFull> {
        let mut kernel = self.setup.kernel();
        kernel.seen.push(sqe);
        if kernel.queued.len() >= kernel.entries {
            return Err(SqFull(sqe));
        }
        kernel.queued.push_back(sqe);
        Ok(())
    }

    unsafe fn attempt(&mut self, sqe: &Sqe) -> Option<i32> {
        let mut kernel = self.setup.kernel();
        let answer = kernel.answer;
        kernel.tried.push((*sqe, answer));
        answer
    }

    fn queued(&self) -> usize {
        self.setup.kernel().queued.len()
    }

    fn flush(&mut self) -> io::Result<usize> {
        let mut kernel = self.setup.kernel();
        let count = kernel.queued.len().min(kernel.takes);
        kernel.takes -= count;
        for _ in 0..count {
            let Some(sqe) = kernel.queued.pop_front() else { break };
            match sqe.token.class() {
                Some(Class::Cancel) => kernel.cancels += 1,
                Some(Class::BellSent) => kernel.bells += 1,
                _ => {}
            }
            kernel.taken.push(sqe);
        }
        Ok(count)
    }

    fn park(&mut self, _until: Option<Instant>) -> io::Result<()> {
        self.flush().map(drop)
    }

    fn pending(&self) -> bool {
        !self.setup.kernel().ready.is_empty()
    }

    fn drain(&mut self, sink: impl FnMut(Cqe)) -> usize {
        let ready = std::mem::take(&mut self.setup.kernel().ready);
        let count = ready.len();
        ready.into_iter().for_each(sink);
        count
    }

    fn enters(&self) -> u64 {
        0
    }
}

// SAFETY:
// - O9: the fd is open for ever, and is no ring, so that what is posted to it goes nowhere.
unsafe impl RingDriver for Script {
    fn ring_fd(&self) -> BorrowedFd<'_> {
        static NO_RING: OnceLock<File> = OnceLock::new();
        NO_RING.get_or_init(|| File::open("/dev/null").expect("there is /dev/null")).as_fd()
    }
}
