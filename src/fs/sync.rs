//! Flushing to the device.

use std::io;

use crate::driver::Sqe;
use crate::fs::file::Handle;
use crate::op::{Complete, Op, Operation, Outcome};
use crate::primitive::Arc;

/// Flushes the file; `data_only` leaves out metadata that reading back does not need.
pub(super) async fn sync(handle: &Arc<Handle>, data_only: bool) -> io::Result<()> {
    Op::new(Fsync { handle: Arc::clone(handle), data_only }, handle.fd.lane()).await
}

struct Fsync {
    handle: Arc<Handle>,
    data_only: bool,
}

// SAFETY:
// - I1: no address, and the fd is kept open by the handle.
unsafe impl Operation for Fsync {
    fn entry(&mut self) -> Sqe {
        Sqe::fsync(self.handle.fd.number(), self.data_only)
    }
}

impl Complete for Fsync {
    type Output = io::Result<()>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<()> {
        outcome.map(drop)
    }
}
