//! The rings, by whatever names a runtime or a shard of it.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::buf::{BufResult, IoBuf};
use crate::error::RuntimeError;
use crate::id::{NativeOpId, ShardId};
use crate::native::submit::NativeOp;
use crate::native::uring_any::UringNativeAny;
use crate::port::ToLane;
use crate::time::{Sleep, sleep};

/// Rings for everything that names a runtime: [all of them](Self::uring_native_unbound), or that of
/// the shard which a [`ShardCtx`](crate::ShardCtx) or a [`ShardHandle`](crate::ShardHandleOf) is.
pub trait NativeExt: ToLane {
    /// The rings of the runtime, for operations on any descriptor: see
    /// [`UringNativeAny::new_on`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use spargio::native::NativeExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// let native = runtime.handle().uring_native_unbound()?;
    /// assert_eq!(native.active_native_op_count(), 0);
    /// # Ok::<(), spargio::RuntimeError>(())
    /// ```
    fn uring_native_unbound(&self) -> Result<UringNativeAny, RuntimeError>
    where
        Self: Sized,
    {
        UringNativeAny::new_on(self)
    }

    /// As [`UringNativeAny::read_at`], on the ring of this shard and no other. A
    /// [`RuntimeHandle`](crate::RuntimeHandle) means a shard by placement.
    ///
    /// Who does many of these keeps a [`UringNativeAny`] instead: each call looks up the rings of
    /// the runtime, which is an allocation.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use spargio::native::NativeExt;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = spargio::Runtime::builder().shards(2).build()?;
    /// let task = runtime.handle().spawn_local_on(1, |ctx| async move {
    ///     let file = std::fs::File::open("Cargo.toml")?;
    ///     ctx.native_read_at(file, 1, 9).await
    /// })?;
    /// assert_eq!(runtime.block_on(task)??, b"workspace");
    /// # Ok(())
    /// # }
    /// ```
    fn native_read_at<F>(&self, fd: F, offset: u64, len: usize) -> NativeOp<io::Result<Vec<u8>>>
    where
        Self: Sized,
        F: AsFd + Send + 'static,
    {
        match rings(self) {
            Ok((native, shard)) => native.read_at_on(shard, fd, offset, len),
            Err((id, error)) => NativeOp::known(id, Err(error.into())),
        }
    }

    /// As [`UringNativeAny::write_at`], on the ring of this shard and no other; see
    /// [`native_read_at`](Self::native_read_at).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As [`UringNativeAny::read_at_into`].
    fn native_write_at<F, B>(&self, fd: F, offset: u64, buf: B) -> NativeOp<BufResult<usize, B>>
    where
        Self: Sized,
        F: AsFd + Send + 'static,
        B: IoBuf,
    {
        match rings(self) {
            Ok((native, shard)) => native.write_at_on(shard, fd, offset, buf),
            Err((id, error)) => NativeOp::known(id, (Err(error.into()), buf)),
        }
    }

    /// Waits: [`sleep`], which needs no entry on a ring.
    fn native_sleep(&self, duration: Duration) -> Sleep {
        sleep(duration)
    }
}

impl<L: ToLane> NativeExt for L {}

/// All rings, and which of them is meant; or a name for the operation that there will not be, and
/// why.
fn rings(lane: &impl ToLane) -> Result<(UringNativeAny, ShardId), (NativeOpId, RuntimeError)> {
    let lane = lane.to_lane();
    let shard = lane.0.shard();
    match UringNativeAny::of(&lane.0) {
        Ok(native) => Ok((native, shard)),
        Err(error) => Err((lane.0.roster().name(shard), error)),
    }
}
