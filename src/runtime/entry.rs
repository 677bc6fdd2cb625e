//! Entries: build a runtime, run one future on it, shut it down.

use std::future::Future;

use crate::assembly::Native;
use crate::builder::{Assemble, RuntimeBuilder};
use crate::error::RuntimeError;
use crate::id::ShardId;
use crate::runtime::block_on::block_on;
use crate::runtime::{RuntimeHandleOf, ShardCtx};
use crate::task::JoinHandle;

/// Runs the future that `entry` makes on a runtime of the default assembly, then shuts it down.
///
/// The future is a stealable task; awaiting this function only waits for it, so it can be awaited
/// on any executor.
///
/// # Errors
///
/// [`Build`](RuntimeError::Build) if the runtime cannot start, [`Join`](RuntimeError::Join) if the
/// task panicked.
pub async fn run<M, F>(entry: M) -> Result<F::Output, RuntimeError>
where
    M: FnOnce(RuntimeHandleOf<Native>) -> F,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    run_with(RuntimeBuilder::new(), entry).await
}

/// As [`run`], on the runtime of this builder.
///
/// # Errors
///
/// As [`run`].
pub async fn run_with<B, M, F>(builder: B, entry: M) -> Result<F::Output, RuntimeError>
where
    B: Assemble,
    M: FnOnce(RuntimeHandleOf<B::Assembly>) -> F,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    run_spawned(builder, |handle| handle.spawn_stealable(entry(handle.clone()))).await
}

/// As [`run_with`], for a future that need not be `Send` and stays on this shard.
///
/// # Errors
///
/// As [`run`], and [`InvalidShard`](RuntimeError::InvalidShard).
pub async fn run_local_on<B, M, F>(
    builder: B,
    shard: impl Into<ShardId>,
    entry: M,
) -> Result<F::Output, RuntimeError>
where
    B: Assemble,
    M: FnOnce(ShardCtx) -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    run_spawned(builder, |handle| handle.spawn_local_on(shard, entry)).await
}

async fn run_spawned<B: Assemble, T>(
    builder: B,
    spawn: impl FnOnce(&RuntimeHandleOf<B::Assembly>) -> Result<JoinHandle<T>, RuntimeError>,
) -> Result<T, RuntimeError> {
    let mut runtime = builder.assemble()?;
    let output = match spawn(&runtime.handle()) {
        Ok(task) => task.await.map_err(RuntimeError::from),
        Err(error) => Err(error),
    };
    // What is left of the runtime is nobody's concern here; the report counts it.
    drop(runtime.shutdown().await);
    output
}

/// What the attributes `main` and `test` expand to: builds, runs and shuts down, blocking.
///
/// # Panics
///
/// If the runtime cannot start or the task panics: there is nobody else to tell.
#[doc(hidden)]
#[track_caller]
pub fn run_main<B, M, F>(builder: B, entry: M) -> F::Output
where
    B: Assemble,
    M: FnOnce(RuntimeHandleOf<B::Assembly>) -> F,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match block_on(run_with(builder, entry)) {
        Ok(output) => output,
        Err(RuntimeError::Join(error)) => match error.try_into_panic() {
            Ok(payload) => std::panic::resume_unwind(payload),
            Err(error) => panic!("{error}"),
        },
        Err(error) => panic!("the runtime could not start: {error}"),
    }
}
