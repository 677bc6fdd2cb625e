//! Whether the next operation of a kind will probably be finished by a direct call: a guess from
//! the last.

use crate::op::Inline;
use crate::primitive::{AtomicU16, Ordering};

/// So many misses in a row, and the direct call is given a rest.
const PATIENCE: u8 = 4;
/// The first rest, in reads; each further miss doubles it.
const FIRST_REST: u8 = 8;
/// The longest rest. A direct call that misses costs 0.24 us where the file system refuses it
/// altogether, as tmpfs does: over so many reads that is a nanosecond each.
const LONGEST_REST: u8 = 248;

/// What the direct reads of one file came to: how many missed in a row (the high byte) and how many
/// reads shall go to the ring before the next is tried (the low byte).
///
/// A file whose file system has no non-blocking reads misses always, a file that is larger than
/// memory now and then. Both pay for the tries that miss, so tries get rare when they keep missing.
///
/// It is a hint. Threads that read the same file at once may overwrite each other's notes, which
/// makes the guess worse for a few reads and nothing else, so all accesses are relaxed and none is
/// a locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Predictor(AtomicU16);

impl Predictor {
    /// Nothing is known yet, so the first is tried.
    pub(crate) const fn new() -> Self {
        Self(AtomicU16::new(0))
    }

    /// How the read that starts now should be done. To be asked once for each.
    pub(crate) fn next(&self) -> Inline {
        let [misses, rest] = self.load();
        if rest == 0 {
            return Inline::Try;
        }
        self.store(misses, rest - 1);
        Inline::Never
    }

    /// Notes whether a direct call finished its read.
    pub(crate) fn note(&self, finished: bool) {
        let [misses, _] = self.load();
        match (finished, misses) {
            // The common case writes nothing, so that the line stays shared.
            (true, 0) => {}
            (true, _) => self.store(0, 0),
            (false, _) => {
                let misses = misses.saturating_add(1);
                self.store(misses, rest_after(misses));
            }
        }
    }

    fn load(&self) -> [u8; 2] {
        self.0.load(Ordering::Relaxed).to_be_bytes()
    }

    fn store(&self, misses: u8, rest: u8) {
        self.0.store(u16::from_be_bytes([misses, rest]), Ordering::Relaxed);
    }
}

fn rest_after(misses: u8) -> u8 {
    match misses.checked_sub(PATIENCE) {
        None => 0,
        Some(further) => {
            let doubled = u32::from(FIRST_REST) << u32::from(further).min(8);
            u8::try_from(doubled).map_or(LONGEST_REST, |rest| rest.min(LONGEST_REST))
        }
    }
}

#[cfg(test)]
mod tests;
