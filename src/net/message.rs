//! Messages with a header: receiving and sending with addresses and control data.

use std::fmt;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use socket2::{SockAddr, SockAddrStorage};

use crate::buf::{IoBuf, IoBufMut, MAX_TRANSFER};
use crate::driver::{Sqe, cqe_flags, ioprio};
use crate::net::control::Control;
use crate::op::{Complete, Fd, Inline, Operation, Outcome};

pub(crate) mod out;
pub(super) mod room;

/// What the kernel is told about a message, and what it tells: the header, the one part it refers
/// to, the address and the control data.
struct Header {
    msg: libc::msghdr,
    part: libc::iovec,
    name: SockAddrStorage,
    name_len: libc::socklen_t,
    control: Control,
}

// SAFETY:
// - the pointers in `msg` and `part` are set anew for each entry and are for the kernel alone. What
//   they point to is in `self`, or in the buffer that is sent along with it.
unsafe impl Send for Header {}

impl Header {
    fn new(name: SockAddrStorage, name_len: libc::socklen_t, control: Control) -> Self {
        // SAFETY:
        // - a header of zeros is a valid one: null pointers with lengths of 0.
        let msg = unsafe { std::mem::zeroed::<libc::msghdr>() };
        let part = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self { msg, part, name, name_len, control }
    }

    /// Points the header at itself and at so many bytes. It must not be moved before the kernel is
    /// done with it.
    fn point_at(&mut self, bytes: *mut u8, len: usize, control_len: usize) -> *mut libc::msghdr {
        self.part = libc::iovec { iov_base: bytes.cast(), iov_len: len.min(MAX_TRANSFER) };
        self.msg.msg_iov = &raw mut self.part;
        self.msg.msg_iovlen = 1;
        self.msg.msg_namelen = self.name_len;
        self.msg.msg_name = match self.name_len {
            0 => std::ptr::null_mut(),
            _ => (&raw mut self.name).cast(),
        };
        self.msg.msg_controllen = control_len;
        self.msg.msg_control = match control_len {
            0 => std::ptr::null_mut(),
            _ => self.control.as_mut_ptr().cast(),
        };
        self.msg.msg_flags = 0;
        &raw mut self.msg
    }

    /// Says what room for name and for so many bytes of control data is left in buffers that the
    /// kernel chooses.
    fn announce(&mut self, control: usize) -> *mut libc::msghdr {
        self.msg.msg_namelen = self.name_len;
        self.msg.msg_controllen = control;
        &raw mut self.msg
    }

    /// What came, from a completion without error; to be asked once.
    fn came(self, full_len: usize, room: usize) -> Came {
        let Self { msg, name, name_len, mut control, .. } = self;
        control.set_len(msg.msg_controllen);
        let from_len = msg.msg_namelen.min(name_len);
        // SAFETY:
        // - the kernel wrote an address of this length to the storage, which was zero before; a
        //   socket without a name has the length 0 and the family `AF_UNSPEC`.
        let from = unsafe { SockAddr::new(name, from_len) };
        Came {
            len: full_len.min(room),
            full_len,
            from,
            is_control_cut: msg.msg_flags & libc::MSG_CTRUNC != 0,
            fds: take_fds(&control),
            control,
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("control", &self.control.len()).finish_non_exhaustive()
    }
}

/// Descriptors are closed by `exec`, and the answer is the length of the message, also of one that
/// is cut.
const RECV_FLAGS: i32 = libc::MSG_CMSG_CLOEXEC | libc::MSG_TRUNC;

/// Receives one message.
#[derive(Debug)]
pub(super) struct RecvMsg<B> {
    fd: Fd,
    pub(super) buf: B,
    head: Header,
    inline: Inline,
    /// How many entries were made: the second is for the ring after a direct call in vain.
    entries: u8,
}

/// What came of receiving a message.
#[derive(Debug)]
pub(super) struct ReceivedMsg<B> {
    pub(super) result: io::Result<Came>,
    pub(super) buf: B,
    pub(super) inline: Inline,
    pub(super) tried_in_vain: bool,
    pub(super) more_waits: bool,
}

/// A message that came, but for its bytes.
pub(super) struct Came {
    /// How many bytes are in the buffer.
    pub(super) len: usize,
    /// How many it had.
    pub(super) full_len: usize,
    pub(super) from: SockAddr,
    pub(super) control: Control,
    /// Control data did not fit.
    pub(super) is_control_cut: bool,
    /// The descriptors that came in control data.
    pub(super) fds: Vec<OwnedFd>,
}

impl fmt::Debug for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Came").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<B> RecvMsg<B> {
    /// With room for so many bytes of control data.
    pub(super) fn new(fd: Fd, buf: B, inline: Inline, control: usize) -> Self {
        let name = SockAddrStorage::zeroed();
        let name_len = name.size_of();
        let head = Header::new(name, name_len, Control::with_room(control));
        Self { fd, buf, head, inline, entries: 0 }
    }

    /// Takes the bytes of another message to the buffer, as far as there is room. How many.
    pub(super) fn adopt(&mut self, bytes: &[u8]) -> usize
    where
        B: IoBufMut,
    {
        let (to, room) = (self.buf.stable_mut_ptr(), self.buf.bytes_total());
        let len = bytes.len().min(room);
        // SAFETY:
        // - O5: `room` bytes from `to` on may be written; O6: nothing else uses them while `buf` is
        //   borrowed, so that they are none of `bytes`, which are borrowed as well.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) };
        // SAFETY:
        // - the first `len` bytes were just written, and there is room for them.
        unsafe { self.buf.set_init(len) };
        len
    }
}

