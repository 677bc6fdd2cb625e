//! A driver that is as unkind as a kernel may be, in the same way for the same seed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Instant;

use spargio::doorbell::EventFd;
use spargio::driver::{
    BufferRing, Caps, Class, Cqe, Driver, Opcode, SqFull, Sqe, Token, Uring, UringSetup, ioprio,
    sqe_flags,
};
use spargio::placement::LeastLoaded;
use spargio::queue::ChaseLev;
use spargio::{Assembled, Builder, Runtime, RuntimeHandleOf, ShardId};

use super::Dice;
use super::knobs::{Counts, Kind, Knobs};

/// The runtimes that are tortured.
pub(crate) type Handle = RuntimeHandleOf<Assembled<Torture, EventFd, ChaseLev, LeastLoaded>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct TortureSetup {
    uring: UringSetup,
    knobs: Knobs,
    counts: Arc<Counts>,
}

/// A builder of runtimes that are tortured.
pub(crate) fn builder(
    knobs: Knobs,
    counts: &Arc<Counts>,
) -> Builder<Torture, EventFd, ChaseLev, LeastLoaded> {
    let counts = Arc::clone(counts);
    let setup = TortureSetup { uring: UringSetup::default(), knobs, counts };
    Runtime::builder().doorbell::<EventFd>().driver::<Torture>(setup)
}

/// A list of parts that was cut, and the header of the message it belongs to. It stays where it is
/// until the operation has completed.
struct Copied {
    parts: Vec<libc::iovec>,
    header: Option<libc::msghdr>,
}

/// A completion, or an entry, whose time comes after so many rounds.
struct Later<T> {
    what: T,
    rounds: u64,
}

pub(crate) struct Torture {
    uring: Uring,
    knobs: Knobs,
    counts: Arc<Counts>,
    dice: Dice,
    held: VecDeque<Later<Cqe>>,
    cancels: VecDeque<Later<Sqe>>,
    /// What was to be cancelled and has not completed.
    cancelled: HashSet<Token>,
    /// What entries in flight name.
    copies: HashMap<Token, Box<Copied>>,
    /// Direct I/O in flight that says it moved no more than this: the kernel would not cut it
    /// wherever one likes, and whoever answers for a file of somebody else's may.
    told_short: HashMap<Token, i32>,
}

/// Whether the entry moves bytes from or to memory that it names.
fn is_transfer(sqe: &Sqe) -> bool {
    matches!(
        sqe.opcode(),
        Opcode::READ
            | Opcode::WRITE
            | Opcode::READV
            | Opcode::WRITEV
            | Opcode::RECV
            | Opcode::SEND
            | Opcode::RECVMSG
            | Opcode::SENDMSG
            | Opcode::SEND_ZC
            | Opcode::READ_FIXED
            | Opcode::WRITE_FIXED
    )
}

/// Whether the entry reads or writes past the page cache.
fn is_direct(sqe: &Sqe) -> bool {
    use Opcode as Op;
    let is_one = matches!(sqe.opcode(), Op::READ | Op::WRITE | Op::READ_FIXED | Op::WRITE_FIXED);
    // SAFETY: the call takes no memory and changes nothing.
    let flags = || unsafe { libc::fcntl(sqe.fd, libc::F_GETFL) };
    is_one && flags() & libc::O_DIRECT != 0
}

/// Whether the entry waits for somebody else and moves no bytes.
fn is_wait(sqe: &Sqe) -> bool {
    matches!(sqe.opcode(), Opcode::CONNECT | Opcode::ACCEPT | Opcode::POLL_ADD)
}

/// The same entry, to be answered once, if it was to be answered many times.
fn once(sqe: &Sqe) -> Option<Sqe> {
    /// `IORING_POLL_ADD_MULTI`
    const POLL_MULTI: u32 = 1;
    const ACCEPTS: u16 = ioprio::ACCEPT_MULTISHOT;
    match sqe.opcode() {
        Opcode::POLL_ADD if sqe.len & POLL_MULTI != 0 => {
            Some(Sqe { len: sqe.len & !POLL_MULTI, ..*sqe })
        }
        Opcode::ACCEPT if sqe.ioprio & ACCEPTS != 0 => {
            Some(Sqe { ioprio: sqe.ioprio & !ACCEPTS, ..*sqe })
        }
        _ => None,
    }
}

