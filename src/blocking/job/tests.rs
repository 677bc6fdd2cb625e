//! Jobs and the pool without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Offload, clear_up, give, job};
use crate::blocking::pool::{Pool, Refused};
use crate::options::BlockingOptions;
use crate::primitive::Arc;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let began = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no answer");
        thread::park_timeout(Duration::from_secs(1));
    }
}

fn pool(max_threads: usize, max_waiting: usize) -> Pool {
    let keep_alive = Duration::from_secs(600);
    Pool::new(BlockingOptions { max_threads, max_waiting, keep_alive })
}

/// A job that is at work until its sender is dropped.
fn occupy(pool: &Pool) -> (mpsc::Sender<()>, Offload<()>) {
    let (end, ended) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let job = give(pool, move |_| {
        begun.send(()).unwrap();
        ended.recv().unwrap_err();
    });
    begins.recv().unwrap();
    (end, job)
}

#[test]
fn work_is_done_elsewhere_and_its_panic_comes_back() {
    let pool = pool(2, 10);
    let here = thread::current().id();
    assert_ne!(wait(give(&pool, |_| thread::current().id())).unwrap(), here);
    let panics = std::panic::catch_unwind(|| wait(give(&pool, |_| panic!("on purpose"))));
    assert_eq!(*panics.unwrap_err().downcast::<&str>().unwrap(), "on purpose");
    assert_eq!(wait(give(&pool, |_| 7)).unwrap(), 7, "the pool goes on");
}

#[test]
fn jobs_that_wait_for_each_other_all_run() {
    let pool = pool(8, 10);
    // Each waits for the next to have begun, so all must run at the same time.
    let mut jobs = Vec::new();
    let (first, mut previous) = mpsc::channel::<()>();
    for _ in 0..8 {
        let (begun, next) = mpsc::channel::<()>();
        let before = std::mem::replace(&mut previous, next);
        jobs.push(give(&pool, move |_| {
            drop(begun);
            // The end of the other side is the message.
            before.recv().unwrap_err();
        }));
    }
    drop(first);
    for job in jobs {
        wait(job).unwrap();
    }
}

#[test]
fn work_that_no_thread_gets_to_is_an_error() {
    let (job, answer) = job(|_| 7);
    drop(job);
    let error = wait(answer).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn work_that_nobody_waits_for_is_not_begun() {
    let (job, answer) = job::<(), _>(|_| unreachable!("nobody waits"));
    drop(answer);
    job();
}

#[test]
fn work_that_has_begun_is_told_that_nobody_waits() {
    let pool = pool(1, 10);
    let (begun, begins) = mpsc::channel();
    let (told, tells) = mpsc::channel();
    let answer = give(&pool, move |flag| {
        begun.send(()).unwrap();
        while !flag.is_canceled() {
            thread::yield_now();
        }
        told.send(()).unwrap();
    });
    begins.recv().unwrap();
    drop(answer);
    tells.recv_timeout(Duration::from_secs(30)).unwrap();
}

#[test]
fn at_its_limits_the_pool_waits_and_then_refuses() {
    let pool = pool(1, 2);
    let (end, busy) = occupy(&pool);
    let waiting = [give(&pool, |_| 1), give(&pool, |_| 2)];
    let stats = pool.stats();
    assert_eq!((stats.threads, stats.busy, stats.waiting), (1, 1, 2));
    let error = wait(give(&pool, |_| 3)).unwrap_err();
    assert!(error.to_string().contains("the limit of 2 jobs"), "{error}");
    drop(end);
    wait(busy).unwrap();
    assert_eq!(waiting.map(|job| wait(job).unwrap()), [1, 2]);
    let stats = pool.stats();
    assert_eq!((stats.taken, stats.refused, stats.waiting), (3, 1, 0));
}

#[test]
fn a_closed_pool_does_what_waits_and_ends() {
    let pool = pool(1, 10);
    let (end, busy) = occupy(&pool);
    let waiting = give(&pool, |_| 5);
    pool.close();
    let (job, _answer) = job(|_| ());
    assert!(matches!(pool.enqueue(job), Err(Refused::Closed)));
    assert_eq!(pool.block_until(Some(Instant::now())), 1, "one is at work");
    // Refused, so it is done here.
    let (cleared, clears) = mpsc::channel();
    clear_up(&pool, move || cleared.send(thread::current().id()).unwrap());
    assert_eq!(clears.recv().unwrap(), thread::current().id());
    drop(end);
    wait(pool.ended());
    wait(busy).unwrap();
    assert_eq!(wait(waiting).unwrap(), 5);
    assert_eq!(pool.block_until(None), 0);
    assert_eq!(pool.stats().threads, 0);
}

#[test]
fn a_thread_does_not_wait_for_its_own_end() {
    let pool = Arc::new(pool(2, 10));
    let own = Arc::clone(&pool);
    let answer = give(&pool, move |_| {
        own.close();
        wait(own.ended());
        own.block_until(None)
    });
    assert_eq!(wait(answer).unwrap(), 0);
    assert_eq!(pool.block_until(None), 0);
}

#[test]
fn threads_without_work_end_after_a_while() {
    let pool =
        Pool::new(BlockingOptions { max_threads: 2, max_waiting: 2, keep_alive: Duration::ZERO });
    wait(give(&pool, |_| ())).unwrap();
    let began = Instant::now();
    while pool.stats().threads > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "the thread stays");
        thread::yield_now();
    }
    wait(give(&pool, |_| ())).unwrap();
}

#[test]
fn what_work_leaves_may_panic_when_it_is_dropped() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let pool = pool(1, 10);
    let (end, busy) = occupy(&pool);
    let bad = Bad;
    drop(give(&pool, move |_| drop(bad)));
    drop(end);
    wait(busy).unwrap();
    assert_eq!(wait(give(&pool, |_| 1)).unwrap(), 1, "the thread goes on");
}
