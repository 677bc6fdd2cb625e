//! Threads for what blocks.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use spargio::net::{AsyncFd, lookup_host};
use spargio::{JoinHandle, Runtime};

use crate::blocking::work_beyond_the_limit_is_refused_and_not_begun;
use crate::support::{alone, elsewhere, wait_until, watched};

const CALLS: usize = 10_000;

/// The most threads that this process had at the same time while the body ran.
fn most_threads(body: impl FnOnce()) -> usize {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut most = 0;
            while !stop.load(Ordering::Relaxed) {
                most = most.max(fs::read_dir("/proc/self/task").unwrap().count());
                // The pace of looking.
                thread::sleep(Duration::from_millis(1));
            }
            most
        });
        body();
        stop.store(true, Ordering::Relaxed);
        sampler.join().unwrap()
    })
}

fn join_all<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    tasks.into_iter().map(|task| elsewhere(task).unwrap()).collect()
}

/// Jobs that all wait for the same gate: as many as there are threads are at work, all others wait.
fn blocking_calls(runtime: &Runtime) {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let job = |number: usize| {
        let gate = Arc::clone(&gate);
        let wait = move || {
            let closed = |open: &mut bool| !*open;
            drop(gate.1.wait_while(gate.0.lock().unwrap(), closed).unwrap());
            number
        };
        runtime.handle().spawn_blocking(wait).unwrap()
    };
    let jobs: Vec<_> = (0..CALLS).map(job).collect();
    let stats = || runtime.stats_snapshot().blocking;
    wait_until("all threads are at work", || (stats().busy, stats().waiting) == (64, CALLS - 64));
    assert_eq!(stats().threads, 64, "that is the limit");
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert!(join_all(jobs).into_iter().eq(0..CALLS));
}

fn metadata_calls(runtime: &Runtime) {
    let call = |_| {
        let call = async { spargio::fs::metadata("/proc/self/status").await.unwrap().is_file() };
        runtime.handle().spawn_stealable(call).unwrap()
    };
    assert!(join_all((0..CALLS).map(call).collect()).into_iter().all(|is_file| is_file));
}

/// As many as the desk takes, then more at once than it takes.
fn lookups(runtime: &Runtime) {
    const AT_ONCE: usize = 500;
    let look_up = || async { lookup_host("localhost:80").await.map(drop) };
    let spawn = |_| runtime.handle().spawn_stealable(look_up()).unwrap();
    for _ in 0..CALLS / AT_ONCE {
        join_all((0..AT_ONCE).map(spawn).collect()).into_iter().for_each(Result::unwrap);
    }
    let (found, refused): (Vec<_>, Vec<_>) =
        join_all((0..CALLS).map(spawn).collect()).into_iter().partition(Result::is_ok);
    assert!(found.len() >= 1_024, "{} were found", found.len());
    for refused in refused {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(error.to_string().contains("1024"), "{error}");
    }
}

fn waits(runtime: &Runtime) {
    const PIPES: usize = 100;
    let pipe = |_| {
        let (reader, writer) = io::pipe().unwrap();
        (Arc::new(AsyncFd::new_on(&runtime.handle(), OwnedFd::from(reader)).unwrap()), writer)
    };
    let (readers, writers): (Vec<_>, Vec<_>) = (0..PIPES).map(pipe).unzip();
    let wait = |number: usize| {
        let reader = Arc::clone(&readers[number % PIPES]);
        let wait = async move { reader.readable().await.map(drop).unwrap() };
        runtime.handle().spawn_stealable(wait).unwrap()
    };
    let waits: Vec<_> = (0..CALLS).map(wait).collect();
    let in_flight = || runtime.stats_snapshot().total().in_flight;
    wait_until("all wait", || in_flight() >= PIPES as u64);
    // The end of a pipe can be read.
    drop(writers);
    join_all(waits);
}

/// 10,000 blocking calls, metadata calls, lookups of names and waits for descriptors each use a
/// bounded number of threads, and what is beyond a limit is refused.
#[test]
fn c22_no_thread_per_call() {
    alone("checklist::pools::c22_no_thread_per_call", || {
        watched(|watch| {
            let runtime = watch.build(Runtime::builder().shards(2));
            let most = most_threads(|| {
                blocking_calls(&runtime);
                metadata_calls(&runtime);
                lookups(&runtime);
                waits(&runtime);
            });
            // 64 of the pool; 8 that look up names, and as many that are just ending; of the kernel
            // for each ring 16 for files and 64 for everything else; and a few of ours.
            let limit = 64 + 2 * 8 + 2 * (16 + 64) + 10;
            assert!(most <= limit, "{most} threads, and {limit} is the limit");
        });
    });
    work_beyond_the_limit_is_refused_and_not_begun();
}
