//! The identities of tasks, handed out without a counter that all threads share.

use std::ops::Range;
use std::sync::atomic::{AtomicU64 as StdAtomicU64, Ordering as StdOrdering};

use crate::id::TaskId;

/// Identities are handed to registries in blocks of this many.
const BLOCK: u64 = 1 << 12;

/// The first identity of the next block. Not part of any model.
static NEXT: StdAtomicU64 = StdAtomicU64::new(1);

/// The rest of a block of identities.
pub(super) struct Ids(Range<u64>);

impl Ids {
    pub(super) fn new() -> Self {
        Self(0..0)
    }

    /// An identity that no task of the process had before.
    pub(super) fn next(&mut self) -> TaskId {
        if self.0.is_empty() {
            let first = NEXT.fetch_add(BLOCK, StdOrdering::Relaxed);
            self.0 = first..first + BLOCK;
        }
        let id = self.0.start;
        self.0.start += 1;
        TaskId::new(id)
    }
}
