//! Bytes that are in memory already, moved to the buffer of a read.

use crate::buf::IoBufMut;

/// Moves bytes to the start of the buffer, as many as it has room for, and says how many.
pub(crate) fn fill<B: IoBufMut>(buf: &mut B, bytes: &[u8]) -> usize {
    let count = bytes.len().min(buf.bytes_total());
    let to = buf.stable_mut_ptr();
    // SAFETY:
    // - O5: `bytes_total` bytes from there may be written, and `count` is no more.
    // - O6: nothing else refers to them, so `bytes` lie elsewhere.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), count) };
    // SAFETY:
    // - these are the bytes that were just written.
    unsafe { buf.set_init(count) };
    count
}
