//! Work of users that blocks, away from the shards.

use std::future::pending;

use crate::assembly::Assembly;
use crate::blocking::{self, CancelFlag, Offload, Refused};
use crate::error::RuntimeError;
use crate::port;
use crate::runtime::handle::RuntimeHandleOf;
use crate::task::JoinHandle;

impl<A: Assembly> RuntimeHandleOf<A> {
    /// Runs `work`, which may block, on a thread of the runtime that is no shard: for calls of
    /// libraries that know nothing of futures, and for files that must not be read ahead of others.
    /// Computations that take long are better off as tasks that
    /// [yield](crate::consume_budget).
    ///
    /// The work begins at once, or when one of the [64](crate::Builder::max_blocking_threads)
    /// threads is free. Dropping the handle lets it go on; [aborting](JoinHandle::abort) it keeps
    /// work that has not begun from ever beginning. Work that has begun goes on to its end, and a
    /// shutdown waits for it; [`spawn_blocking_with`](Self::spawn_blocking_with) tells it.
    ///
    /// It costs a task, two allocations and two wake-ups.
    ///
    /// # Errors
    ///
    /// [`Closed`](RuntimeError::Closed) after shutdown; [`Overloaded`](RuntimeError::Overloaded) at
    /// the limits of [waiting jobs](crate::Builder::blocking_queue_capacity) and of tasks;
    /// [`ThreadSpawn`](RuntimeError::ThreadSpawn) if there is no thread yet and the system starts
    /// none. The work has not begun, and is dropped.
    ///
    /// # Panics
    ///
    /// What the work panics with is the error of its handle.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = spargio::Runtime::builder().shards(1).build()?;
    /// let hosts = runtime.handle().spawn_blocking(|| std::fs::read_to_string("/etc/hosts"))?;
    /// println!("{}", runtime.block_on(hosts)??);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_blocking<T, W>(&self, work: W) -> Result<JoinHandle<T>, RuntimeError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        self.spawn_blocking_with(move |_| work())
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), and shows the work whether anybody still waits
    /// for it.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = spargio::Runtime::builder().shards(1).build()?;
    /// let search = runtime.handle().spawn_blocking_with(|flag| {
    ///     (0u64..).take_while(|_| !flag.is_canceled()).find(|n| n * n == 1_522_756)
    /// })?;
    /// assert_eq!(runtime.block_on(search)?, Some(1_234));
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_blocking_with<T, W>(&self, work: W) -> Result<JoinHandle<T>, RuntimeError>
    where
        T: Send + 'static,
        W: FnOnce(&CancelFlag<'_>) -> T + Send + 'static,
    {
        let (job, answer) = blocking::job(work);
        // First, so that work which is refused has not begun.
        let handle = self.spawn_stealable(result(answer))?;
        self.core().blocking.enqueue(job).inspect_err(|_| handle.abort())?;
        Ok(handle)
    }
}

/// As [`RuntimeHandleOf::spawn_blocking`], on the ambient runtime.
///
/// # Errors
///
/// As there, and [`NoRuntime`](RuntimeError::NoRuntime).
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let sum = spargio::spawn_blocking(|| (1..=100).sum::<u32>())?;
/// assert_eq!(sum.await?, 5_050);
/// # Ok::<_, spargio::RuntimeError>(())
/// # }).unwrap();
/// ```
pub fn spawn_blocking<T, W>(work: W) -> Result<JoinHandle<T>, RuntimeError>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    spawn_blocking_with(move |_| work())
}

/// As [`RuntimeHandleOf::spawn_blocking_with`], on the ambient runtime.
///
/// # Errors
///
/// As there, and [`NoRuntime`](RuntimeError::NoRuntime).
pub fn spawn_blocking_with<T, W>(work: W) -> Result<JoinHandle<T>, RuntimeError>
where
    T: Send + 'static,
    W: FnOnce(&CancelFlag<'_>) -> T + Send + 'static,
{
    let lane = port::current_lane().ok_or(RuntimeError::NoRuntime)?;
    let (job, answer) = blocking::job(work);
    let handle = super::spawn(result(answer))?;
    lane.blocking().enqueue(job).inspect_err(|_| handle.abort())?;
    Ok(handle)
}

/// What the work returns.
async fn result<T>(answer: Offload<T>) -> T {
    match answer.await {
        Ok(result) => result,
        // Only work that is refused has no result, and then this task is aborted.
        Err(_) => pending().await,
    }
}

impl From<Refused> for RuntimeError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full { limit } => Self::Overloaded { what: "waiting blocking jobs", limit },
            Refused::Closed => Self::Closed,
            Refused::NoThread(error) => Self::ThreadSpawn(error),
        }
    }
}
