//! Files: opened, read, written and closed on the ring, at offsets that the caller names.
//!
//! A [`File`] has no cursor. Every read and write says where, so that any number of them may be in
//! flight on one file at once, from any number of tasks, without a lock. Buffers are owned by the
//! operation and come back with its result (see [`BufResult`](crate::BufResult)).
//!
//! Dropping the future of an operation cancels it. What the kernel still reads or writes meanwhile,
//! the buffer and the descriptor, stays alive until the kernel has let go of it. A write that is
//! cancelled may have been carried out.
//!
//! # Errors
//!
//! Beside what the system call of the same name answers, every operation fails with
//! [`WouldBlock`](std::io::ErrorKind::WouldBlock) when its shard has as many operations in flight
//! as it may, and with [`BrokenPipe`](std::io::ErrorKind::BrokenPipe) when the runtime shuts down.

mod file;
mod options;
mod read;
mod write;

pub use file::File;
pub use options::OpenOptions;
pub use read::ReadAt;
pub use write::WriteAt;

/// The offset as the kernel takes it.
///
/// # Errors
///
/// `InvalidInput` for what is beyond its signed 64 bits. The largest `u64` would even mean
/// something else to it: the descriptor's own cursor.
fn checked_offset(offset: u64) -> std::io::Result<u64> {
    const LIMIT: u64 = i64::MAX as u64;
    if offset <= LIMIT {
        return Ok(offset);
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::InvalidInput,
        format!("the offset {offset} is beyond {LIMIT}, the last one of a file"),
    ))
}

#[cfg(test)]
mod tests;
