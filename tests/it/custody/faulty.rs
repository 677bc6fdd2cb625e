//! A driver that goes wrong when it is told to.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use spargio::doorbell::EventFd;
use spargio::driver::{
    BufferRing, Caps, Class, Cqe, Driver, Opcode, SqFull, Sqe, Token, Uring, UringSetup, cqe_flags,
    sqe_flags,
};
use spargio::placement::LeastLoaded;
use spargio::queue::ChaseLev;
use spargio::{Builder, Runtime, ShardId};

/// What is to go wrong, from now on.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Every attempt to hand over fails.
    pub(crate) broken: AtomicBool,
    /// Handing over panics, once.
    pub(crate) panics: AtomicBool,
    /// So many reads get an operation that no kernel knows.
    pub(crate) refused: AtomicUsize,
    /// Receives that fill many buffers are refused, as by a kernel that knows none.
    pub(crate) single: AtomicBool,
    /// Receives that fill many buffers end at no number of bytes, as with a kernel that knows none.
    pub(crate) endless: AtomicBool,
    /// Every completion comes once more at once, and once more at the next drain, when its slot
    /// may be another's.
    pub(crate) echoes: AtomicBool,
    /// The watch of the doorbell ends with its next completion, so many times.
    pub(crate) unwatched: AtomicUsize,
    /// The queue has no room for so many watches.
    pub(crate) crowded: AtomicUsize,
    /// No registered memory is taken from the ring.
    pub(crate) retentive: AtomicBool,
    /// The numbers of all memory that was registered, in this order.
    pub(crate) registered: Mutex<Vec<u16>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FaultySetup {
    uring: UringSetup,
    faults: Arc<Faults>,
}

pub(crate) struct Faulty {
    uring: Uring,
    faults: Arc<Faults>,
    late: Vec<Cqe>,
}

/// A builder of runtimes with these faults.
pub(crate) fn builder(faults: &Arc<Faults>) -> Builder<Faulty, EventFd, ChaseLev, LeastLoaded> {
    let setup = FaultySetup { uring: UringSetup::default(), faults: Arc::clone(faults) };
    Runtime::builder().doorbell::<EventFd>().driver::<Faulty>(setup)
}

/// Takes one of so many.
fn spend(left: &AtomicUsize) -> bool {
    let take = |left: usize| left.checked_sub(1);
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
}

impl Faulty {
    fn check(&self) -> io::Result<()> {
        assert!(!self.faults.panics.swap(false, Ordering::SeqCst), "on purpose: the driver panics");
        if self.faults.broken.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(libc::EBADFD));
        }
        Ok(())
    }
}

// SAFETY:
// - O1 to O8: `Uring` keeps them, and this one passes everything on. What it adds are completions
//   of operations that are over, which a shard must refuse, and an operation that no kernel
//   carries out.
unsafe impl Driver for Faulty {
    type Setup = FaultySetup;

    fn open(setup: &FaultySetup, shard: ShardId) -> io::Result<Self> {
        let uring = Uring::open(&setup.uring, shard)?;
        Ok(Self { uring, faults: Arc::clone(&setup.faults), late: Vec::new() })
    }

    fn caps(&self) -> &Caps {
        self.uring.caps()
    }

    fn now(&self) -> Instant {
        self.uring.now()
    }

    unsafe fn push(&mut self, mut sqe: Sqe) -> Result<(), SqFull> {
        if sqe.opcode() == Opcode::READ && spend(&self.faults.refused) {
            sqe.opcode = 0xee;
        }
        if sqe.opcode() == Opcode::RECV && sqe.flags & sqe_flags::BUFFER_SELECT != 0 {
            if self.faults.single.load(Ordering::SeqCst) {
                sqe.opcode = 0xee;
            }
            if self.faults.endless.load(Ordering::SeqCst) {
                sqe.splice_fd = 0;
            }
        }
        if sqe.token.class() == Some(Class::Watch) && spend(&self.faults.crowded) {
            return Err(SqFull(sqe));
        }
        // SAFETY: the caller's promise.
        unsafe { self.uring.push(sqe) }
    }

    unsafe fn attempt(&mut self, _sqe: &Sqe) -> Option<i32> {
        // Everything goes to the ring.
        None
    }

    unsafe fn provide(&mut self, ring: BufferRing) -> io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.uring.provide(ring) }
    }

    unsafe fn register(&mut self, number: u16, memory: Option<NonNull<[u8]>>) -> io::Result<()> {
        if memory.is_none() && self.faults.retentive.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        // SAFETY: the caller's promise.
        unsafe { self.uring.register(number, memory) }?;
        if memory.is_some() {
            self.faults.registered.lock().unwrap().push(number);
        }
        Ok(())
    }

    fn retract(&mut self, group: u16) -> io::Result<()> {
        self.uring.retract(group)
    }

    fn queued(&self) -> usize {
        self.uring.queued()
    }

    fn flush(&mut self) -> io::Result<usize> {
        self.check()?;
        self.uring.flush()
    }

    fn park(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.check()?;
        self.uring.park(until)
    }

    fn pending(&self) -> bool {
        !self.late.is_empty() || self.uring.pending()
    }

    fn drain(&mut self, mut sink: impl FnMut(Cqe)) -> usize {
        let echoes = self.faults.echoes.load(Ordering::SeqCst);
        let mut late = std::mem::take(&mut self.late);
        let mut count = late.len();
        late.drain(..).for_each(&mut sink);
        let unwatched = &self.faults.unwatched;
        count += self.uring.drain(|mut cqe| {
            // (The old watch goes on, and its completions are as good as the new one's.)
            if cqe.token.class() == Some(Class::Watch) && cqe.has_more() && spend(unwatched) {
                cqe.flags &= !cqe_flags::MORE;
            }
            sink(cqe);
            if echoes && cqe.token.class() == Some(Class::Op) && !cqe.has_more() {
                sink(cqe);
                // A result that would be believed, if it were taken for another's.
                late.push(Cqe { result: 1, ..cqe });
                // A slot that never was, and a token that nobody made.
                sink(Cqe { token: Token::new(Class::Op, 0, u32::MAX), ..cqe });
                sink(Cqe { token: Token::from_bits(u64::MAX), ..cqe });
            }
        });
        self.late = late;
        count
    }

    fn enters(&self) -> u64 {
        self.uring.enters()
    }
}
