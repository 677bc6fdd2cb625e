//! Keeping the operations on a descriptor to one shard, and descriptors that are bare numbers.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use crate::id::ShardId;
use crate::op::Lease;

/// Operations on a socket go to one shard while this exists:
/// [`acquire_affinity`](crate::native::UringNativeAny::acquire_affinity).
///
/// It has the descriptor, which therefore stays open, so that the lease never comes to be about
/// another.
#[must_use = "a lease that is dropped at once keeps nothing"]
pub struct AffinityLease<F> {
    // Field order is drop order: the lease ends before the descriptor may close.
    lease: Lease,
    fd: F,
}

impl<F> AffinityLease<F> {
    pub(super) fn new(lease: Lease, fd: F) -> Self {
        Self { lease, fd }
    }

    /// The shard that operations on the descriptor go to.
    pub fn shard(&self) -> ShardId {
        self.lease.shard()
    }

    /// The descriptor. What goes into operations is a clone of it, if it can be cloned, as an
    /// `Arc` of a socket can.
    pub const fn fd(&self) -> &F {
        &self.fd
    }

    /// Ends the lease, and gives the descriptor back.
    pub fn release(self) -> F {
        let Self { lease, fd } = self;
        drop(lease);
        fd
    }
}

impl<F> fmt::Debug for AffinityLease<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AffinityLease").field("shard", &self.shard()).finish_non_exhaustive()
    }
}

/// The number of a descriptor that somebody else keeps open, for operations on it.
///
/// ```
/// use std::os::fd::AsRawFd;
/// use spargio::native::{UnownedFd, UringNativeAny};
///
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let file = std::fs::File::open("Cargo.toml")?;
/// // SAFETY: the file is open until after the read, whose future is not dropped before its end.
/// let fd = unsafe { UnownedFd::new(file.as_raw_fd()) };
/// assert_eq!(UringNativeAny::new()?.read_at(fd, 0, 11).await?, b"[workspace]");
/// drop(file);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnownedFd(RawFd);

impl UnownedFd {
    /// For the descriptor of this number.
    ///
    /// # Safety
    ///
    /// The number is that of an open descriptor, which stays open as long as this value or a copy
    /// of it is used. An operation uses it until its last completion, which may come after its
    /// future was dropped.
    pub const unsafe fn new(number: RawFd) -> Self {
        Self(number)
    }
}

impl AsFd for UnownedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY:
        // - who made the value vouched that the descriptor is open as long as it is used.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}
