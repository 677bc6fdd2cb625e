//! The one owner of socket operations: a connected socket, and the entries that work on sockets.

use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{FromRawFd, OwnedFd};
use std::task::Waker;

use socket2::SockAddr;

use crate::buf::{IoBuf, IoBufMut, transfer_len};
use crate::driver::{Sqe, cqe_flags, ioprio, sqe_flags};
use crate::id::ShardId;
use crate::net::batch::{Batch, SendBatch, SentBatch};
use crate::net::hint::{RecvHint, SendHint};
use crate::net::message::{ReceivedMsg, RecvMsg, SendMsg, SentMsg};
use crate::net::stash::Stash;
use crate::net::unsent::{Sending, Unsent};
use crate::net::zero_copy::Policy;
use crate::op::{self, Complete, Fd, Inline, Op, Operation, Outcome};
use crate::port::Lane;
use crate::primitive::Arc;

/// Flags of every socket that accepting makes.
pub(super) const NEW_SOCKET: i32 = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;

/// A connected socket: its fd, what it has learned, and the receives and sends that their futures
/// gave up.
pub(super) struct Socket {
    fd: Fd,
    recv_hint: RecvHint,
    send_hint: SendHint,
    pub(super) stash: Stash,
    pub(super) unsent: Unsent,
    pub(super) zero_copy: Policy,
}

impl Socket {
    pub(super) fn new(fd: OwnedFd, lane: Arc<dyn Lane>) -> Self {
        Self {
            fd: Fd::new(fd, lane),
            recv_hint: RecvHint::default(),
            send_hint: SendHint::default(),
            stash: Stash::default(),
            unsent: Unsent::default(),
            zero_copy: Policy::default(),
        }
    }

    pub(super) fn fd(&self) -> &Fd {
        &self.fd
    }

    pub(super) fn lane(&self) -> &Arc<dyn Lane> {
        self.fd.lane()
    }

