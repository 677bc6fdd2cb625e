//! The operations of the one operation language: numbers and flags with the kernel's meaning
//! (`include/uapi/linux/io_uring.h`, man `io_uring_enter(2)`).

use std::fmt;

/// The number of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Opcode(u8);

/// Defines the named opcodes and the table that prints them.
macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        impl Opcode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The kernel's name of the operation, if this version of spargio uses it.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

opcodes! {
    /// Does nothing; completes with 0.
    NOP = 0,
    /// Vectored read at an offset.
    READV = 1,
    /// Vectored write at an offset.
    WRITEV = 2,
    /// `fsync(2)` or `fdatasync(2)`.
    FSYNC = 3,
    /// A read to memory that the ring knows.
    READ_FIXED = 4,
    /// A write from memory that the ring knows.
    WRITE_FIXED = 5,
    /// Waits for readiness of an fd.
    POLL_ADD = 6,
    /// Stops a poll.
    POLL_REMOVE = 7,
    /// `sync_file_range(2)`.
    SYNC_FILE_RANGE = 8,
    /// `sendmsg(2)`.
    SENDMSG = 9,
    /// `recvmsg(2)`.
    RECVMSG = 10,
    /// `accept4(2)`.
    ACCEPT = 13,
    /// Cancels another operation.
    ASYNC_CANCEL = 14,
    /// `connect(2)`.
    CONNECT = 16,
    /// `fallocate(2)`.
    FALLOCATE = 17,
    /// `openat(2)`.
    OPENAT = 18,
    /// `close(2)`.
    CLOSE = 19,
    /// `statx(2)`.
    STATX = 21,
    /// `pread(2)`, or `read(2)` with offset -1.
    READ = 22,
    /// `pwrite(2)`, or `write(2)` with offset -1.
    WRITE = 23,
    /// `posix_fadvise(2)`.
    FADVISE = 24,
    /// `send(2)`.
    SEND = 26,
    /// `recv(2)`.
    RECV = 27,
    /// `openat2(2)`.
    OPENAT2 = 28,
    /// `shutdown(2)`.
    SHUTDOWN = 34,
    /// `renameat2(2)`.
    RENAMEAT = 35,
    /// `unlinkat(2)`.
    UNLINKAT = 36,
    /// `mkdirat(2)`.
    MKDIRAT = 37,
    /// `symlinkat(2)`.
    SYMLINKAT = 38,
    /// `linkat(2)`.
    LINKAT = 39,
    /// Posts a completion on another ring.
    MSG_RING = 40,
    /// `socket(2)`.
    SOCKET = 45,
    /// Zero-copy `send(2)`.
    SEND_ZC = 47,
    /// Zero-copy `sendmsg(2)` (Linux 6.1).
    SENDMSG_ZC = 48,
    /// `ftruncate(2)` (Linux 6.9).
    FTRUNCATE = 55,
}

impl Opcode {
    /// The opcode with this number, known to us or not.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Opcode({})", self.0),
        }
    }
}

/// Flags of a submission entry (`IOSQE_*`).
pub mod sqe_flags {
    /// The next entry starts when this one has completed without error.
    pub const IO_LINK: u8 = 1 << 2;
    /// Always hand the operation to a kernel worker.
    pub const ASYNC: u8 = 1 << 4;
    /// Take the buffer from the group in `buf_index`.
    pub const BUFFER_SELECT: u8 = 1 << 5;
    /// Post no completion unless the operation fails.
    pub const CQE_SKIP_SUCCESS: u8 = 1 << 6;
}

/// Flags in `ioprio` of accept, receive and send.
pub mod ioprio {
    /// Arm the poll first, do not try the receive or send at once.
    pub const RECVSEND_POLL_FIRST: u16 = 1 << 0;
    /// One receive, many completions.
    pub const RECV_MULTISHOT: u16 = 1 << 1;
    /// One accept, many completions.
    pub const ACCEPT_MULTISHOT: u16 = 1 << 0;
}

/// Flags of a completion (`IORING_CQE_F_*`).
pub mod cqe_flags {
    /// The upper 16 bits of the flags name a provided buffer.
    pub const BUFFER: u32 = 1 << 0;
    /// More completions with this token will come.
    pub const MORE: u32 = 1 << 1;
    /// More data is waiting on the socket.
    pub const SOCK_NONEMPTY: u32 = 1 << 2;
    /// The kernel has let go of a zero-copy send's buffer.
    pub const NOTIF: u32 = 1 << 3;

    /// The provided buffer that the flags name.
    ///
    /// ```
    /// use spargio::driver::cqe_flags;
    /// assert_eq!(cqe_flags::buffer(cqe_flags::BUFFER | 7 << 16), Some(7));
    /// assert_eq!(cqe_flags::buffer(cqe_flags::MORE), None);
    /// ```
    pub const fn buffer(flags: u32) -> Option<u16> {
        if flags & BUFFER == 0 { None } else { Some((flags >> 16) as u16) }
    }
}
