//! The way to all rings of a runtime: which one an operation goes to, and which are active.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use crate::driver::Opcode;
use crate::error::RuntimeError;
use crate::id::{NativeOpId, ShardId};
use crate::native::lease::AffinityLease;
use crate::native::select::NativeLaneSelector;
use crate::native::submit::no_shard;
use crate::op::{Lease, Roster};
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;
use crate::time::{Sleep, sleep};

/// The rings of a runtime, for operations on descriptors of any origin and for entries of your own.
///
/// It belongs to no shard: each operation goes to the ring of one, which is chosen when it is made.
/// That is, the first that there is of these:
///
/// 1. the shard that is named (`submit_unsafe_on_shard`);
/// 2. for sockets, the shard that another operation on the same descriptor is on just now, or that
///    a [lease](Self::acquire_affinity) keeps it to;
/// 3. the [preferred](Self::with_preferred_shard) shard, else the one whose thread this is, unless
///    another has fewer operations of this kind ([`NativeLaneSelector`]);
/// 4. the shard with the fewest, and among equals each in turn.
///
/// # Descriptors
///
/// Methods take a descriptor by value, as anything that is [`AsFd`], which the operation keeps
/// until the kernel is done: an `Arc<File>`, a clone of a [`TcpStream`](crate::net::TcpStream), a
/// `BorrowedFd<'static>`, or, for a bare number, an [`UnownedFd`](crate::native::UnownedFd). So no
/// number comes to mean another file under an operation.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use std::sync::Arc;
/// use spargio::native::UringNativeAny;
///
/// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
/// # runtime.block_on(async {
/// let native = UringNativeAny::new()?;
/// let file = Arc::new(File::open("Cargo.toml")?);
/// let read = native.read_at(Arc::clone(&file), 0, 11);
/// let name = read.id();
/// assert_eq!(native.active_native_op_shard(name), Some(read.shard()));
/// assert_eq!(read.await?, b"[workspace]");
/// assert_eq!(native.active_native_op_shard(name), None);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct UringNativeAny {
    lanes: Arc<[Arc<dyn Lane>]>,
    selector: NativeLaneSelector,
    preferred: Option<ShardId>,
}

/// An operation that is active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ActiveNativeOp {
    /// Its name, as [`NativeOp::id`](crate::native::NativeOp::id) said.
    pub id: NativeOpId,
    /// What it does.
    pub opcode: Opcode,
}

impl UringNativeAny {
    /// The rings of the runtime that this thread belongs to.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`new_on`](Self::new_on);
    /// [`Closed`](RuntimeError::Closed) if the runtime is gone.
    pub fn new() -> Result<Self, RuntimeError> {
        Self::of(&port::current_lane().ok_or(RuntimeError::NoRuntime)?)
    }

    /// As [`new`](Self::new), on any thread: the rings of this runtime.
    ///
    /// # Errors
    ///
    /// [`Closed`](RuntimeError::Closed) if the runtime is gone.
    pub fn new_on(lane: &impl ToLane) -> Result<Self, RuntimeError> {
        Self::of(&lane.to_lane().0)
    }

    pub(super) fn of(lane: &Arc<dyn Lane>) -> Result<Self, RuntimeError> {
        let shards = (0..lane.shards()).map(ShardId::from_index);
        let lanes: Option<Vec<_>> = shards.map(|shard| lane.sibling(shard)).collect();
        let lanes = lanes.ok_or(RuntimeError::Closed)?;
        let selector = NativeLaneSelector::new(Arc::clone(lane.roster()), lanes.len());
        Ok(Self { lanes: lanes.into(), selector, preferred: None })
    }

    /// The shard that operations go to if it is not busier than others.
    pub const fn preferred_shard(&self) -> Option<ShardId> {
        self.preferred
    }

    /// A handle whose operations go to this shard, unless another has fewer.
    ///
    /// # Errors
    ///
    /// [`InvalidShard`](RuntimeError::InvalidShard) if there is no such shard.
    ///
    /// ```
    /// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// let second = native.with_preferred_shard(1)?;
    /// assert_eq!(second.select_shard(None)?.get(), 1);
    /// assert!(native.with_preferred_shard(2).is_err());
    /// # Ok::<(), spargio::RuntimeError>(())
    /// ```
    pub fn with_preferred_shard(&self, shard: impl Into<ShardId>) -> Result<Self, RuntimeError> {
        let shard = shard.into();
        self.check_shard(shard)?;
        Ok(Self { preferred: Some(shard), ..self.clone() })
    }

    /// A handle that prefers no shard.
    pub fn clear_preferred_shard(&self) -> Self {
        Self { preferred: None, ..self.clone() }
    }

    /// The shard that an operation would go to: `hint`, or the preferred one, unless another has
    /// fewer operations; without either, the one with the fewest.
    ///
    /// # Errors
    ///
    /// [`InvalidShard`](RuntimeError::InvalidShard) if there is no shard `hint`.
    pub fn select_shard(&self, hint: Option<ShardId>) -> Result<ShardId, RuntimeError> {
        if let Some(hint) = hint {
            self.check_shard(hint)?;
        }
        Ok(self.selector.select(hint.or(self.preferred)))
    }

