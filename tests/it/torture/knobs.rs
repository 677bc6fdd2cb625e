//! What the driver does to operations, how often it is to do it, and how often it did.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often what happens: one time in so many. 0 is never, 1 is always.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Knobs {
    pub(crate) seed: u64,
    /// A transfer is cut to one byte.
    pub(crate) byte: u64,
    /// A transfer is cut to some length.
    pub(crate) short: u64,
    /// Messages without control data are parts of a stream, and cut like other sends. A datagram
    /// would lose its end.
    pub(crate) messages: bool,
    /// A transfer or an accept is answered with `EINTR`, and the kernel never sees it.
    pub(crate) interrupt: u64,
    /// A transfer is answered with `EAGAIN`, and the kernel never sees it.
    pub(crate) again: u64,
    /// A receive to provided buffers finds none.
    pub(crate) starve: u64,
    /// An operation on a file or a name that moves no bytes is answered with `EINTR`.
    pub(crate) names: u64,
    /// A connect, an accept or a wait for readiness is answered with `EINTR`, and the kernel never
    /// sees it.
    pub(crate) waits: u64,
    /// The same with `EAGAIN` or `ECANCELED`.
    pub(crate) refuse: u64,
    /// What is to be answered many times is answered once, as when there is no room for another
    /// answer.
    pub(crate) once: u64,
    /// A direct call would have to wait.
    pub(crate) decline: u64,
    /// A completion comes later, and others before it.
    pub(crate) delay: u64,
    /// A cancel goes to the kernel later, when what it is to end may have succeeded.
    pub(crate) linger: u64,
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Cut to one byte, on the ring.
    Byte,
    /// Cut to some length, on the ring.
    Short,
    /// A list of parts cut in a copy, on the ring.
    Parts,
    /// Cut, in a direct call.
    Direct,
    /// Direct I/O was said to have moved less than it did.
    Uneven,
    /// No direct call.
    Declined,
    Interrupted,
    Again,
    Starved,
    /// `EINTR` for what moves no bytes.
    Names,
    /// `EINTR` for what waits for somebody else.
    Waits,
    /// `EAGAIN` or `ECANCELED` for that.
    Refused,
    /// One answer in the place of many.
    Once,
    Delayed,
    /// A completion came before an older one.
    Overtaken,
    LateCancel,
    /// An operation that was to be cancelled ended with its success.
    Won,
}

/// How often each was done, by all drivers with this value.
#[derive(Default)]
pub(crate) struct Counts([AtomicU64; Kind::ALL.len()]);

impl Kind {
    const ALL: [Self; 17] = [
        Self::Byte,
        Self::Short,
        Self::Parts,
        Self::Direct,
        Self::Uneven,
        Self::Declined,
        Self::Interrupted,
        Self::Again,
        Self::Starved,
        Self::Names,
        Self::Waits,
        Self::Refused,
        Self::Once,
        Self::Delayed,
        Self::Overtaken,
        Self::LateCancel,
        Self::Won,
    ];
}

impl Counts {
    pub(super) fn add(&self, kind: Kind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize].load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Kind::ALL.map(|kind| (kind, self.of(kind)))).finish()
    }
}
