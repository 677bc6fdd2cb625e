//! How far a transfer in several steps is, and where the next one begins.

use std::io;

use crate::buf::{BufResult, IoBuf};
use crate::fs::File;

/// Direct I/O that begins at a multiple of this is as well aligned as at the start of its buffer.
pub(super) const BLOCK: usize = 4096;
/// So many steps in a row may bring it no further.
pub(super) const TRIES: usize = 16;

/// Where a transfer that began well aligned goes on.
///
/// Direct I/O that was short may end where the next may not begin: at the end of a file that grows
/// meanwhile, or wherever a file system of somebody else's likes. A step that is refused there is
/// taken anew from the block in which the last one ended, and moves a part of the bytes again.
#[derive(Debug)]
pub(super) struct Steps {
    at: usize,
    most: usize,
    in_vain: usize,
    is_direct: bool,
}

impl Steps {
    pub(super) fn new(file: &File) -> Self {
        Self { at: 0, most: 0, in_vain: 0, is_direct: file.shared.is_direct() }
    }

    /// Where the next step begins: all before that was moved.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What the whole comes to when a step has failed and it was called off: all before is moved.
    ///
    /// A read that went back to the start of a block, and came less far again, has left its buffer
    /// shorter than what it had read: what the buffer says to be there counts.
    pub(super) fn called_off<B: IoBuf>(&self, error: io::Error, buf: B) -> BufResult<usize, B> {
        let is_asked_for = error.raw_os_error() == Some(libc::ECANCELED);
        let moved = self.most.min(buf.bytes_init());
        let result = if is_asked_for && moved > 0 { Ok(moved) } else { Err(error) };
        (result, buf)
    }

    /// A step has moved so many bytes.
    pub(super) fn moved(&mut self, count: usize) {
        self.at += count;
        if self.at > self.most {
            (self.most, self.in_vain) = (self.at, 0);
        } else {
            self.in_vain += 1;
        }
    }

    /// Whether the next step may go well after one that failed.
    pub(super) fn may_go_on(&mut self, error: &io::Error) -> bool {
        if error.kind() == io::ErrorKind::Interrupted {
            return true;
        }
        let beyond = self.at % BLOCK;
        let is_uneven = self.is_direct && beyond > 0 && error.raw_os_error() == Some(libc::EINVAL);
        let may = is_uneven && self.in_vain < TRIES;
        if may {
            self.at -= beyond;
        }
        may
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
