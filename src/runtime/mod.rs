//! The runtime: shards that run, and the value that owns them.

use std::fmt;
use std::future::Future;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::assembly::{Assembly, Native};
use crate::builder::RuntimeBuilder;
use crate::error::RuntimeError;
use crate::id::ShardId;
use crate::primitive::Arc;
use crate::shard::{Core, Outpost};
use crate::stats::RuntimeStats;
use crate::task::JoinHandle;

mod block_on;
mod blocking;
mod ctx;
mod describe;
mod dump;
mod entry;
mod events;
mod exits;
mod handle;
mod launch;
mod options;
mod remote;
mod spawn;
mod ticket;

pub use blocking::{spawn_blocking, spawn_blocking_with};
pub use ctx::ShardCtx;
pub use describe::Description;
pub use entry::{run, run_local_on, run_main, run_with};
pub use events::{NextEvent, NextHotCount};
pub use exits::ShutdownReport;
pub use handle::{RuntimeHandleOf, ShardHandleOf};
pub use options::{SpawnOptions, spawn_local_with, spawn_with};
pub use remote::RemoteShard;
pub use spawn::{TaskPlacement, spawn, spawn_local, spawn_stealable_on};
pub use ticket::SendTicket;

pub(crate) use launch::launch;

use exits::Exits;

/// How long [`Drop`] waits for shards that do not end, before it leaves them behind.
const DROP_PATIENCE: Duration = Duration::from_secs(10);
/// How often a graceful shutdown looks whether tasks are left.
const DRAIN_LOOK: Duration = Duration::from_millis(1);

/// The way to each shard of a runtime.
pub(crate) type Outposts<A> = Arc<[Arc<Outpost<A>>]>;

/// A runtime of any assembly; [`Runtime`](crate::Runtime) is the one of the default parts, and
/// carries the documentation.
///
/// A runtime owns its shards. [`shutdown`](Self::shutdown) ends them in order; dropping the runtime
/// does the same and blocks meanwhile, except on one of its own shards, where it only signals.
/// Shutting down ends every task at its next poll, cancels every operation in flight, and returns
/// memory and fds only when the kernel has let go of them.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use spargio::Runtime;
///
/// let runtime = Runtime::builder().shards(2).build()?;
/// let answer = runtime.block_on(async {
///     let task = spargio::spawn(async { 6 * 7 })?;
///     Ok::<_, spargio::RuntimeError>(task.await?)
/// })?;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
pub struct RuntimeOf<A: Assembly> {
    core: Arc<Core<A>>,
    outposts: Outposts<A>,
    exits: Arc<Exits>,
    threads: Vec<thread::JoinHandle<()>>,
    started: Instant,
}

impl RuntimeOf<Native> {
    /// The builder of the default assembly.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::new()
    }
}

impl<A: Assembly> RuntimeOf<A> {
    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.core.shards.len()
    }

    /// A handle, to be cloned and sent anywhere.
    pub fn handle(&self) -> RuntimeHandleOf<A> {
        RuntimeHandleOf::new(Arc::clone(&self.core), Arc::clone(&self.outposts))
    }

    /// Runs a future on this thread until it is ready. Inside of it this runtime is the ambient
    /// one: what it spawns and opens goes to the shards.
    ///
    /// The thread itself does no I/O; each operation that the future awaits directly costs a trip
    /// to a shard and back. Spawn a task for anything busy.
    ///
    /// # Panics
    ///
    /// On a thread that is a shard of any runtime, which it would block.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle().block_on(future)
    }

    /// As [`RuntimeHandleOf::remote`].
    pub fn remote(&self, shard: impl Into<ShardId>) -> Option<RemoteShard> {
        self.handle().remote(shard)
    }

    /// As [`RuntimeHandleOf::spawn_pinned`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_on<F>(
        &self,
        shard: impl Into<ShardId>,
        future: F,
    ) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle().spawn_pinned(shard, future)
    }

    /// As [`RuntimeHandleOf::stats_snapshot`].
    pub fn stats_snapshot(&self) -> RuntimeStats {
        self.handle().stats_snapshot()
    }

    /// Ends the runtime and waits until its shards are gone and its blocking jobs are over, without
    /// blocking the thread. A second call returns the same report.
    ///
    /// # Cancel safety
    ///
    /// The shutdown goes on when the future is dropped.
    pub async fn shutdown(&mut self) -> ShutdownReport {
        self.close();
        self.exits.wait().await;
        self.join();
        // Not earlier: what ends with the shards may leave something to be cleared up.
        self.core.blocking.close();
        self.core.blocking.ended().await;
        self.report()
    }

    /// Ends the runtime and blocks until its shards are gone and its blocking jobs are over, or the
    /// time is. Shards that are stuck in a task's code are left behind with what the kernel still
    /// uses of theirs, and so are blocking jobs; the report counts both. A task that such a shard
    /// spawned itself and that is not woken ends, for its handle too, only when the shard comes
    /// back.
    pub fn shutdown_timeout(mut self, patience: Duration) -> ShutdownReport {
        self.end(patience);
        // Those that are stuck are left behind: the drop of this value must not wait for them
        // again.
        self.threads.clear();
        self.report()
    }

    /// Ends the runtime in steps, and blocks until it is over:
    ///
    /// 1. Threads that are no shards can spawn nothing more; tasks still can.
    /// 2. Tasks are told, by the [token](RuntimeHandleOf::shutdown_token) that they asked for.
    /// 3. All tasks that end within `drain` end by themselves.
    /// 4. The rest is ended as by [`shutdown_timeout`](Self::shutdown_timeout) with this patience:
    ///    tasks are dropped on their shards, operations are cancelled and reaped, threads joined,
    ///    and blocking jobs awaited.
    ///
    /// On a shard of its own, which it would block, it begins step 4 at once and does not wait.
    pub fn shutdown_graceful(self, drain: Duration, patience: Duration) -> ShutdownReport {
        self.core.drain();
        let deadline = Instant::now().checked_add(drain);
        let is_late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        while !self.core.is_here() && self.core.live_tasks() > 0 && !is_late() {
            // Nobody counts tasks down for this: it would cost every task that ends.
            thread::park_timeout(DRAIN_LOOK);
        }
        self.shutdown_timeout(patience)
    }

    fn close(&self) {
        self.core.close();
        self.core.wake_all();
    }

    fn end(&mut self, patience: Duration) {
        let on_own_shard = self.core.is_here();
        // Patience beyond what the clock can show has no end.
        let deadline = Instant::now().checked_add(patience);
        if let Some(deadline) = deadline {
            self.core.limit(deadline);
        }
        self.close();
        // A shard cannot wait for its own end.
        if !on_own_shard && self.exits.block_until(deadline) {
            self.join();
        }
        self.core.blocking.close();
        if !on_own_shard {
            self.core.blocking.block_until(deadline);
        }
    }

    /// Joins the threads, all of which are past their last step.
    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A shard that panicked has said so through the hook; `Exits` counted it.
            drop(thread.join());
        }
    }

    fn report(&self) -> ShutdownReport {
        self.exits.report(&self.core, self.started)
    }
}

impl<A: Assembly> Drop for RuntimeOf<A> {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.end(DROP_PATIENCE);
        }
    }
}

impl<A: Assembly> fmt::Debug for RuntimeOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("assembly", &std::any::type_name::<A>())
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

/// The error of a driver that failed, as it is reported.
type Failure = (ShardId, io::Error);
