//! Every interleaving of a local task, whose word its thread changes without locked instructions,
//! with those who have its wakers or its abort handle elsewhere.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::registry::Shard;
use super::{StdArc, Toy, Way, bounded};
use crate::error::JoinError;
use crate::id::ShardId;
use crate::primitive::Arc;
use crate::task::{LocalJoinHandle, Scheduler, Unnamed, spawn_local, with_local_scheduler};

fn spawn<F>(toy: &StdArc<Toy>, future: F) -> LocalJoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let owner = StdArc::new(Way(StdArc::clone(toy)));
    let owner = Arc::from_std(owner as StdArc<dyn Scheduler>);
    let (runnable, handle) =
        spawn_local(owner, ShardId::new(0), Unnamed, future).expect("there is room");
    toy.push(runnable);
    handle
}

fn poll<T>(handle: &mut LocalJoinHandle<T>) -> Option<Result<T, JoinError>> {
    match Pin::new(handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn loom_task_a_local_task_is_woken_elsewhere_while_it_runs_rests_and_is_awaited() {
    bounded(3, || {
        let toy = Toy::new();
        let shard = Shard(StdArc::clone(&toy));
        with_local_scheduler(&shard, || {
            let open = Arc::new(AtomicBool::new(false));
            let mut opener = None;
            let mut handle = spawn(
                &toy,
                poll_fn({
                    let open = Arc::clone(&open);
                    move |cx| {
                        if open.load(Ordering::Acquire) {
                            return Poll::Ready(());
                        }
                        if opener.is_none() {
                            let (open, waker) = (Arc::clone(&open), cx.waker().clone());
                            opener = Some(thread::spawn(move || {
                                open.store(true, Ordering::Release);
                                waker.wake();
                            }));
                        }
                        Poll::Pending
                    }
                }),
            );
            let mut output = None;
            while output.is_none() {
                match toy.pop() {
                    Some(runnable) => runnable.run(),
                    None => thread::yield_now(),
                }
                output = poll(&mut handle);
            }
            assert!(output.is_some_and(|output| output.is_ok()));
        });
        drop(shard);
        // The waker may still be on its way down elsewhere; loom tells if it never gets there.
    });
}

#[test]
fn loom_task_a_local_task_is_aborted_elsewhere_while_it_runs_and_is_awaited() {
    bounded(3, || {
        let toy = Toy::new();
        let shard = Shard(StdArc::clone(&toy));
        with_local_scheduler(&shard, || {
            let mut handle = spawn(&toy, std::future::pending::<()>());
            let abort = handle.abort_handle().expect("it has not ended");
            let aborter = thread::spawn(move || abort.abort());
            if let Some(runnable) = toy.pop() {
                runnable.run();
            }
            assert!(!matches!(poll(&mut handle), Some(Ok(()))));
            aborter.join().unwrap();
            toy.run();
            drop(handle);
        });
        drop(shard);
        toy.assert_empty();
    });
}

#[test]
fn loom_task_a_local_handle_outlives_its_shard_beside_the_next_owner_of_the_list() {
    bounded(3, || {
        let toy = Toy::new();
        let shard = Shard(StdArc::clone(&toy));
        let mut handle = with_local_scheduler(&shard, || {
            let handle = spawn(&toy, std::future::pending::<()>());
            toy.run();
            handle
        });
        let next = thread::spawn({
            let toy = StdArc::clone(&toy);
            move || toy.registry.abort_all()
        });
        assert!(!matches!(poll(&mut handle), Some(Ok(()))));
        next.join().unwrap();
        // The task is bound to this thread, and its last run is here.
        with_local_scheduler(&shard, || toy.run());
        drop(handle);
        drop(shard);
        toy.assert_empty();
    });
}

/// The waker of a poll, lent to a thread that the poll waits for, as scoped threads are.
struct Lent(*const Waker);

// SAFETY: a waker is `Sync`.
unsafe impl Send for Lent {}

#[test]
fn loom_task_the_waker_of_a_local_task_is_cloned_here_and_elsewhere_during_a_poll() {
    bounded(3, || {
        let toy = Toy::new();
        let shard = Shard(StdArc::clone(&toy));
        with_local_scheduler(&shard, || {
            let handle = spawn(
                &toy,
                poll_fn(|cx| {
                    let lent = Lent(cx.waker());
                    let other = thread::spawn(move || {
                        let lent = lent;
                        // SAFETY: the poll that lends the waker waits for this thread.
                        unsafe { &*lent.0 }.clone()
                    });
                    let here = cx.waker().clone();
                    let there = other.join().unwrap();
                    assert!(here.will_wake(&there));
                    drop((here, there));
                    Poll::Ready(())
                }),
            );
            toy.run();
            assert!(handle.is_finished());
        });
        drop(shard);
        toy.assert_empty();
    });
}
