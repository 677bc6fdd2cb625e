//! Tokens between tasks, shards and executors.

use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use spargio::{CancellationToken, Runtime, RuntimeError};

use crate::support::{Event, elsewhere, receive, watched, yield_now};

/// Counts its wakes.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn every_task_that_waits_is_told_on_every_shard() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let token = CancellationToken::new();
        let (begin, begun) = mpsc::channel();
        let tasks: Vec<_> = (0..1_000_u16)
            .map(|number| {
                let (token, begin) = (token.clone(), begin.clone());
                let task = async move {
                    begin.send(()).unwrap();
                    token.cancelled().await;
                    assert!(token.is_canceled());
                };
                runtime.spawn_on(number % 2, task).unwrap()
            })
            .collect();
        for _ in &tasks {
            receive(&begun, "the tasks begin");
        }
        token.cancel();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn a_token_works_on_executors_that_know_nothing_of_shards() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let token = CancellationToken::new();
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let on_tokio = tokio.spawn(token.clone().cancelled_owned());
        let waits = token.clone();
        let on_a_thread = thread::spawn(move || elsewhere(waits.cancelled()));
        // Canceled on a shard.
        let cancels = token.clone();
        runtime.block_on(runtime.spawn_on(0, async move { cancels.cancel() }).unwrap()).unwrap();
        tokio.block_on(on_tokio).unwrap();
        on_a_thread.join().unwrap();
        // Canceled on tokio.
        let token = CancellationToken::new();
        let waits = runtime.spawn_on(0, token.clone().cancelled_owned()).unwrap();
        tokio.spawn(async move { token.cancel() });
        runtime.block_on(waits).unwrap();
    });
}

#[test]
fn a_canceled_token_is_ready_at_once_and_stays_so() {
    let token = CancellationToken::default();
    assert!(!token.is_canceled());
    token.cancel();
    token.cancel();
    let mut future = token.cancelled();
    assert!(poll(&mut future).is_ready() && poll(&mut future).is_ready());
    assert!(poll(&mut token.clone().cancelled_owned()).is_ready());
}

#[test]
fn a_future_that_was_dropped_is_not_woken() {
    let token = CancellationToken::new();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut futures: Vec<_> = (0..3).map(|_| token.cancelled()).collect();
    for future in &mut futures[..2] {
        assert!(Pin::new(future).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    // One that waits, and one that was never polled.
    drop(futures.remove(0));
    futures.pop();
    assert_eq!(Arc::strong_count(&bell), 3, "the waker was given back");
    token.cancel();
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
}

#[test]
fn children_follow_their_parent_and_not_the_other_way() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let below = left.child_token();
    left.cancel();
    assert!(below.is_canceled() && !root.is_canceled() && !right.is_canceled());
    drop(left);
    root.cancel();
    assert!(right.is_canceled() && root.child_token().is_canceled());
}

#[test]
fn what_runs_until_cancelled_prefers_its_output() {
    let token = CancellationToken::new();
    assert_eq!(elsewhere(token.run_until_cancelled(ready(1))), Some(1));
    let mut waits = token.run_until_cancelled(pending::<()>());
    assert!(poll(&mut waits).is_pending());
    token.cancel();
    assert_eq!(poll(&mut waits), Poll::Ready(None));
    assert_eq!(elsewhere(token.run_until_cancelled(ready(2))), Some(2), "both are ready");
    assert_eq!(elsewhere(token.run_until_cancelled(pending::<()>())), None);
}

#[test]
fn what_runs_until_cancelled_is_dropped_with_its_result() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let token = CancellationToken::new();
        let held = Arc::new(());
        let (holds, waits, begins) = (Arc::clone(&held), token.clone(), Event::default());
        let begun = begins.clone();
        let task = async move {
            let work = async move {
                begins.set();
                pending::<()>().await;
                drop(holds);
            };
            waits.run_until_cancelled(work).await
        };
        let task = runtime.spawn_on(0, task).unwrap();
        elsewhere(begun.wait());
        assert_eq!(Arc::strong_count(&held), 2);
        token.cancel();
        assert_eq!(runtime.block_on(task).unwrap(), None);
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    let token = token.drop_guard().disarm();
    assert!(!token.is_canceled());
    let guarded = token.clone();
    let panics = thread::spawn(move || {
        let _guard = guarded.drop_guard();
        panic!("the holder of a guard panics on purpose");
    });
    panics.join().unwrap_err();
    assert!(token.is_canceled());
}

#[test]
fn tokens_that_are_made_and_canceled_everywhere_at_once_tell_everybody() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        for round in 0..50_u16 {
            let root = CancellationToken::new();
            let tasks: Vec<_> = (0..100_u16)
                .map(|number| {
                    let parent = root.clone();
                    let task = async move {
                        let child = parent.child_token();
                        drop(parent);
                        let below = child.child_token();
                        if number % 3 == 0 {
                            yield_now().await;
                            drop(child);
                        } else if number % 3 == 1 {
                            child.cancel();
                        }
                        below.cancelled().await;
                    };
                    runtime.spawn_on(number % 2, task).unwrap()
                })
                .collect();
            if round % 2 == 0 {
                thread::yield_now();
            }
            root.cancel();
            runtime.block_on(async {
                for task in tasks {
                    task.await.unwrap();
                }
            });
        }
    });
}

#[test]
fn a_task_that_waits_for_a_token_may_be_stolen() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let token = CancellationToken::new();
        let counted = Arc::new(AtomicUsize::new(0));
        let tasks: Result<Vec<_>, RuntimeError> = (0..500)
            .map(|_| {
                let (token, counted) = (token.clone(), Arc::clone(&counted));
                runtime.handle().spawn_stealable(async move {
                    let mut cancelled = token.cancelled();
                    // Polled here and there, each time with the wakers of where it is.
                    for _ in 0..10 {
                        assert!(poll(&mut cancelled).is_pending());
                        yield_now().await;
                    }
                    counted.fetch_add(1, Ordering::Relaxed);
                    cancelled.await;
                })
            })
            .collect();
        while counted.load(Ordering::Relaxed) < 500 {
            thread::yield_now();
        }
        token.cancel();
        runtime.block_on(async {
            for task in tasks.unwrap() {
                task.await.unwrap();
            }
        });
    });
}