/// The descriptors in control data that the kernel has just written.
fn take_fds(control: &Control) -> Vec<OwnedFd> {
    let rights = control
        .messages()
        .filter(|one| one.level == libc::SOL_SOCKET && one.kind == libc::SCM_RIGHTS);
    let numbers = rights.flat_map(|one| one.data.chunks_exact(size_of::<RawFd>()));
    let own = |number: &[u8]| {
        let number = RawFd::from_ne_bytes(number.try_into().ok()?);
        // SAFETY:
        // - the kernel opened the descriptor for this message, and a message is looked at once.
        Some(unsafe { OwnedFd::from_raw_fd(number) })
    };
    numbers.filter_map(own).collect()
}

// SAFETY: I1:
// - the header, its part, its address and the control data are in `self` or owned by it, and `self`
//   is not moved; the buffer is owned by `self` and stays where it is (O2 of `IoBuf`).
// - `self.fd` keeps the fd open.
unsafe impl<B: IoBufMut> Operation for RecvMsg<B> {
    fn entry(&mut self) -> Sqe {
        let (to, room) = (self.buf.stable_mut_ptr(), self.buf.bytes_total());
        let control = self.head.control.room();
        let header = self.head.point_at(to, room, control);
        let mut sqe = Sqe::recv_msg(self.fd.number(), header, RECV_FLAGS);
        if self.inline == Inline::Never || self.entries > 0 {
            // Nothing is expected to be there, so arming first saves the kernel a look.
            sqe.ioprio = ioprio::RECVSEND_POLL_FIRST;
        }
        self.entries = self.entries.saturating_add(1);
        sqe
    }

    fn abandon(self, outcome: Option<Outcome>) {
        if let Some(Ok(outcome)) = outcome.map(Outcome::check) {
            let room = self.buf.bytes_total();
            // Closes the descriptors.
            drop(self.head.came(outcome.bytes(), room));
        }
    }
}

impl<B: IoBufMut> Complete for RecvMsg<B> {
    type Output = ReceivedMsg<B>;

    fn inline(&self) -> Inline {
        self.inline
    }

    fn starts_over(&self) -> bool {
        true
    }

    fn finish(self, outcome: io::Result<Outcome>) -> ReceivedMsg<B> {
        let Self { mut buf, head, inline, entries, .. } = self;
        let mut more_waits = false;
        let result = outcome.map(|outcome| {
            more_waits = outcome.flags & cqe_flags::SOCK_NONEMPTY != 0;
            let room = buf.bytes_total().min(MAX_TRANSFER);
            let came = head.came(outcome.bytes(), room);
            // SAFETY:
            // - the kernel wrote the message from the start of the buffer, as far as there is room.
            unsafe { buf.set_init(came.len) };
            came
        });
        ReceivedMsg { result, buf, inline, tried_in_vain: entries > 1, more_waits }
    }
}

/// Sends one message.
#[derive(Debug)]
pub(super) struct SendMsg<B> {
    fd: Fd,
    buf: B,
    head: Header,
    /// Open until the kernel has sent them.
    fds: Vec<OwnedFd>,
    /// It waits for room of the socket's own, and not of one that it is sent to.
    is_of_stream: bool,
    inline: Inline,
    entries: u8,
}

/// What came of sending a message.
#[derive(Debug)]
pub(super) struct SentMsg<B> {
    /// How many bytes went.
    pub(super) result: io::Result<usize>,
    pub(super) buf: B,
    /// The socket had no room for it at once.
    pub(super) blocked: bool,
}

impl<B> SendMsg<B> {
    /// To an address, or to the one that the socket is connected to.
    pub(super) fn new(fd: Fd, buf: B, to: Option<SockAddr>, inline: Inline) -> Self {
        let (name, name_len) = match to {
            Some(to) => {
                let len = to.len();
                (to.as_storage(), len)
            }
            None => (SockAddrStorage::zeroed(), 0),
        };
        let head = Header::new(name, name_len, Control::default());
        Self { fd, buf, head, fds: Vec::new(), is_of_stream: false, inline, entries: 0 }
    }

    /// As a part of a stream.
    pub(super) fn of_stream(mut self) -> Self {
        self.is_of_stream = true;
        self
    }

    /// With control data, and with descriptors that it names and that stay open until it is sent.
    pub(super) fn with_control(mut self, control: Control, fds: Vec<OwnedFd>) -> Self {
        self.head.control = control;
        self.fds = fds;
        self
    }
}

// SAFETY: I1:
// - as for `RecvMsg`; the kernel reads the first `bytes_init` bytes of the buffer and nothing
//   behind the length of the control data.
// - the descriptors that the control data names are open as long as `self.fds` is there.
unsafe impl<B: IoBuf> Operation for SendMsg<B> {
    fn entry(&mut self) -> Sqe {
        let (bytes, len) = (self.buf.stable_ptr().cast_mut(), self.buf.bytes_init());
        let control = self.head.control.len();
        let header = self.head.point_at(bytes, len, control);
        let mut sqe = Sqe::send_msg(self.fd.number(), header, libc::MSG_NOSIGNAL);
        if self.entries > 0 {
            // A direct call has just found no room.
            sqe.ioprio = ioprio::RECVSEND_POLL_FIRST;
        }
        self.entries = self.entries.saturating_add(1);
        sqe
    }
}

impl<B: IoBuf> Complete for SendMsg<B> {
    type Output = SentMsg<B>;

    fn inline(&self) -> Inline {
        self.inline
    }

    fn starts_over(&self) -> bool {
        self.is_of_stream
    }

    fn finish(self, outcome: io::Result<Outcome>) -> SentMsg<B> {
        SentMsg { result: outcome.map(Outcome::bytes), buf: self.buf, blocked: self.entries > 1 }
    }
}