/// Whether the entry is about a file or a name and moves no bytes.
fn is_about_names(sqe: &Sqe) -> bool {
    matches!(
        sqe.opcode(),
        Opcode::OPENAT
            | Opcode::STATX
            | Opcode::FSYNC
            | Opcode::FTRUNCATE
            | Opcode::FALLOCATE
            | Opcode::FADVISE
            | Opcode::SYNC_FILE_RANGE
            | Opcode::RENAMEAT
            | Opcode::UNLINKAT
            | Opcode::MKDIRAT
            | Opcode::SYMLINKAT
            | Opcode::LINKAT
    )
}

fn takes_provided(sqe: &Sqe) -> bool {
    sqe.flags & sqe_flags::BUFFER_SELECT != 0
}

impl Torture {
    fn strikes(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.dice.below(one_in) == 0
    }

    fn rounds(&mut self) -> u64 {
        1 + self.dice.below(3)
    }

    /// To what to cut so many bytes.
    fn cut(&mut self, total: usize) -> Option<(usize, Kind)> {
        if total < 2 {
            return None;
        }
        if self.strikes(self.knobs.byte) {
            return Some((1, Kind::Byte));
        }
        let is_short = self.strikes(self.knobs.short);
        is_short.then(|| (1 + self.dice.below(total as u64 - 1) as usize, Kind::Short))
    }

    /// Cuts the length of the entry, or the list that it names in a copy.
    ///
    /// # Safety
    ///
    /// The memory that the entry names is valid for the length of the call.
    unsafe fn shorten(&mut self, sqe: &mut Sqe) -> Option<(Kind, Option<Box<Copied>>)> {
        match sqe.opcode() {
            Opcode::RECV if takes_provided(sqe) => {
                let is_many = sqe.ioprio & ioprio::RECV_MULTISHOT != 0;
                if !is_many || !self.caps().recv_limit || !self.strikes(self.knobs.short) {
                    return None;
                }
                // It ends after so many bytes, and its reader has to arm it anew.
                sqe.splice_fd = 1 + self.dice.below(600) as i32;
                Some((Kind::Short, None))
            }
            Opcode::READ
            | Opcode::WRITE
            | Opcode::READ_FIXED
            | Opcode::WRITE_FIXED
            | Opcode::RECV
            | Opcode::SEND
            | Opcode::SEND_ZC => {
                let (len, kind) = self.cut(sqe.len as usize)?;
                sqe.len = len as u32;
                Some((kind, None))
            }
            Opcode::READV | Opcode::WRITEV => {
                let parts = ptr::with_exposed_provenance::<libc::iovec>(sqe.addr as usize);
                // SAFETY: the caller's promise: a list of `len` parts.
                let parts = unsafe { std::slice::from_raw_parts(parts, sqe.len as usize) };
                let parts = self.shorten_parts(parts)?;
                let copied = Box::new(Copied { parts, header: None });
                sqe.len = copied.parts.len() as u32;
                sqe.addr = copied.parts.as_ptr().expose_provenance() as u64;
                Some((Kind::Parts, Some(copied)))
            }
            Opcode::SENDMSG if self.knobs.messages => {
                let header = ptr::with_exposed_provenance::<libc::msghdr>(sqe.addr as usize);
                // SAFETY: the caller's promise.
                let mut header = unsafe { header.read() };
                if !header.msg_control.is_null() {
                    return None;
                }
                // SAFETY: the caller's promise: a list of as many parts as the header says.
                let parts =
                    unsafe { std::slice::from_raw_parts(header.msg_iov, header.msg_iovlen) };
                let parts = self.shorten_parts(parts)?;
                header.msg_iovlen = parts.len();
                let mut copied = Box::new(Copied { parts, header: None });
                header.msg_iov = copied.parts.as_mut_ptr();
                let header = copied.header.insert(header);
                sqe.addr = ptr::from_ref(header).expose_provenance() as u64;
                Some((Kind::Parts, Some(copied)))
            }
            _ => None,
        }
    }

    fn shorten_parts(&mut self, parts: &[libc::iovec]) -> Option<Vec<libc::iovec>> {
        let total = parts.iter().map(|part| part.iov_len).sum();
        let (mut left, _) = self.cut(total)?;
        let mut cut = Vec::new();
        for part in parts {
            let iov_len = part.iov_len.min(left);
            cut.push(libc::iovec { iov_len, ..*part });
            left -= iov_len;
            if left == 0 {
                break;
            }
        }
        Some(cut)
    }

