//! When an operation is finished by a direct call instead of the ring: the measured thresholds.
//!
//! Measured on Linux 6.18 on a 2-core virtual machine: a cached 4 KiB read is 0.44 us by
//! `preadv2(RWF_NOWAIT)`, 0.72 us alone through the ring (push, enter, reap), and 0.25 us through
//! the ring in a batch of 32. A failed non-blocking receive is 0.29 us, arming one on the ring 0.78
//! us.

/// Whether an operation may be finished by a direct call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Inline {
    /// No: it would block, or it is known not to work.
    Never,
    /// It probably finishes without blocking.
    Try,
    /// As `Try`, and the ring would hand it to a worker thread, so that even a batch gains nothing
    /// there.
    TryFirst,
    /// As `Try`, and the ring takes it along with an operation that starts next: it is no call of
    /// its own there if the shard turns to the ring anyway.
    TryAlone,
}

/// So many operations made by the running poll and not yet started are a batch.
const BATCH_MADE: u32 = 3;
/// So many entries that wait for the next submission are a batch worth joining.
const BATCH_QUEUED: usize = 4;

impl Inline {
    /// Whether to try the direct call, while `made` other operations of the same poll are about to
    /// start and `queued` entries wait for the next submission.
    pub(crate) fn is_worth_it(
        self,
        made: u32,
        queued: usize,
        is_next_ring: impl FnOnce() -> bool,
    ) -> bool {
        match self {
            Self::Never => false,
            Self::Try => made < BATCH_MADE && queued < BATCH_QUEUED,
            Self::TryFirst => true,
            Self::TryAlone => !is_next_ring(),
        }
    }
}
