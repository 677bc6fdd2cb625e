//! The one operation language: submission entries, completion entries and the tokens that join
//! them, as plain values with the kernel's meaning.

use std::fmt;
use std::os::fd::RawFd;

use crate::driver::opcode::{Opcode, cqe_flags, ioprio, sqe_flags};

mod files;

/// What a token speaks for; four bits of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Class {
    /// An operation in the in-flight table; generation and index name its slot.
    Op = 1,
    /// A doorbell rung at this shard; the index is the number of the shard that rang, or that of
    /// [`ShardId::EXTERNAL`](crate::ShardId::EXTERNAL) where the doorbell does not tell.
    Bell = 2,
    /// A doorbell this shard sent; completes only if it failed. The index is the target shard.
    BellSent = 3,
    /// A request to cancel; generation and index are those of the operation to cancel.
    Cancel = 4,
    /// Work of the doorbell part itself (an eventfd to be watched, say); the index is its own.
    Watch = 5,
    /// An fd being closed whose owner is gone; nobody waits for it. The index is the number of the
    /// fd, which the shard closes itself if the answer is `-ECANCELED`.
    Close = 6,
    /// A message from another shard: its number is the generation, its source and tag are the two
    /// halves of the index, its value is the result.
    Message = 7,
    /// A message this shard sent as a completion; completes only if it failed. The generation is
    /// its number, the index the target shard.
    MessageSent = 8,
}

/// The name of an operation in flight: class (4 bits), generation (28), index (32).
///
/// A slot is used many times; the generation tells a late completion of an earlier use from one
/// of the present use.
///
/// ```
/// use spargio::driver::{Class, Token};
/// let token = Token::new(Class::Op, 5, 17);
/// assert_eq!((token.class(), token.generation(), token.index()), (Some(Class::Op), 5, 17));
/// assert_eq!(Token::from_bits(token.bits()), token);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Token(u64);

impl Token {
    /// How many bits the generation has.
    pub const GENERATION_BITS: u32 = 28;
    /// The largest generation; the one after it is 0.
    pub const MAX_GENERATION: u32 = (1 << Self::GENERATION_BITS) - 1;

    /// Joins the parts; bits of the generation above [`Token::MAX_GENERATION`] are cut off.
    #[inline]
    pub const fn new(class: Class, generation: u32, index: u32) -> Self {
        let generation = (generation & Self::MAX_GENERATION) as u64;
        Self((class as u64) << 60 | generation << 32 | index as u64)
    }

    /// The token as it travels in `user_data`.
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// A token as it came back; its class may be unknown.
    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// What the token speaks for; `None` if no part of ours made it.
    #[inline]
    pub const fn class(self) -> Option<Class> {
        Some(match self.0 >> 60 {
            1 => Class::Op,
            2 => Class::Bell,
            3 => Class::BellSent,
            4 => Class::Cancel,
            5 => Class::Watch,
            6 => Class::Close,
            7 => Class::Message,
            8 => Class::MessageSent,
            _ => return None,
        })
    }

    /// Which use of the slot.
    #[inline]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32 & Self::MAX_GENERATION
    }

    /// Which slot.
    #[inline]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }
}

const _: () = assert!(4 + Token::GENERATION_BITS + 32 == u64::BITS);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class() {
            Some(class) => write!(f, "{class:?}({}@{})", self.index(), self.generation()),
            None => write!(f, "Token({:#x})", self.0),
        }
    }
}

/// A submission entry: the kernel's 64-byte layout, built by the constructors below.
///
/// Building one is safe: it is data. Pushing it is not, because from then on the kernel reads and
/// writes the memory it names (see [`Driver::push`](crate::driver::Driver::push)).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Sqe {
    /// The operation.
    pub opcode: u8,
    /// [`sqe_flags`].
    pub flags: u8,
    /// Priority, or flags of accept, receive and send.
    pub ioprio: u16,
    /// The fd to work on.
    pub fd: i32,
    /// Offset in the file, or the second address.
    pub off: u64,
    /// The buffer, path or other memory.
    pub addr: u64,
    /// The number of bytes at `addr`, or what the operation says.
    pub len: u32,
    /// Flags of the operation.
    pub op_flags: u32,
    /// The token that comes back with the completion.
    pub token: Token,
    /// Registered buffer, or buffer group.
    pub buf_index: u16,
    /// Registered credentials.
    pub personality: u16,
    /// Second fd, or a slot of the direct descriptor table.
    pub splice_fd: i32,
    /// Third address.
    pub addr3: u64,
    /// Reserved; 0.
    pub reserved: u64,
}

const _: () = assert!(size_of::<Sqe>() == 64);
const _: () = assert!(std::mem::offset_of!(Sqe, token) == 32);

