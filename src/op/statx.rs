//! Metadata of a path or of an open file.

use std::ffi::CString;
use std::io;

use crate::driver::Sqe;
use crate::id::ShardId;
use crate::op::file::FileFd;
use crate::op::path_error::{PathError, as_path};
use crate::op::predict::Predictor;
use crate::op::{self, Complete, Inline, Operation, Outcome};
use crate::options::LEAVES_PER_FILE_CALL;
use crate::primitive::Arc;

/// Whose metadata.
#[derive(Debug)]
pub(crate) enum Whose {
    /// Of what this path leads to, relative to the working directory.
    Path(CString),
    /// Of an open file.
    File(Arc<FileFd>),
}

/// Asks for metadata.
#[derive(Debug)]
pub(crate) struct Statx {
    whose: Whose,
    /// `AT_*`.
    flags: i32,
    /// `STATX_*`.
    mask: u32,
    answer: libc::statx,
}

impl Statx {
    pub(crate) fn new(whose: Whose, flags: i32, mask: u32) -> Self {
        let flags = match whose {
            Whose::Path(_) => flags,
            Whose::File(_) => flags | libc::AT_EMPTY_PATH,
        };
        // SAFETY:
        // - it consists of numbers, for which 0 is a value.
        let answer = unsafe { std::mem::zeroed() };
        Self { whose, flags, mask, answer }
    }
}

thread_local! {
    /// What direct calls for paths came to on this thread.
    static PATHS: Predictor = const { Predictor::new() };
}

// SAFETY:
// - I1: the path is on the heap and owned by `self`, or a constant; the answer goes to a field of
//   `self`, which is not moved meanwhile; the fd is kept open by the share.
unsafe impl Operation for Statx {
    fn entry(&mut self) -> Sqe {
        let (dir, path) = match &self.whose {
            Whose::Path(path) => (libc::AT_FDCWD, path.as_ptr()),
            Whose::File(file) => (file.fd.number(), c"".as_ptr()),
        };
        Sqe::statx(dir, path, self.flags, self.mask, &raw mut self.answer)
    }
}

impl Complete for Statx {
    type Output = io::Result<libc::statx>;

    const LEAVES: i64 = LEAVES_PER_FILE_CALL;

    fn inline(&self) -> Inline {
        match self.whose {
            // What is asked of an open file is in memory.
            Whose::File(_) => Inline::TryFirst,
            Whose::Path(_) => match PATHS.try_with(Predictor::next) {
                Ok(Inline::Try) => Inline::TryFirst,
                Ok(other) => other,
                Err(_) => Inline::Never,
            },
        }
    }

    fn attempted(&self, finished: bool) {
        if let Whose::Path(_) = self.whose {
            // A thread that ends predicts nothing any more.
            let _ended = PATHS.try_with(|paths| paths.note(finished));
        }
    }

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<libc::statx> {
        match (outcome, self.whose) {
            (Ok(_), _) => Ok(self.answer),
            (Err(error), Whose::Path(path)) => {
                Err(PathError::wrap("read the metadata of", as_path(&path), error))
            }
            (Err(error), Whose::File(_)) => Err(error),
        }
    }

    fn finish_lost(home: ShardId) -> io::Result<libc::statx> {
        Err(op::lost(home))
    }
}
