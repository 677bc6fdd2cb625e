//! What a stream learns about itself: whether its next transfer can be finished by a direct call.

use crate::op::Inline;
use crate::primitive::{AtomicBool, AtomicU8, Ordering};

/// Whether a receive finds something at once.
///
/// A direct receive that finds nothing costs 0.3 us and saves nothing, one that finds something
/// saves most of a microsecond and a turn of the ring. After each that found nothing twice as many
/// receives as before go straight to the ring, up to [`MOST_SKIPPED`](Self::MOST_SKIPPED).
#[derive(Debug, Default)]
pub(super) struct RecvHint(AtomicU8);

impl RecvHint {
    /// The low half counts the receives that still go to the ring, the high half the failures in
    /// a row that led to them.
    const LEFT: u8 = 0x0f;
    const FAILURE: u8 = 0x10;
    const MOST_FAILURES: u8 = 4;

    /// How many receives in a row go to the ring untried at most.
    #[cfg(test)]
    pub(super) const MOST_SKIPPED: u8 = (1 << Self::MOST_FAILURES) - 1;

    /// Whether to try the next receive directly.
    ///
    /// Relaxed here and below: it is advice, and an update that is lost does no harm.
    pub(super) fn predict(&self) -> Inline {
        let word = self.0.load(Ordering::Relaxed);
        if word & Self::LEFT == 0 {
            return Inline::Try;
        }
        self.0.store(word - 1, Ordering::Relaxed);
        Inline::Never
    }

    /// A direct receive found nothing.
    pub(super) fn found_nothing(&self) {
        let before = self.0.load(Ordering::Relaxed) / Self::FAILURE;
        let failures = (before + 1).min(Self::MOST_FAILURES);
        let skipped = (1 << failures) - 1;
        self.0.store((failures * Self::FAILURE) | skipped, Ordering::Relaxed);
    }

    /// A direct receive found something.
    pub(super) fn found_some(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The kernel says, or a full buffer suggests, that more is there already.
    pub(super) fn more_waits(&self) {
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word & !Self::LEFT, Ordering::Relaxed);
    }
}

/// Whether the socket takes what is sent at once: yes, unless the last send did not fit.
#[derive(Debug, Default)]
pub(super) struct SendHint {
    blocked: AtomicBool,
}

impl SendHint {
    /// Whether to try the next send directly. Relaxed here and below, as for receives.
    pub(super) fn predict(&self) -> Inline {
        if self.blocked.load(Ordering::Relaxed) { Inline::Never } else { Inline::Try }
    }

    /// Notes whether a send had to wait or was short.
    pub(super) fn note(&self, blocked: bool) {
        if self.blocked.load(Ordering::Relaxed) != blocked {
            self.blocked.store(blocked, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
