//! Opening on the ring.

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::driver::Sqe;
use crate::fs::File;
use crate::op::{self, Complete, Op, Operation, Outcome};
use crate::port::Lane;
use crate::primitive::Arc;

/// What is to be opened, and how.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) path: CString,
    pub(super) flags: i32,
    pub(super) mode: u32,
    pub(super) blocking_writes: bool,
}

/// Opens a file whose operations go to `lane` when they start away from shards.
pub(super) async fn open(recipe: Recipe, lane: Arc<dyn Lane>) -> io::Result<File> {
    let blocking_writes = recipe.blocking_writes;
    let fd = Op::new(OpenAt { recipe }, &lane).await?;
    Ok(File::new(fd, lane, blocking_writes))
}

struct OpenAt {
    recipe: Recipe,
}

// SAFETY:
// - I1: the one address is that of the path, which is on the heap and owned by `self`; the
//   directory is no fd but the working directory.
unsafe impl Operation for OpenAt {
    fn entry(&mut self) -> Sqe {
        let Recipe { path, flags, mode, .. } = &self.recipe;
        Sqe::open_at(libc::AT_FDCWD, path.as_ptr(), *flags, *mode)
    }

    fn abandon(self, outcome: Option<Outcome>) {
        if let Some(Ok(outcome)) = outcome.map(Outcome::check) {
            op::close(opened(outcome));
        }
    }
}

impl Complete for OpenAt {
    type Output = io::Result<OwnedFd>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<OwnedFd> {
        outcome.map(opened)
    }
}

/// The descriptor that a successful open answered.
fn opened(outcome: Outcome) -> OwnedFd {
    // SAFETY:
    // - the kernel opened the descriptor for this operation, whose outcome is looked at once.
    unsafe { OwnedFd::from_raw_fd(outcome.result) }
}