    /// Receives into the buffer from byte `from` on.
    pub(super) fn recv<B: IoBufMut>(&self, buf: B, from: usize) -> Op<'_, RecvOp<B>> {
        self.start_recv(self.recv_op(buf, from))
    }

    /// A receive into the buffer from byte `from` on, as an operation.
    #[inline]
    pub(super) fn recv_op<B: IoBufMut>(&self, buf: B, from: usize) -> RecvOp<B> {
        let inline = self.recv_hint.predict();
        RecvOp { fd: self.fd.clone(), buf, from, inline, entries: 0 }
    }

    /// As [`recv`](Self::recv), without a look at what is there already.
    pub(super) fn recv_later<B: IoBufMut>(&self, buf: B) -> Op<'_, RecvOp<B>> {
        let (fd, inline) = (self.fd.clone(), Inline::Never);
        self.start_recv(RecvOp { fd, buf, from: 0, inline, entries: 0 })
    }

    /// A receive that has not started.
    pub(super) fn start_recv<B: IoBufMut>(&self, recv: RecvOp<B>) -> Op<'_, RecvOp<B>> {
        Op::new(recv, self.lane())
    }

    /// Learns from a receive.
    pub(super) fn note_received<B>(&self, received: &Received<B>) {
        let Received { inline, tried_in_vain, more_waits, .. } = *received;
        self.note_receive(inline, tried_in_vain, received.result.is_ok(), more_waits);
    }

    fn note_receive(&self, inline: Inline, tried_in_vain: bool, is_ok: bool, more_waits: bool) {
        if tried_in_vain {
            self.recv_hint.found_nothing();
        } else if inline == Inline::Try && is_ok {
            self.recv_hint.found_some();
        }
        if more_waits {
            self.recv_hint.more_waits();
        }
    }

    /// Receives a message, and so many bytes of control data. A receive that has not started.
    pub(super) fn recv_msg<B: IoBufMut>(&self, buf: B, control: usize) -> RecvMsg<B> {
        RecvMsg::new(self.fd.clone(), buf, self.recv_hint.predict(), control)
    }

    /// Learns from receiving a message.
    pub(super) fn note_received_msg<B>(&self, received: &ReceivedMsg<B>) {
        let ReceivedMsg { inline, tried_in_vain, more_waits, .. } = *received;
        self.note_receive(inline, tried_in_vain, received.result.is_ok(), more_waits);
    }

    /// A message to an address, or to the one that the socket is connected to.
    pub(super) fn message<B: IoBuf>(&self, buf: B, to: Option<SockAddr>) -> SendMsg<B> {
        SendMsg::new(self.fd.clone(), buf, to, self.send_hint.predict())
    }

    /// Sends a message, after those sends that were given up have ended.
    pub(super) fn send_msg<B: IoBuf>(&self, message: SendMsg<B>) -> Sending<'_, SendMsg<B>> {
        Sending::new(&self.unsent, self.lane(), message)
    }

    /// Learns from sending a message.
    pub(super) fn note_sent_msg<B>(&self, sent: &SentMsg<B>) {
        self.send_hint.note(sent.blocked);
    }

    /// Sends the buffer from byte `from` on, after those sends that were given up have ended. With
    /// `MSG_WAITALL` the ring goes on until everything is sent; with `MSG_MORE` the kernel may wait
    /// for more.
    pub(super) fn send<B: IoBuf>(&self, buf: B, from: usize, flags: i32) -> Sending<'_, SendOp<B>> {
        let inline = self.send_inline(flags);
        let send = SendOp { fd: self.fd.clone(), buf, from, inline, flags, entries: 0 };
        Sending::new(&self.unsent, self.lane(), send)
    }

    /// Sends the buffer, as [`send`](Self::send), along with a receive that starts next: without
    /// waiting for room, so that it may be short, and `WouldBlock` is an answer.
    ///
    /// On the ring it is silent (`shard/silent.rs`).
    pub(super) fn send_along<B: IoBuf>(&self, buf: B) -> Sending<'_, SendOp<B>> {
        let (inline, flags) = (Inline::TryAlone, libc::MSG_DONTWAIT);
        let send = SendOp { fd: self.fd.clone(), buf, from: 0, inline, flags, entries: 0 };
        Sending::new(&self.unsent, self.lane(), send)
    }

    /// Sends the next buffers of a batch. The flags are those of [`send`](Self::send).
    pub(super) fn send_batch<B: IoBuf>(
        &self,
        batch: Batch<B>,
        flags: i32,
    ) -> Sending<'_, SendBatch<B>> {
        let send = SendBatch::new(self.fd.clone(), batch, self.send_inline(flags), flags);
        Sending::new(&self.unsent, self.lane(), send)
    }

    /// Whether a send with these flags is tried directly.
    fn send_inline(&self, flags: i32) -> Inline {
        // A direct call could not go on until everything is sent.
        if flags & libc::MSG_WAITALL != 0 { Inline::Never } else { self.send_hint.predict() }
    }

    /// Whether the last send had to wait for room.
    pub(super) fn is_send_blocked(&self) -> bool {
        self.send_hint.predict() == Inline::Never
    }

    /// Learns from a send.
    pub(super) fn note_sent<B>(&self, sent: &Sent<B>) {
        self.send_hint.note(sent.blocked);
    }

    /// Learns from a part of a batch.
    pub(super) fn note_sent_batch<B>(&self, sent: &SentBatch<B>) {
        self.send_hint.note(sent.blocked);
    }

    /// The fd, if nothing but this uses it and no receive is with the stream.
    pub(super) fn into_owned(self) -> Result<OwnedFd, Self> {
        self.stash.settle(|given| given.poll(Waker::noop()).is_ready() && given.is_spent());
        if self.stash.is_filled() || !self.unsent.has_settled() {
            return Err(self);
        }
        let Self { fd, recv_hint, send_hint, stash, unsent, zero_copy } = self;
        fd.into_owned().map_err(|fd| Self { fd, recv_hint, send_hint, stash, unsent, zero_copy })
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("fd", &self.fd).field("stash", &self.stash).finish()
    }
}

/// One receive.
#[derive(Debug)]
pub(super) struct RecvOp<B> {
    fd: Fd,
    pub(super) buf: B,
    pub(super) from: usize,
    inline: Inline,
    /// How many entries were made: the second is for the ring after a direct call in vain.
    entries: u8,
}

/// What came of a receive.
#[derive(Debug)]
pub(super) struct Received<B> {
    /// How many bytes came.
    pub(super) result: io::Result<usize>,
    pub(super) buf: B,
    /// Where in the buffer they begin.
    pub(super) from: usize,
    inline: Inline,
    tried_in_vain: bool,
    more_waits: bool,
}

// SAFETY: I1:
// - the address is into memory of `buf`, which `self` owns, and which stays where it is while
//   `self` is not moved or dropped (O2 of `IoBuf`); `from` is at most `bytes_total`.
// - `self.fd` keeps the fd open.
unsafe impl<B: IoBufMut> Operation for RecvOp<B> {
    fn entry(&mut self) -> Sqe {
        let room = self.buf.bytes_total() - self.from;
        // SAFETY:
        // - `from <= bytes_total`, so by O5 the result is in the buffer or at its end.
        let to = unsafe { self.buf.stable_mut_ptr().add(self.from) };
        let mut sqe = Sqe::recv(self.fd.number(), to, transfer_len(room), 0);
        if self.inline == Inline::Never || self.entries > 0 {
            // Nothing is expected to be there, so arming first saves the kernel a look.
            sqe.ioprio = ioprio::RECVSEND_POLL_FIRST;
        }
        self.entries += 1;
        sqe
    }
}

