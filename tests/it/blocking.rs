//! Work that blocks, given away by tasks and by threads.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use spargio::{JoinError, Runtime, RuntimeError};

use crate::support::elsewhere;

/// A job that is at work until the sender is dropped.
fn occupy(runtime: &Runtime) -> (mpsc::Sender<()>, spargio::JoinHandle<()>) {
    let (end, ended) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let work = move || {
        begun.send(()).unwrap();
        ended.recv().unwrap_err();
    };
    let job = runtime.handle().spawn_blocking(work).unwrap();
    begins.recv().unwrap();
    (end, job)
}

fn one_thread(waiting: usize) -> Runtime {
    let builder = Runtime::builder().shards(1).max_blocking_threads(1);
    builder.blocking_queue_capacity(waiting).build().unwrap()
}

#[test]
fn work_runs_on_a_thread_that_is_no_shard() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let name = || thread::current().name().map(str::to_owned);
    let from_outside = runtime.handle().spawn_blocking(name).unwrap();
    let inside = runtime.handle().spawn_stealable(async move {
        assert!(spargio::ShardCtx::current().is_some());
        spargio::spawn_blocking(name)?.await.map_err(RuntimeError::from)
    });
    let (outside, inside) =
        runtime.block_on(async { (from_outside.await.unwrap(), inside.unwrap().await.unwrap()) });
    assert_eq!(outside.as_deref(), Some("spargio-blocking"));
    assert_eq!(inside.unwrap().as_deref(), Some("spargio-blocking"));
    assert_eq!(runtime.stats_snapshot().blocking.taken, 2);
    assert_eq!(runtime.stats_snapshot().total().blocking_jobs, 0, "none was an operation");
    assert!(matches!(spargio::spawn_blocking(|| ()), Err(RuntimeError::NoRuntime)));
}

#[test]
fn a_shard_goes_on_beside_work_that_blocks() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let (end, busy) = occupy(&runtime);
    assert_eq!(
        runtime.block_on(runtime.handle().spawn_pinned(0, async { 3 }).unwrap()).unwrap(),
        3
    );
    drop(end);
    runtime.block_on(busy).unwrap();
}

#[test]
fn the_panic_of_work_is_the_error_of_its_handle() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let job = runtime.handle().spawn_blocking(|| panic!("on purpose")).unwrap();
    let error: JoinError = runtime.block_on(job).unwrap_err();
    assert!(error.to_string().contains("on purpose"), "{error}");
}

#[test]
fn aborted_work_that_has_not_begun_never_begins() {
    let runtime = one_thread(10);
    let (end, busy) = occupy(&runtime);
    let waiting = runtime.handle().spawn_blocking(|| unreachable!("it was aborted")).unwrap();
    waiting.abort();
    runtime.block_on(waiting).unwrap_err();
    drop(end);
    runtime.block_on(busy).unwrap();
    let after = runtime.handle().spawn_blocking(|| 1).unwrap();
    assert_eq!(runtime.block_on(after).unwrap(), 1);
}

#[test]
fn aborted_work_that_has_begun_is_told() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let (begun, begins) = mpsc::channel();
    let (told, tells) = mpsc::channel();
    let work = move |flag: &spargio::CancelFlag<'_>| {
        begun.send(()).unwrap();
        while !flag.is_canceled() {
            thread::yield_now();
        }
        told.send(()).unwrap();
    };
    let job = runtime.handle().spawn_blocking_with(work).unwrap();
    begins.recv().unwrap();
    job.abort();
    tells.recv_timeout(Duration::from_secs(30)).unwrap();
    runtime.block_on(job).unwrap_err();
}

#[test]
fn dropping_the_handle_lets_work_go_on() {
    let runtime = one_thread(10);
    let (end, busy) = occupy(&runtime);
    let (done, dones) = mpsc::channel();
    drop(runtime.handle().spawn_blocking(move || done.send(()).unwrap()).unwrap());
    drop((end, busy));
    dones.recv_timeout(Duration::from_secs(30)).unwrap();
}

#[test]
pub(crate) fn work_beyond_the_limit_is_refused_and_not_begun() {
    let runtime = one_thread(1);
    let (end, busy) = occupy(&runtime);
    let waiting = runtime.handle().spawn_blocking(|| 1).unwrap();
    let error = runtime.handle().spawn_blocking(|| unreachable!("refused")).unwrap_err();
    assert!(matches!(error, RuntimeError::Overloaded { limit: 1, .. }), "{error}");
    assert_eq!(error.to_string(), "the limit of 1 waiting blocking jobs is reached");
    drop(end);
    runtime.block_on(async { (busy.await.unwrap(), waiting.await.unwrap()) });
}

#[test]
fn a_shutdown_waits_for_work_tells_it_and_leaves_no_thread() {
    let mut runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    let (begun, begins) = mpsc::channel();
    let work = move |flag: &spargio::CancelFlag<'_>| {
        begun.send(()).unwrap();
        while !flag.is_canceled() {
            thread::yield_now();
        }
    };
    let job = handle.spawn_blocking_with(work).unwrap();
    begins.recv().unwrap();
    let report = elsewhere(runtime.shutdown());
    assert_eq!(report.blocking_jobs_running, 0);
    assert!(elsewhere(job).is_err());
    assert_eq!(handle.stats_snapshot().blocking.threads, 0);
    assert!(matches!(handle.spawn_blocking(|| ()), Err(RuntimeError::Closed)));
}

#[test]
fn work_that_goes_on_beyond_the_patience_is_reported() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let (end, _busy) = occupy(&runtime);
    let report = runtime.shutdown_timeout(Duration::from_millis(50));
    assert_eq!((report.blocking_jobs_running, report.shards_stuck), (1, 0), "{report}");
    assert!(report.to_string().contains("1 blocking jobs at work"), "{report}");
    drop(end);
}

#[test]
fn a_runtime_may_be_dropped_by_its_own_work() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    let (done, dones) = mpsc::channel();
    let work = move || {
        drop(runtime);
        done.send(()).unwrap();
    };
    let job = handle.spawn_blocking(work).unwrap();
    dones.recv_timeout(Duration::from_secs(30)).unwrap();
    drop(job);
}
