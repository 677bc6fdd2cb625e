//! Operations that the ring has no opcode for: counted for the shard that asked, and done by the
//! threads of the runtime that do what blocks.

use crate::blocking::{self, CancelFlag, Offload};
use crate::port::Lane;
use crate::primitive::Arc;

/// As [`blocking::give`], of an operation, which is counted for the shard of `lane`.
pub(crate) fn offload<T, W>(lane: &Arc<dyn Lane>, work: W) -> Offload<T>
where
    T: Send + 'static,
    W: FnOnce(&CancelFlag<'_>) -> T + Send + 'static,
{
    lane.note_blocking_job();
    blocking::give(lane.blocking(), work)
}

/// As [`blocking::clear_up`], counted as [`offload`] does.
pub(crate) fn clear_up(lane: &Arc<dyn Lane>, work: impl FnOnce() + Send + 'static) {
    lane.note_blocking_job();
    blocking::clear_up(lane.blocking(), work);
}