impl<B: IoBufMut> Complete for RecvOp<B> {
    type Output = Received<B>;

    fn inline(&self) -> Inline {
        self.inline
    }

    fn finish(mut self, outcome: io::Result<Outcome>) -> Received<B> {
        let mut more_waits = false;
        let result = outcome.map(|outcome| {
            let count = outcome.bytes();
            more_waits = outcome.flags & cqe_flags::SOCK_NONEMPTY != 0;
            // SAFETY:
            // - the kernel wrote `count` bytes from `from` on, and no more than there is room.
            // - the `from` bytes before were initialised by earlier receives.
            unsafe { self.buf.set_init(self.from + count) };
            count
        });
        Received {
            result,
            buf: self.buf,
            from: self.from,
            inline: self.inline,
            tried_in_vain: self.entries > 1,
            more_waits,
        }
    }
}

/// One send.
#[derive(Debug)]
pub(super) struct SendOp<B> {
    fd: Fd,
    buf: B,
    from: usize,
    inline: Inline,
    /// `MSG_*`.
    flags: i32,
    entries: u8,
}

/// What came of a send.
#[derive(Debug)]
pub(super) struct Sent<B> {
    /// How many bytes went.
    pub(super) result: io::Result<usize>,
    pub(super) buf: B,
    /// The socket had no room for all of it at once.
    blocked: bool,
}

// SAFETY: I1:
// - the address is into memory of `buf`, which `self` owns, and which stays where it is while
//   `self` is not moved or dropped (O2 of `IoBuf`); `from` is at most `bytes_init`.
// - `self.fd` keeps the fd open.
unsafe impl<B: IoBuf> Operation for SendOp<B> {
    fn entry(&mut self) -> Sqe {
        let left = self.buf.bytes_init() - self.from;
        // SAFETY:
        // - `from <= bytes_init`, so by O1 the result is in the buffer or at its end.
        let bytes = unsafe { self.buf.stable_ptr().add(self.from) };
        let mut flags = libc::MSG_NOSIGNAL | self.flags;
        if self.entries > 0 {
            // For the ring, which waits for room.
            flags &= !libc::MSG_DONTWAIT;
        }
        let mut sqe = Sqe::send(self.fd.number(), bytes, transfer_len(left), flags);
        if flags & libc::MSG_DONTWAIT != 0 {
            sqe = sqe.flags(sqe_flags::CQE_SKIP_SUCCESS);
        }
        if self.entries > 0 {
            // A direct call has just found no room.
            sqe.ioprio = ioprio::RECVSEND_POLL_FIRST;
        }
        self.entries += 1;
        sqe
    }
}

impl<B: IoBuf> Complete for SendOp<B> {
    type Output = Sent<B>;

    fn inline(&self) -> Inline {
        self.inline
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Sent<B> {
        let left = self.buf.bytes_init() - self.from;
        let result = outcome.map(Outcome::bytes);
        let is_short = result.as_ref().is_ok_and(|count| *count < left);
        let is_refused = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        Sent { result, buf: self.buf, blocked: is_short || is_refused || self.entries > 1 }
    }
}

/// One connect.
struct Connect {
    fd: Fd,
    addr: SockAddr,
}

// SAFETY: I1:
// - the address is in `self`, which is not moved.
// - `self.fd` keeps the fd open.
unsafe impl Operation for Connect {
    fn entry(&mut self) -> Sqe {
        Sqe::connect(self.fd.number(), self.addr.as_ptr().cast(), self.addr.len())
    }
}

impl Complete for Connect {
    type Output = io::Result<()>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<()> {
        outcome.map(drop)
    }

    fn finish_lost(home: ShardId) -> io::Result<()> {
        Err(op::lost(home))
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// Connects, and begins again when it is interrupted: in time a kernel thread waits for room in the
/// backlog of a Unix socket, and what interrupts it there is none of the caller's business.
pub(super) async fn connect(fd: &Fd, addr: SockAddr) -> io::Result<()> {
    let mut was_interrupted = false;
    loop {
        let connect = Connect { fd: fd.clone(), addr: addr.clone() };
        match Op::new(connect, fd.lane()).await {
            Err(error) if error.kind() == ErrorKind::Interrupted => was_interrupted = true,
            // By the one that was interrupted.
            Err(error) if was_interrupted && error.raw_os_error() == Some(libc::EISCONN) => {
                return Ok(());
            }
            connected => return connected,
        }
    }
}

/// The fd of a new socket in an outcome of an accept; `None` for an error.
pub(super) fn new_socket(outcome: Outcome) -> Option<OwnedFd> {
    (outcome.result >= 0).then(|| {
        // SAFETY:
        // - the kernel made the fd for this completion, and a completion is handled once.
        unsafe { OwnedFd::from_raw_fd(outcome.result) }
    })
}
