//! An fd shared by its owner and by the operations that use it.

use std::fmt;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::port::{self, Lane};
use crate::primitive::Arc;

/// An fd that is open as long as anybody uses it, operations in flight included. Its number
/// therefore never comes to mean another file under a pending operation.
///
/// The last owner closes it: on a shard through the ring, without waiting, else by `close(2)`.
#[derive(Clone)]
pub(crate) struct Fd(Arc<Inner>);

struct Inner {
    fd: ManuallyDrop<OwnedFd>,
    lane: Arc<dyn Lane>,
}

impl Fd {
    /// Shares an fd. Operations on it that are started away from shards go to `lane`.
    pub(crate) fn new(fd: OwnedFd, lane: Arc<dyn Lane>) -> Self {
        Self(Arc::new(Inner { fd: ManuallyDrop::new(fd), lane }))
    }

    /// Where operations go that are started away from shards.
    #[inline]
    pub(crate) fn lane(&self) -> &Arc<dyn Lane> {
        &self.0.lane
    }

    /// The number, for an entry of an operation that holds a clone of this.
    #[inline]
    pub(crate) fn number(&self) -> RawFd {
        self.0.fd.as_raw_fd()
    }

    /// The fd itself, if nobody else uses it.
    ///
    /// # Errors
    ///
    /// The share comes back while operations or clones use it.
    pub(crate) fn into_owned(self) -> Result<OwnedFd, Self> {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => {
                let mut inner = ManuallyDrop::new(inner);
                // SAFETY:
                // - `inner` is never dropped, so the fd is taken once.
                let fd = unsafe { ManuallyDrop::take(&mut inner.fd) };
                // SAFETY:
                // - `inner` is never dropped, so the lane is dropped once, here.
                unsafe { std::ptr::drop_in_place(&mut inner.lane) };
                Ok(fd)
            }
            Err(shared) => Err(Self(shared)),
        }
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY:
        // - this is the destructor, so nobody uses the field afterwards.
        close(unsafe { ManuallyDrop::take(&mut self.fd) });
    }
}

/// Closes an fd without waiting: on a shard through the ring, else by `close(2)`.
pub(crate) fn close(fd: OwnedFd) {
    port::with(|port| match port {
        Some(port) => port.close(fd),
        None => drop(fd),
    });
}

impl fmt::Debug for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fd").field(&self.number()).finish()
    }
}
