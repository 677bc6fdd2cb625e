//! Buffers that an operation owns while the kernel reads or writes them.
//!
//! An operation on a ring goes on after its future was dropped, so it cannot borrow memory: the
//! buffer is given away with the operation and comes back with the result, as a [`BufResult`].
//! [`IoBuf`] is what can be written from, [`IoBufMut`] what can be read into, and [`Slice`] a part
//! of either.
//!
//! Who submits an operation first puts the buffer where it stays until the operation is over, and
//! then takes the pointer. The address would survive a later move (O2), but to Rust's aliasing
//! rules the move of a `Box` ends the use of pointers that were derived from it before.

mod fixed;
mod impls;
pub(crate) mod pool;
mod result;
mod slice;
mod traits;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub(crate) use fixed::FixedStock;
pub use fixed::{FixedBuf, FixedPart, FixedPool};
pub use result::{BufResult, BufResultExt};
pub use slice::Slice;
pub use traits::{IoBuf, IoBufMut};

/// The most bytes that one read or write moves: what Linux takes in one system call.
///
/// A longer buffer is no error. A single `read` or `write` transfers its first `MAX_TRANSFER` bytes
/// at most and says how many, as for any other partial transfer; the `_all` and `_exact` forms go
/// on until everything is transferred.
///
/// ```
/// // 2 GiB less one page of 4 KiB.
/// assert_eq!(spargio::MAX_TRANSFER, (2 << 30) - 4096);
/// ```
pub const MAX_TRANSFER: usize = 0x7fff_f000;

/// The length that a submission entry names for a buffer of `len` bytes.
#[allow(dead_code, reason = "operations are its only users")]
pub(crate) const fn transfer_len(len: usize) -> u32 {
    if len < MAX_TRANSFER { len as u32 } else { MAX_TRANSFER as u32 }
}