    /// The rule by which shards are chosen.
    pub const fn selector(&self) -> &NativeLaneSelector {
        &self.selector
    }

    /// Keeps the operations on a socket to one shard until the lease is dropped or
    /// [released](AffinityLease::release): to the one that they are on already, else to one that is
    /// chosen as that of any operation is.
    ///
    /// Operations of one shard start in the order in which they were polled first, which those of
    /// several do not. Without a lease a socket is kept to one shard only while an operation on it
    /// is active. Reads and writes of files say where in the file, and go anywhere.
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use std::sync::Arc;
    /// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// # runtime.block_on(async {
    /// let (near, far) = UnixStream::pair()?;
    /// let far = Arc::new(far);
    /// let lease = native.acquire_affinity(Arc::new(near));
    /// native.send(Arc::clone(lease.fd()), "one").await.0?;
    /// assert_eq!(native.fd_affinity_shard(lease.fd()), Some(lease.shard()));
    /// assert_eq!(native.recv(Arc::clone(&far), 16).await?, b"one");
    /// assert_eq!(native.fd_affinity_shard(&far), None);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn acquire_affinity<F: AsFd>(&self, fd: F) -> AffinityLease<F> {
        let lease = self.lease(fd.as_fd().as_raw_fd());
        AffinityLease::new(lease, fd)
    }

    /// As [`acquire_affinity`](Self::acquire_affinity), for this shard.
    ///
    /// # Errors
    ///
    /// [`InvalidShard`](RuntimeError::InvalidShard) if there is no such shard. The lease may name
    /// another shard, if operations on the descriptor are kept there already: it says which.
    pub fn acquire_affinity_on<F: AsFd>(
        &self,
        shard: impl Into<ShardId>,
        fd: F,
    ) -> Result<AffinityLease<F>, RuntimeError> {
        let shard = shard.into();
        self.check_shard(shard)?;
        let lease = Roster::lease(self.roster(), fd.as_fd().as_raw_fd(), shard);
        Ok(AffinityLease::new(lease, fd))
    }

    /// The shard that operations on the descriptor are kept to: while one on a socket is active,
    /// and while there is a [lease](Self::acquire_affinity).
    pub fn fd_affinity_shard(&self, fd: impl AsFd) -> Option<ShardId> {
        self.roster().home(fd.as_fd().as_raw_fd())
    }

    /// Sleeps: [`sleep`](crate::sleep), which costs no operation of a ring.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        sleep(duration)
    }

    /// How many operations of this module are active in the runtime, on all its shards.
    pub fn active_native_op_count(&self) -> usize {
        self.shards().map(|shard| self.roster().pending(shard)).sum()
    }

    /// The shard of an operation; `None` if it is not active any more.
    pub fn active_native_op_shard(&self, id: NativeOpId) -> Option<ShardId> {
        self.roster().find(id).map(|_| id.shard())
    }

    /// The operations of this module that are active in the runtime, shard by shard, the oldest of
    /// each first.
    ///
    /// Active is an operation from when it is made until the kernel has answered for the last time,
    /// also if its future was dropped.
    pub fn active_native_ops(&self) -> Vec<ActiveNativeOp> {
        let all = self.roster().list().into_iter();
        all.map(|(id, opcode)| ActiveNativeOp { id, opcode }).collect()
    }

    pub(super) fn roster(&self) -> &Arc<Roster> {
        self.selector.roster()
    }

    fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.lanes.len()).map(ShardId::from_index)
    }

    /// The way to a shard that there is.
    pub(super) fn lane(&self, shard: ShardId) -> Arc<dyn Lane> {
        Arc::clone(&self.lanes[shard.index()])
    }

    pub(super) fn check_shard(&self, shard: ShardId) -> Result<(), RuntimeError> {
        let shards = self.lanes.len();
        if shard.index() < shards { Ok(()) } else { Err(no_shard(shard, shards)) }
    }

    /// The shard for an operation that may go to any.
    pub(super) fn pick(&self) -> ShardId {
        self.selector.select(self.preferred.or_else(|| self.here()))
    }

    /// Keeps a socket to one shard.
    pub(super) fn lease(&self, fd: RawFd) -> Lease {
        let shard = self.roster().home(fd).unwrap_or_else(|| self.pick());
        Roster::lease(self.roster(), fd, shard)
    }

    /// The shard whose thread this is.
    fn here(&self) -> Option<ShardId> {
        let runtime = self.lanes[0].runtime();
        port::with(|port| port.filter(|port| port.runtime() == runtime).map(|port| port.shard()))
    }
}

impl fmt::Debug for UringNativeAny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UringNativeAny")
            .field("shards", &self.lanes.len())
            .field("preferred", &self.preferred)
            .field("active", &self.active_native_op_count())
            .finish()
    }
}
