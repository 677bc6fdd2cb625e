//! The runtimes under comparison, both with two workers, and the way into a task of each.

use std::future::Future;

use tokio::runtime::Builder as TokioBuilder;
use tokio::runtime::Runtime as Tokio;

use spargio::{Assembly, Runtime, RuntimeOf, ShardCtx};

/// How many workers or shards each runtime has.
pub(crate) const WORKERS: usize = 2;

/// A spargio runtime with default settings.
pub(super) fn spargio() -> Runtime {
    Runtime::builder().shards(WORKERS).build().expect("io_uring is available")
}

/// A tokio runtime of several threads.
pub(super) fn tokio() -> Tokio {
    let mut builder = TokioBuilder::new_multi_thread();
    builder.worker_threads(WORKERS).enable_all().build().expect("threads can be made")
}

/// A tokio runtime that runs on the thread which blocks on it.
pub(super) fn tokio_of_one_thread() -> Tokio {
    TokioBuilder::new_current_thread().enable_all().build().expect("an epoll can be made")
}

/// Runs a future as a stealable task.
pub(super) fn inside_spargio<A, F>(runtime: &RuntimeOf<A>, future: F) -> F::Output
where
    A: Assembly,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let task = runtime.handle().spawn_stealable(future).expect("the runtime is open");
    runtime.block_on(task).expect("the task returns")
}

/// Runs a future that is not `Send` as a task of shard 0.
pub(super) fn inside_shard<M, F>(runtime: &Runtime, make: M) -> F::Output
where
    M: FnOnce(ShardCtx) -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let task = runtime.handle().spawn_local_on(0, make).expect("the runtime is open");
    runtime.block_on(task).expect("the task returns")
}

/// Runs a future as a task of a worker.
pub(super) fn inside_tokio<F>(runtime: &Tokio, future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime.block_on(runtime.spawn(future)).expect("the task returns")
}

/// Runs one task on shard 0 and one on shard 1.
pub(super) fn on_both<N, F, Near, Far>(runtime: &Runtime, near: N, far: F)
where
    N: FnOnce(ShardCtx) -> Near + Send + 'static,
    F: FnOnce(ShardCtx) -> Far + Send + 'static,
    Near: Future<Output = ()> + 'static,
    Far: Future<Output = ()> + 'static,
{
    let handle = runtime.handle();
    let far = handle.spawn_local_on(1, far).expect("the runtime is open");
    let near = handle.spawn_local_on(0, near).expect("the runtime is open");
    runtime.block_on(async {
        near.await.expect("the task returns");
        far.await.expect("the task returns");
    });
}
