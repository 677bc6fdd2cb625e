//! Registering buffers by hand, to learn why a ring refuses them.

use std::io;

use crate::buf::FixedPool;
use crate::port::{self, Port};

/// Makes the ring of the shard whose thread this is know the pool, as the first operation with one
/// of its buffers would; also after that was refused.
///
/// There is no need to call it: it takes the time that registering needs (about that of touching
/// every page) out of the first operation, and it says why the operations of this shard are
/// ordinary ones.
///
/// # Errors
///
/// - `OutOfMemory` if the pages may not be locked. The text names `RLIMIT_MEMLOCK` and its value.
/// - `QuotaExceeded` if the ring knows [`FixedPool::MAX_POOLS`] pools already.
/// - `Unsupported` if the driver of this runtime registers no memory, or the kernel is older than
///   5.19.
/// - On a thread that is no shard of a runtime, an error that says so.
///
/// # Examples
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// # spargio::spawn(async {
/// let pool = spargio::FixedPool::new(8, 65536)?;
/// if let Err(reason) = spargio::fs::register_fixed(&pool) {
///     eprintln!("file I/O goes on without registered buffers: {reason}");
/// }
/// # std::io::Result::Ok(())
/// # })?.await.unwrap()
/// # }).unwrap();
/// ```
pub fn register_fixed(pool: &FixedPool) -> io::Result<()> {
    port::with(|port| match port {
        Some(port) => register_with(port, pool),
        None => Err(io::Error::other("this thread is no shard of a spargio runtime")),
    })
}

fn register_with(port: &dyn Port, pool: &FixedPool) -> io::Result<()> {
    port.register_fixed(pool.part()).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOMEM | libc::EPERM) => io::Error::new(io::ErrorKind::OutOfMemory, {
            let bytes = pool.buffers() * pool.buffer_size();
            format!(
                "the system locks no further {bytes} bytes for the ring ({error}); the limit is \
                 RLIMIT_MEMLOCK, see `ulimit -l`, and counts each shard's ring"
            )
        }),
        Some(libc::EINVAL) => io::Error::new(io::ErrorKind::Unsupported, error),
        _ => error,
    })
}
