//! Identities of tasks, handed out in blocks so that spawning shares no counter.

use std::ops::Range;
use std::sync::atomic::{AtomicU64 as StdAtomicU64, Ordering as StdOrdering};

use crate::id::TaskId;

/// How many identities a block has.
const ID_BLOCK: u64 = 1 << 12;

/// The first identity of the next block. Not part of any model.
static NEXT_BLOCK: StdAtomicU64 = StdAtomicU64::new(1);

/// The rest of a block of identities.
pub(super) struct Ids(Range<u64>);

impl Ids {
    pub(super) fn new() -> Self {
        Self(0..0)
    }

    pub(super) fn next(&mut self) -> TaskId {
        if self.0.is_empty() {
            let first = NEXT_BLOCK.fetch_add(ID_BLOCK, StdOrdering::Relaxed);
            self.0 = first..first + ID_BLOCK;
        }
        let id = self.0.start;
        self.0.start += 1;
        TaskId::new(id)
    }
}
