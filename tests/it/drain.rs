//! A runtime that comes to an end in steps: what is told, what may still begin, what is dropped.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use spargio::{Runtime, RuntimeError, TaskPlacement};

use crate::support::wait_until;

const LONG: Duration = Duration::from_secs(30);

fn runtime(shards: usize) -> Runtime {
    Runtime::builder().shards(shards).build().unwrap()
}

#[test]
fn tasks_that_are_told_end_by_themselves() {
    let runtime = runtime(2);
    let handle = runtime.handle();
    let (said, says) = mpsc::channel();
    for number in 0..10 {
        let (stop, said) = (handle.shutdown_token(), said.clone());
        let task = async move {
            stop.cancelled().await;
            // What takes a while is waited for.
            spargio::sleep(Duration::from_millis(5)).await;
            said.send(number).unwrap();
        };
        drop(handle.spawn_with_placement(TaskPlacement::RoundRobin, task).unwrap());
    }
    drop(said);
    assert!(!handle.shutdown_token().is_canceled());
    let report = runtime.shutdown_graceful(LONG, LONG);
    assert_eq!((report.tasks_finished, report.tasks_dropped), (10, 0), "{report}");
    let mut all: Vec<i32> = says.iter().collect();
    all.sort_unstable();
    assert_eq!(all, Vec::from_iter(0..10));
    assert!(handle.shutdown_token().is_canceled(), "also for who asks later");
}

#[test]
fn what_is_drained_takes_tasks_from_tasks_only() {
    let runtime = runtime(2);
    let handle = runtime.handle();
    let stop = handle.shutdown_token();
    let (told, tells) = mpsc::channel();
    let (tried, tries) = mpsc::channel::<()>();
    let inside = handle.clone();
    let task = async move {
        stop.cancelled().await;
        told.send(()).unwrap();
        // The thread outside has tried by then.
        tries.recv().unwrap();
        let here = spargio::spawn(async { 1 }).unwrap();
        let there = inside.spawn_pinned(1, async { 2 }).unwrap();
        here.await.unwrap() + there.await.unwrap()
    };
    let task = handle.spawn_pinned(0, task).unwrap();
    let ending = thread::spawn(move || runtime.shutdown_graceful(LONG, LONG));
    tells.recv().unwrap();
    assert!(matches!(handle.spawn_stealable(async {}), Err(RuntimeError::Closed)));
    assert!(matches!(handle.spawn_blocking(|| ()), Err(RuntimeError::Closed)));
    tried.send(()).unwrap();
    let report = ending.join().unwrap();
    assert_eq!((report.tasks_finished, report.tasks_dropped), (3, 0), "{report}");
    assert_eq!(handle.block_on(task).unwrap(), 3);
}

#[test]
fn tasks_that_do_not_end_are_dropped_when_the_time_is_over() {
    let runtime = runtime(1);
    let handle = runtime.handle();
    let ended = handle.spawn_stealable(async {}).unwrap();
    let deaf = handle.spawn_stealable(std::future::pending::<()>()).unwrap();
    runtime.block_on(ended).unwrap();
    let report = runtime.shutdown_graceful(Duration::from_millis(20), LONG);
    assert_eq!((report.tasks_finished, report.tasks_dropped), (1, 1), "{report}");
    assert!(handle.block_on(deaf).unwrap_err().to_string().contains("cancel"));
}

#[test]
fn an_end_that_a_shard_asks_for_itself_does_not_wait() {
    let runtime = runtime(1);
    let handle = runtime.handle();
    let (done, dones) = mpsc::channel();
    let task = async move {
        let report = runtime.shutdown_graceful(LONG, LONG);
        done.send(report.shards_panicked).unwrap();
    };
    drop(handle.spawn_stealable(task).unwrap());
    assert_eq!(dones.recv_timeout(LONG).unwrap(), 0);
    wait_until("the runtime is closed", || {
        matches!(handle.spawn_stealable(async {}), Err(RuntimeError::Closed))
    });
}

#[test]
fn every_end_cancels_the_token() {
    let first = runtime(1);
    let token = first.handle().shutdown_token();
    drop(first);
    assert!(token.is_canceled());
    let second = runtime(1);
    let token = second.handle().shutdown_token();
    // A copy is a copy: the runtime goes on.
    token.cancel();
    assert!(!second.handle().shutdown_token().is_canceled());
    let token = second.handle().shutdown_token();
    second.shutdown_timeout(LONG);
    assert!(token.is_canceled());
}