impl Sqe {
    /// An entry of this operation on this fd with everything else 0.
    #[inline]
    pub const fn new(opcode: Opcode, fd: RawFd) -> Self {
        Self {
            opcode: opcode.get(),
            flags: 0,
            ioprio: 0,
            fd,
            off: 0,
            addr: 0,
            len: 0,
            op_flags: 0,
            token: Token::from_bits(0),
            buf_index: 0,
            personality: 0,
            splice_fd: 0,
            addr3: 0,
            reserved: 0,
        }
    }

    /// Which operation.
    pub const fn opcode(&self) -> Opcode {
        Opcode::new(self.opcode)
    }

    /// The entry with this token.
    pub const fn token(mut self, token: Token) -> Self {
        self.token = token;
        self
    }

    /// The entry with these `IOSQE_*` flags added.
    pub const fn flags(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// Does nothing.
    pub const fn nop() -> Self {
        Self::new(Opcode::NOP, -1)
    }

    /// Reads up to `len` bytes to `to` at `offset`; `u64::MAX` stands for the file's own cursor.
    pub fn read(fd: RawFd, to: *mut u8, len: u32, offset: u64) -> Self {
        Self {
            off: offset,
            addr: to.expose_provenance() as u64,
            len,
            ..Self::new(Opcode::READ, fd)
        }
    }

    /// Writes up to `len` bytes from `from` at `offset`; `u64::MAX` stands for the file's cursor.
    pub fn write(fd: RawFd, from: *const u8, len: u32, offset: u64) -> Self {
        Self {
            off: offset,
            addr: from.expose_provenance() as u64,
            len,
            ..Self::new(Opcode::WRITE, fd)
        }
    }

    /// Receives up to `len` bytes to `to`, with `MSG_*` flags.
    pub fn recv(fd: RawFd, to: *mut u8, len: u32, msg_flags: i32) -> Self {
        let op_flags = msg_flags as u32;
        Self { addr: to.expose_provenance() as u64, len, op_flags, ..Self::new(Opcode::RECV, fd) }
    }

    /// Receives to whichever buffers of the group come next until cancelled: one completion each,
    /// all but the last with `MORE`. It ends after `most` bytes (`optlen`, see
    /// [`Caps::recv_limit`](crate::driver::Caps::recv_limit)); 0 for no limit.
    pub const fn recv_multi(fd: RawFd, group: u16, most: u32) -> Self {
        Self {
            flags: sqe_flags::BUFFER_SELECT,
            ioprio: ioprio::RECV_MULTISHOT,
            buf_index: group,
            splice_fd: most as i32,
            ..Self::new(Opcode::RECV, fd)
        }
    }

    /// Sends up to `len` bytes from `from`, with `MSG_*` flags.
    pub fn send(fd: RawFd, from: *const u8, len: u32, msg_flags: i32) -> Self {
        let op_flags = msg_flags as u32;
        Self { addr: from.expose_provenance() as u64, len, op_flags, ..Self::new(Opcode::SEND, fd) }
    }

    /// Receives a message to where the header points, and writes to the header what came besides,
    /// with `MSG_*` flags.
    pub fn recv_msg(fd: RawFd, header: *mut libc::msghdr, msg_flags: i32) -> Self {
        Self {
            addr: header.expose_provenance() as u64,
            len: 1,
            op_flags: msg_flags as u32,
            ..Self::new(Opcode::RECVMSG, fd)
        }
    }

    /// Receives messages to whichever buffers of the group come next until cancelled: one
    /// completion each, all but the last with `MORE`. Of the header only the lengths of the name
    /// and of the control data count, for which each buffer has room behind a head of 16 bytes
    /// (`struct io_uring_recvmsg_out`); the message lies behind them.
    pub fn recv_msg_multi(
        fd: RawFd,
        header: *mut libc::msghdr,
        group: u16,
        msg_flags: i32,
    ) -> Self {
        Self {
            flags: sqe_flags::BUFFER_SELECT,
            ioprio: ioprio::RECV_MULTISHOT,
            buf_index: group,
            ..Self::recv_msg(fd, header, msg_flags)
        }
    }

    /// Sends the message that the header points to, with `MSG_*` flags.
    pub fn send_msg(fd: RawFd, header: *const libc::msghdr, msg_flags: i32) -> Self {
        Self {
            addr: header.expose_provenance() as u64,
            len: 1,
            op_flags: msg_flags as u32,
            ..Self::new(Opcode::SENDMSG, fd)
        }
    }

    /// Accepts one connection; the new socket gets `SOCK_*` flags. No peer address is asked for.
    pub const fn accept(fd: RawFd, sock_flags: i32) -> Self {
        Self { op_flags: sock_flags as u32, ..Self::new(Opcode::ACCEPT, fd) }
    }

    /// Accepts connections until cancelled: one completion each, all but the last with `MORE`.
    pub const fn accept_multi(fd: RawFd, sock_flags: i32) -> Self {
        Self { ioprio: ioprio::ACCEPT_MULTISHOT, ..Self::accept(fd, sock_flags) }
    }

    /// Connects to the address of `len` bytes at `addr`.
    pub fn connect(fd: RawFd, addr: *const libc::sockaddr, len: libc::socklen_t) -> Self {
        Self {
            addr: addr.expose_provenance() as u64,
            off: len as u64,
            ..Self::new(Opcode::CONNECT, fd)
        }
    }

    /// Opens the NUL-terminated path, relative to the directory `dir`.
    pub fn open_at(dir: RawFd, path: *const libc::c_char, flags: i32, mode: u32) -> Self {
        let op_flags = flags as u32;
        Self {
            addr: path.expose_provenance() as u64,
            len: mode,
            op_flags,
            ..Self::new(Opcode::OPENAT, dir)
        }
    }

    /// Closes the fd.
    pub const fn close(fd: RawFd) -> Self {
        Self::new(Opcode::CLOSE, fd)
    }

    /// Flushes a file to its device; with `data_only`, without metadata that reading back does
    /// not need.
    pub const fn fsync(fd: RawFd, data_only: bool) -> Self {
        Self { op_flags: data_only as u32, ..Self::new(Opcode::FSYNC, fd) }
    }

    /// Shuts down one or both directions of a socket (`SHUT_*`).
    pub const fn shutdown(fd: RawFd, how: i32) -> Self {
        Self { len: how as u32, ..Self::new(Opcode::SHUTDOWN, fd) }
    }

    /// Waits until the fd is ready for one of the `POLL*` events.
    pub const fn poll_add(fd: RawFd, events: u32) -> Self {
        // The kernel reads the 32 bits as they are on little-endian machines and with the halves
        // swapped on big-endian ones (`poll32_events`).
        let events = if cfg!(target_endian = "big") { events.rotate_left(16) } else { events };
        Self { op_flags: events, ..Self::new(Opcode::POLL_ADD, fd) }
    }

    /// Waits for readiness again and again: one completion each, all but the last with `MORE`.
    pub const fn poll_multi(fd: RawFd, events: u32) -> Self {
        Self { len: 1, ..Self::poll_add(fd, events) }
    }

    /// Cancels the operation with this token.
    pub const fn cancel(target: Token) -> Self {
        Self { addr: target.bits(), ..Self::new(Opcode::ASYNC_CANCEL, -1) }
    }

    /// Posts a completion with `token` and `result` on the ring `ring`.
    pub const fn msg_ring(ring: RawFd, token: Token, result: i32) -> Self {
        Self { off: token.bits(), len: result as u32, ..Self::new(Opcode::MSG_RING, ring) }
    }

    /// Whether a success of this entry posts no completion.
    pub const fn is_silent(&self) -> bool {
        self.flags & sqe_flags::CQE_SKIP_SUCCESS != 0
    }
}

impl fmt::Debug for Sqe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqe")
            .field("opcode", &self.opcode())
            .field("fd", &self.fd)
            .field("off", &self.off)
            .field("addr", &format_args!("{:#x}", self.addr))
            .field("len", &self.len)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// A ring of buffers to be provided to a backend: `struct io_uring_buf_ring`, and what
/// `IORING_REGISTER_PBUF_RING` is told of it.
///
/// The entries are 16 bytes each: address (8), length (4), number (2), and two bytes which in the
/// first entry are the tail. Whoever provides the ring writes entries and then stores the tail,
/// which counts all entries ever written, modulo 65,536; the entry of a count is at its remainder
/// by `entries`. The backend counts for itself what it has taken. Both count from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferRing {
    /// Where the ring is, at the beginning of a page.
    pub address: *mut u8,
    /// How many entries it has: a power of two, at most 32,768.
    pub entries: u16,
    /// The name of the group, for [`Sqe::buf_index`].
    pub group: u16,
}

/// A completion entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Cqe {
    /// The token of the submission, or the one a message carried.
    pub token: Token,
    /// The operation's result: at least 0, or a negated error number.
    pub result: i32,
    /// [`cqe_flags`]; those of a message mean what its sender meant.
    pub flags: u32,
}

const _: () = assert!(size_of::<Cqe>() == 16);

impl Cqe {
    /// Whether more completions with this token will come.
    pub const fn has_more(&self) -> bool {
        self.flags & cqe_flags::MORE != 0
    }

    /// The number of the provided buffer that the operation has used.
    pub const fn buffer(&self) -> Option<u16> {
        cqe_flags::buffer(self.flags)
    }
}
