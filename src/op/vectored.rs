//! Reads into and writes from several buffers at once.

use std::io;

use crate::buf::{BufResult, IoBuf, IoBufMut, transfer_len};
use crate::driver::Sqe;
use crate::op::file::FileFd;
use crate::op::{Complete, Operation, Outcome};
use crate::primitive::Arc;

/// The most parts that one operation takes; more are left for the next (`IOV_MAX`).
pub(crate) const MAX_PARTS: usize = 1024;

/// The list that the kernel reads: where each part is, and how long.
struct Parts(Vec<libc::iovec>);

// SAFETY:
// - the addresses are not used by this type; whoever owns it owns the memory they lead to.
unsafe impl Send for Parts {}

impl Parts {
    fn of(parts: impl Iterator<Item = (*mut u8, usize)>) -> Self {
        let part = |(start, len): (*mut u8, usize)| libc::iovec {
            iov_base: start.cast(),
            // A transfer ends at the limit anyway; the sum may go beyond it.
            iov_len: transfer_len(len) as usize,
        };
        Self(parts.take(MAX_PARTS).map(part).collect())
    }

    fn count(&self) -> u32 {
        u32::try_from(self.0.len()).expect("the number of parts is limited")
    }
}

/// Reads at an offset into one buffer after the other.
pub(crate) struct ReadVectoredAt<B> {
    file: Arc<FileFd>,
    bufs: Vec<B>,
    parts: Parts,
    offset: u64,
}

impl<B: IoBufMut> ReadVectoredAt<B> {
    pub(crate) fn new(file: Arc<FileFd>, bufs: Vec<B>, offset: u64) -> Self {
        Self { file, bufs, parts: Parts(Vec::new()), offset }
    }
}

// SAFETY:
// - I1: the list is on the heap and owned by `self`, as are the buffers, whose addresses and first
//   `bytes_total` bytes stay (O1, O2 and O5 of the buffer traits); the fd is kept open by the
//   share.
unsafe impl<B: IoBufMut> Operation for ReadVectoredAt<B> {
    fn entry(&mut self) -> Sqe {
        let part = |buf: &mut B| (buf.stable_mut_ptr(), buf.bytes_total());
        self.parts = Parts::of(self.bufs.iter_mut().map(part));
        Sqe::readv(self.file.fd.number(), self.parts.0.as_ptr(), self.parts.count(), self.offset)
    }
}

impl<B: IoBufMut> Complete for ReadVectoredAt<B> {
    type Output = BufResult<usize, Vec<B>>;

    fn finish(mut self, outcome: io::Result<Outcome>) -> BufResult<usize, Vec<B>> {
        let read = outcome.map(|outcome| {
            let mut left = outcome.bytes();
            for (buf, part) in self.bufs.iter_mut().zip(&self.parts.0) {
                let count = left.min(part.iov_len);
                left -= count;
                // SAFETY:
                // - the kernel fills one part after the other from its start, and wrote so many
                //   bytes to this one, whose length is at most `bytes_total`.
                unsafe { buf.set_init(count) };
            }
            outcome.bytes()
        });
        (read, self.bufs)
    }
}

/// Writes at an offset what is initialised of one buffer after the other.
pub(crate) struct WriteVectoredAt<B> {
    file: Arc<FileFd>,
    bufs: Vec<B>,
    parts: Parts,
    offset: u64,
}

impl<B: IoBuf> WriteVectoredAt<B> {
    pub(crate) fn new(file: Arc<FileFd>, bufs: Vec<B>, offset: u64) -> Self {
        Self { file, bufs, parts: Parts(Vec::new()), offset }
    }
}

// SAFETY:
// - I1: the list is on the heap and owned by `self`, as are the buffers, whose addresses and first
//   `bytes_init` bytes stay (O1, O2 and O3 of the buffer traits); the fd is kept open by the share.
unsafe impl<B: IoBuf> Operation for WriteVectoredAt<B> {
    fn entry(&mut self) -> Sqe {
        let part = |buf: &B| (buf.stable_ptr().cast_mut(), buf.bytes_init());
        self.parts = Parts::of(self.bufs.iter().map(part));
        Sqe::writev(self.file.fd.number(), self.parts.0.as_ptr(), self.parts.count(), self.offset)
    }
}

impl<B: IoBuf> Complete for WriteVectoredAt<B> {
    type Output = BufResult<usize, Vec<B>>;

    fn finish(self, outcome: io::Result<Outcome>) -> BufResult<usize, Vec<B>> {
        (outcome.map(Outcome::bytes), self.bufs)
    }
}