    /// The error that the entry is answered with instead of being handed over.
    fn refusal(&mut self, sqe: &Sqe) -> Option<(i32, Kind)> {
        let is_transfer = is_transfer(sqe);
        if takes_provided(sqe) && self.strikes(self.knobs.starve) {
            return Some((libc::ENOBUFS, Kind::Starved));
        }
        if (is_transfer || sqe.opcode() == Opcode::ACCEPT) && self.strikes(self.knobs.interrupt) {
            return Some((libc::EINTR, Kind::Interrupted));
        }
        if is_transfer && self.strikes(self.knobs.again) {
            return Some((libc::EAGAIN, Kind::Again));
        }
        if is_wait(sqe) && self.strikes(self.knobs.waits) {
            return Some((libc::EINTR, Kind::Waits));
        }
        if is_wait(sqe) && self.strikes(self.knobs.refuse) {
            let error = [libc::EAGAIN, libc::ECANCELED][self.dice.below(2) as usize];
            return Some((error, Kind::Refused));
        }
        if is_about_names(sqe) && self.strikes(self.knobs.names) {
            return Some((libc::EINTR, Kind::Names));
        }
        None
    }

    fn hold(&mut self, cqe: Cqe) {
        let rounds = self.rounds();
        self.held.push_back(Later { what: cqe, rounds });
    }

    /// Hands over the cancels whose time has come, in order.
    fn send_cancels(&mut self) {
        for later in &mut self.cancels {
            later.rounds = later.rounds.saturating_sub(1);
        }
        while let Some(later) = self.cancels.pop_front_if(|later| later.rounds == 0) {
            // SAFETY: a cancel names no memory.
            if unsafe { self.uring.push(later.what) }.is_err() {
                self.cancels.push_front(later);
                return;
            }
        }
    }

    /// Whether there is something that only needs another round.
    fn has_later(&self) -> bool {
        !self.held.is_empty() || !self.cancels.is_empty()
    }

    /// Before a completion is passed on.
    fn note(&mut self, cqe: &mut Cqe) {
        if cqe.token.class() != Some(Class::Op) || cqe.has_more() {
            return;
        }
        if let Some(most) = self.told_short.remove(&cqe.token) {
            cqe.result = cqe.result.min(most);
        }
        self.copies.remove(&cqe.token);
        if self.cancelled.remove(&cqe.token) && cqe.result >= 0 {
            self.counts.add(Kind::Won);
        }
    }
}

// SAFETY:
// - O1: what is not handed over is answered once, from `held`, where completions wait that came
//   or were made up; `drain` passes each on, those of one token in their order. A cancel that
//   waits is pushed later, and is silent.
// - O2, O5: an entry that is cut names less of the same memory. A list that was cut lies in
//   `copies` until the operation has completed, or is leaked.
// - O3: tokens are never made, only returned.
// - O4: an entry that finds no room is returned as it came.
// - O6, O7: nothing sleeps while something waits for another round, each `drain` is one, and
//   `pending` says so.
// - O8, O10: as `Uring`, which everything is passed to.
unsafe impl Driver for Torture {
    type Setup = TortureSetup;

    fn open(setup: &TortureSetup, shard: ShardId) -> io::Result<Self> {
        Ok(Self {
            uring: Uring::open(&setup.uring, shard)?,
            knobs: setup.knobs,
            counts: Arc::clone(&setup.counts),
            dice: Dice::new(setup.knobs.seed * 64 + shard.index() as u64),
            held: VecDeque::new(),
            cancels: VecDeque::new(),
            cancelled: HashSet::new(),
            copies: HashMap::new(),
            told_short: HashMap::new(),
        })
    }

    fn caps(&self) -> &Caps {
        self.uring.caps()
    }

    fn now(&self) -> Instant {
        self.uring.now()
    }

