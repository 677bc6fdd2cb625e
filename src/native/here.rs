//! Operations by descriptor on the ring of the shard that a task is on.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::buf::{BufResult, IoBuf};
use crate::native::uring_any::UringNativeAny;
use crate::runtime::ShardCtx;
use crate::time::{Sleep, sleep};

impl ShardCtx {
    /// As [`UringNativeAny::read_at`], on the ring of this shard and no other.
    ///
    /// The future borrows nothing and may be polled anywhere. A program that makes many of these
    /// keeps a [`UringNativeAny`] instead: each call looks up the rings of the runtime, which is an
    /// allocation.
    ///
    /// # Errors
    ///
    /// As there, and [`BrokenPipe`](io::ErrorKind::BrokenPipe) when the runtime has ended.
    ///
    /// ```
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
    pub fn native_read_at<F>(
        &self,
        fd: F,
        offset: u64,
        len: usize,
    ) -> impl Future<Output = io::Result<Vec<u8>>> + Send + use<F>
    where
        F: AsFd + Send + 'static,
    {
        let shard = self.shard_id();
        let read = UringNativeAny::new_on(self).map(|it| it.read_at_on(shard, fd, offset, len));
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
    pub fn native_write_at<F, B>(
        &self,
        fd: F,
        offset: u64,
        buf: B,
    ) -> impl Future<Output = BufResult<usize, B>> + Send + use<F, B>
    where
        F: AsFd + Send + 'static,
        B: IoBuf,
    {
        let shard = self.shard_id();
        let write = match UringNativeAny::new_on(self) {
            Ok(native) => Ok(native.write_at_on(shard, fd, offset, buf)),
            Err(error) => Err((error, buf)),
        };
        async move {
            match write {
                Ok(write) => write.await,
                Err((error, buf)) => (Err(error.into()), buf),
            }
        }
    }

    /// Waits on the timers of the shard that polls it: [`sleep`], which needs no entry on a ring.
    pub fn native_sleep(&self, duration: Duration) -> Sleep {
        sleep(duration)
    }
}
