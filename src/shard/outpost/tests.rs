//! Shards that are gone, as those see them who still have something for them.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use crate::assembly::Native;
use crate::id::ShardId;
use crate::options::Options;
use crate::placement::LeastLoaded;
use crate::primitive::{Arc, Mutex, lock};
use crate::shard::{Core, LocalOf, Outpost};
use crate::task::{self, Home, JoinHandle};

const SHARD: ShardId = ShardId::new(0);

fn outpost() -> (Arc<Outpost<Native>>, Vec<LocalOf<Native>>) {
    let options = Options { shards: Some(2), ..Options::default() };
    let (core, locals) = Core::<Native>::new(options, LeastLoaded::default());
    (Arc::new(Outpost::new(Arc::new(core), SHARD)), locals)
}

fn spawn<F>(outpost: &Arc<Outpost<Native>>, future: F) -> (task::Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let home = Home { shard: SHARD, pinned: false, confined: false, local: false };
    let Ok(spawned) = task::spawn(outpost, home, future) else { panic!("there is room") };
    spawned
}

fn is_canceled<T>(handle: JoinHandle<T>) -> bool {
    let mut handle = pin!(handle);
    match handle.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(error)) => error.is_canceled(),
        Poll::Ready(Ok(_)) | Poll::Pending => false,
    }
}

#[test]
fn a_task_that_is_queued_at_a_shard_that_is_gone_ends() {
    let (outpost, _locals) = outpost();
    let (runnable, handle) = spawn(&outpost, pending::<()>());
    outpost.core().public(SHARD).gate.close();
    outpost.inject(runnable);
    assert!(is_canceled(handle));
    assert_eq!(outpost.core().live_tasks(), 0);
}

#[test]
fn a_task_that_is_woken_when_its_shard_is_gone_ends() {
    let (outpost, _locals) = outpost();
    let stored = Arc::new(Mutex::new(None::<Waker>));
    let waits = Arc::clone(&stored);
    let future = std::future::poll_fn(move |cx| {
        *lock(&waits) = Some(cx.waker().clone());
        Poll::<()>::Pending
    });
    let (runnable, handle) = spawn(&outpost, future);
    runnable.run();
    outpost.core().public(SHARD).gate.close();
    let waker = lock(&stored).take().expect("the task waits");
    waker.wake();
    assert!(is_canceled(handle));
}

/// Wakes the next when it is dropped.
struct Chain {
    next: Option<Waker>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        if let Some(next) = self.next.take() {
            next.wake();
        }
    }
}

#[test]
fn tasks_that_wake_each_other_as_they_end_do_not_pile_up_on_the_stack() {
    const TASKS: usize = 100_000;
    let (outpost, _locals) = outpost();
    let dropped = Arc::<AtomicUsize>::default();
    let mut next = None;
    let mut handles = Vec::new();
    for _ in 0..TASKS {
        let chain = Chain { next: next.take(), dropped: Arc::clone(&dropped) };
        let stored = Arc::new(Mutex::new(None::<Waker>));
        let waits = Arc::clone(&stored);
        let (runnable, handle) = spawn(&outpost, async move {
            let _chain = chain;
            std::future::poll_fn(move |cx| {
                *lock(&waits) = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
            .await;
        });
        runnable.run();
        next = lock(&stored).take();
        handles.push(handle);
    }
    outpost.core().public(SHARD).gate.close();
    next.expect("the last task waits").wake();
    assert_eq!(dropped.load(Ordering::Relaxed), TASKS);
    assert!(handles.into_iter().all(is_canceled));
}

#[test]
fn a_task_at_a_shard_that_is_there_stays_in_its_queue() {
    let (outpost, _locals) = outpost();
    let (runnable, handle) = spawn(&outpost, pending::<()>());
    outpost.core().public(ShardId::new(1)).gate.close();
    outpost.inject(runnable);
    let mut handle = pin!(handle);
    assert!(handle.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(outpost.core().live_tasks(), 1);
}