    unsafe fn push(&mut self, sqe: Sqe) -> Result<(), SqFull> {
        let mut cut = sqe;
        let mut shortened = None;
        match sqe.token.class() {
            Some(Class::Cancel) => {
                self.cancelled.insert(Token::from_bits(sqe.addr));
                if self.strikes(self.knobs.linger) {
                    self.counts.add(Kind::LateCancel);
                    let rounds = self.rounds();
                    self.cancels.push_back(Later { what: sqe, rounds });
                    return Ok(());
                }
            }
            Some(Class::Op) => {
                if let Some((error, kind)) = self.refusal(&sqe) {
                    self.counts.add(kind);
                    self.hold(Cqe { token: sqe.token, result: -error, flags: 0 });
                    return Ok(());
                }
                if let Some(once) = once(&sqe)
                    && self.strikes(self.knobs.once)
                {
                    self.counts.add(Kind::Once);
                    cut = once;
                }
                if is_direct(&sqe) {
                    if let Some((most, _)) = self.cut(sqe.len as usize) {
                        self.counts.add(Kind::Uneven);
                        self.told_short.insert(sqe.token, most as i32);
                    }
                } else {
                    // SAFETY: the caller's promise.
                    shortened = unsafe { self.shorten(&mut cut) };
                }
                if shortened.is_some() {
                    // Silence would say that all of it was done.
                    cut.flags &= !sqe_flags::CQE_SKIP_SUCCESS;
                }
            }
            _ => {}
        }
        // SAFETY: the caller's promise; what is cut is a part of what was promised, or a list that
        // is kept below.
        let pushed = unsafe { self.uring.push(cut) };
        if pushed.is_err() {
            return Err(SqFull(sqe));
        }
        if let Some((kind, copied)) = shortened {
            self.counts.add(kind);
            if let Some(copied) = copied {
                self.copies.insert(sqe.token, copied);
            }
        }
        Ok(())
    }

    unsafe fn attempt(&mut self, sqe: &Sqe) -> Option<i32> {
        if self.strikes(self.knobs.decline) {
            self.counts.add(Kind::Declined);
            return None;
        }
        let mut cut = *sqe;
        // SAFETY: the caller's promise.
        let shortened = unsafe { self.shorten(&mut cut) };
        // SAFETY: the caller's promise; the copy of a list lives until the call has returned.
        let result = unsafe { self.uring.attempt(&cut) };
        if result.is_some() && shortened.is_some() {
            self.counts.add(Kind::Direct);
        }
        result
    }

    unsafe fn provide(&mut self, ring: BufferRing) -> io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.uring.provide(ring) }
    }

    fn retract(&mut self, group: u16) -> io::Result<()> {
        self.uring.retract(group)
    }

    unsafe fn register(&mut self, number: u16, memory: Option<NonNull<[u8]>>) -> io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.uring.register(number, memory) }
    }

    fn queued(&self) -> usize {
        self.uring.queued()
    }

    fn flush(&mut self) -> io::Result<usize> {
        self.uring.flush()
    }

    fn park(&mut self, until: Option<Instant>) -> io::Result<()> {
        if self.has_later() {
            return self.uring.flush().map(drop);
        }
        self.uring.park(until)
    }

    fn pending(&self) -> bool {
        self.has_later() || self.uring.pending()
    }

    fn drain(&mut self, mut sink: impl FnMut(Cqe)) -> usize {
        self.send_cancels();
        let mut still: VecDeque<Later<Cqe>> = VecDeque::new();
        let mut ready = Vec::new();
        let waits = |still: &VecDeque<Later<Cqe>>, token| {
            still.iter().any(|later| later.what.token == token)
        };
        for mut later in std::mem::take(&mut self.held) {
            later.rounds = later.rounds.saturating_sub(1);
            if later.rounds > 0 || waits(&still, later.what.token) {
                still.push_back(later);
            } else {
                ready.push(later.what);
            }
        }
        let mut fresh = Vec::new();
        self.uring.drain(|cqe| fresh.push(cqe));
        for cqe in fresh {
            let is_op = cqe.token.class() == Some(Class::Op);
            let is_behind = is_op && waits(&still, cqe.token);
            if is_behind || (is_op && self.strikes(self.knobs.delay)) {
                self.counts.add(Kind::Delayed);
                let rounds = self.rounds();
                still.push_back(Later { what: cqe, rounds });
            } else {
                if is_op && !still.is_empty() {
                    self.counts.add(Kind::Overtaken);
                }
                ready.push(cqe);
            }
        }
        self.held = still;
        let count = ready.len();
        for mut cqe in ready {
            self.note(&mut cqe);
            sink(cqe);
        }
        count
    }

    fn enters(&self) -> u64 {
        self.uring.enters()
    }
}

impl Drop for Torture {
    fn drop(&mut self) {
        for (_, copied) in self.copies.drain() {
            // The kernel may still look at it.
            let _ = Box::leak(copied); // There is nobody to keep it.
        }
    }
}
