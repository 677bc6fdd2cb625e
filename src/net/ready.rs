//! What a descriptor can be waited for, and what it was ready for.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A `POLL*` flag as the kernel's 32-bit masks have it.
const fn bits(flags: i16) -> u32 {
    flags as u16 as u32
}

const IN: u32 = bits(libc::POLLIN);
const OUT: u32 = bits(libc::POLLOUT);
const PRI: u32 = bits(libc::POLLPRI);
const ERR: u32 = bits(libc::POLLERR);
const HUP: u32 = bits(libc::POLLHUP);
const RDHUP: u32 = bits(libc::POLLRDHUP);

/// What to wait for. The kernel reports errors and the end of a connection in any case.
///
/// ```
/// use spargio::net::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable() && !both.is_priority());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u32);

impl Interest {
    /// Until something can be read, or the peer has ended its direction.
    pub const READABLE: Self = Self(IN | RDHUP);
    /// Until something can be written.
    pub const WRITABLE: Self = Self(OUT);
    /// Until something out of the ordinary is there (`POLLPRI`): urgent data of TCP, a change of a
    /// file in `/sys`.
    pub const PRIORITY: Self = Self(PRI);
    /// Until there is an error, which ends every wait: for those who want nothing else.
    pub const ERROR: Self = Self(ERR);

    /// Both of them; the same as `|`.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether reading is among it.
    pub const fn is_readable(self) -> bool {
        self.0 & IN != 0
    }

    /// Whether writing is among it.
    pub const fn is_writable(self) -> bool {
        self.0 & OUT != 0
    }

    /// Whether what is out of the ordinary is among it.
    pub const fn is_priority(self) -> bool {
        self.0 & PRI != 0
    }

    /// Whether errors are asked for.
    pub const fn is_error(self) -> bool {
        self.0 & ERR != 0
    }

    /// The mask of the kernel.
    pub(super) const fn events(self) -> u32 {
        self.0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.add(other);
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.is_readable(), "READABLE"),
            (self.is_writable(), "WRITABLE"),
            (self.is_priority(), "PRIORITY"),
            (self.is_error(), "ERROR"),
        ];
        list(f, "Interest", names)
    }
}

/// What a descriptor was ready for when the kernel looked.
///
/// ```
/// use spargio::net::Ready;
///
/// assert!(Ready::EMPTY.is_empty());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ready(u32);

impl Ready {
    /// Nothing.
    pub const EMPTY: Self = Self(0);

    /// From the mask of the kernel.
    pub(super) const fn from_events(events: u32) -> Self {
        Self(events)
    }

    /// The mask of the kernel.
    pub(super) const fn events(self) -> u32 {
        self.0
    }

    /// Whether it is ready for nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a read does not block: there is something, or the end of it.
    pub const fn is_readable(self) -> bool {
        self.0 & IN != 0 || self.is_read_closed()
    }

    /// Whether a write does not block: there is room, or nobody who reads.
    pub const fn is_writable(self) -> bool {
        self.0 & OUT != 0 || self.is_write_closed()
    }

    /// Whether the peer will send nothing more than what is there.
    pub const fn is_read_closed(self) -> bool {
        self.0 & (HUP | RDHUP) != 0
    }

    /// Whether what is written reaches nobody.
    pub const fn is_write_closed(self) -> bool {
        self.0 & HUP != 0 || self.0 == ERR || self.0 & (OUT | ERR) == OUT | ERR
    }

    /// Whether something out of the ordinary is there; see [`Interest::PRIORITY`].
    pub const fn is_priority(self) -> bool {
        self.0 & PRI != 0
    }

    /// Whether there is an error, which the next call on the descriptor tells.
    pub const fn is_error(self) -> bool {
        self.0 & ERR != 0
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.is_readable(), "READABLE"),
            (self.is_writable(), "WRITABLE"),
            (self.is_read_closed(), "READ_CLOSED"),
            (self.is_write_closed(), "WRITE_CLOSED"),
            (self.is_priority(), "PRIORITY"),
            (self.is_error(), "ERROR"),
        ];
        list(f, "Ready", names)
    }
}

fn list<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    names: [(bool, &str); N],
) -> fmt::Result {
    let mut tuple = f.debug_tuple(what);
    for (is_set, name) in names {
        if is_set {
            tuple.field(&format_args!("{name}"));
        }
    }
    tuple.finish()
}
