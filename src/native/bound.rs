//! The rings, by whatever names a runtime or a shard of it.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::buf::{BufResult, IoBuf};
use crate::error::RuntimeError;
use crate::id::ShardId;
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
    fn native_read_at<F>(
        &self,
        fd: F,
        offset: u64,
        len: usize,
    ) -> impl Future<Output = io::Result<Vec<u8>>> + Send + use<Self, F>
    where
        Self: Sized,
        F: AsFd + Send + 'static,
    {
        let read = rings(self).map(|(it, shard)| it.read_at_on(shard, fd, offset, len));
        async move { read?.await }
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
    fn native_write_at<F, B>(
        &self,
        fd: F,
        offset: u64,
        buf: B,
    ) -> impl Future<Output = BufResult<usize, B>> + Send + use<Self, F, B>
    where
        Self: Sized,
        F: AsFd + Send + 'static,
        B: IoBuf,
    {
        let write = match rings(self) {
            Ok((native, shard)) => Ok(native.write_at_on(shard, fd, offset, buf)),
            Err(error) => Err((error, buf)),
        };
        async move {
            match write {
                Ok(write) => write.await,
                Err((error, buf)) => (Err(error.into()), buf),
            }
        }
    }

    /// Waits: [`sleep`], which needs no entry on a ring.
    fn native_sleep(&self, duration: Duration) -> Sleep {
        sleep(duration)
    }
}

impl<L: ToLane> NativeExt for L {}

/// All rings, and which of them is meant.
fn rings(lane: &impl ToLane) -> Result<(UringNativeAny, ShardId), RuntimeError> {
    let lane = lane.to_lane();
    Ok((UringNativeAny::of(&lane.0)?, lane.0.shard()))
}
