//! Every interleaving of who wakes, runs, aborts, joins and ends a task.
//!
//! Loom checks each access to the future, the output, the links and the waker slot, and that all
//! memory is freed: what a task keeps is counted in [`Toy`].

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use super::registry::{Refusal, Registry};
use super::{Home, JoinHandle, Runnable, RuntimeId, Scheduler, spawn};
use crate::error::JoinError;
use crate::id::ShardId;
use crate::primitive::{Mutex, lock};

mod arrivals;
mod local;
mod registry;

const HERE: Home = Home { shard: ShardId::new(0), pinned: false, confined: false, local: false };

/// A runtime whose queue anybody takes from.
#[derive(Debug)]
struct Toy {
    registry: Registry,
    queue: Mutex<VecDeque<Runnable>>,
}

/// What a task keeps of the toy. Each has its own: an `Arc` of loom's cannot become one of a trait
/// object unless it is new.
#[derive(Debug)]
struct Way(StdArc<Toy>);

// SAFETY:
// - 1: the registry lies in the toy, which this keeps.
unsafe impl Scheduler for Way {
    fn runtime(&self) -> RuntimeId {
        RuntimeId(1)
    }

    fn registry(&self) -> &Registry {
        &self.0.registry
    }

    fn schedule(&self, runnable: Runnable) {
        self.0.push(runnable);
    }
}

impl Toy {
    fn new() -> StdArc<Self> {
        StdArc::new(Self { registry: Registry::new(4), queue: Mutex::new(VecDeque::new()) })
    }

    fn spawn<F>(self: &StdArc<Self>, future: F) -> Result<JoinHandle<F::Output>, Refusal>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let owner = StdArc::new(Way(StdArc::clone(self)));
        let owner = Arc::from_std(owner as StdArc<dyn Scheduler>);
        let (runnable, handle) = spawn(owner, HERE, future).map_err(|(refusal, _)| refusal)?;
        self.push(runnable);
        Ok(handle)
    }

    fn push(&self, runnable: Runnable) {
        lock(&self.queue).push_back(runnable);
    }

    fn pop(&self) -> Option<Runnable> {
        lock(&self.queue).pop_front()
    }

    fn run(&self) {
        while let Some(runnable) = self.pop() {
            runnable.run();
        }
    }

    /// Nothing is alive, and no task's memory is left.
    fn assert_empty(self: &StdArc<Self>) {
        assert!(self.pop().is_none());
        assert_eq!(self.registry.len(), 0);
        assert_eq!(StdArc::strong_count(self), 1, "the memory of a task is left");
    }
}

/// Two or three threads take minutes without a bound; the known races need one or two preemptions.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Ready once enough has come; wakes itself in the first polls if told to. It counts its polls in a
/// cell that loom watches.
struct Gate {
    open: Arc<AtomicUsize>,
    wanted: usize,
    self_wakes: usize,
    polls: loom::cell::UnsafeCell<usize>,
}

// SAFETY: the cell is touched by `poll`, which has the gate to itself.
unsafe impl Send for Gate {}

impl Gate {
    fn new(open: &Arc<AtomicUsize>, wanted: usize) -> Self {
        Self {
            open: Arc::clone(open),
            wanted,
            self_wakes: 0,
            polls: loom::cell::UnsafeCell::new(0),
        }
    }
}

impl Future for Gate {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        // SAFETY: `poll` has the gate to itself.
        self.polls.with_mut(|polls| unsafe { *polls += 1 });
        // Relaxed: a wake must make what came before it visible without the task's help.
        if self.open.load(Ordering::Relaxed) >= self.wanted {
            // SAFETY: the same.
            return Poll::Ready(self.polls.with(|polls| unsafe { *polls }));
        }
        if self.self_wakes > 0 {
            self.self_wakes -= 1;
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Leaves a waker of the task behind, then does as the gate.
struct Leaving {
    gate: Gate,
    slot: Arc<Mutex<Option<Waker>>>,
}

impl Future for Leaving {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        lock(&self.slot).get_or_insert_with(|| cx.waker().clone());
        Pin::new(&mut self.gate).poll(cx)
    }
}

struct Fixture {
    toy: StdArc<Toy>,
    open: Arc<AtomicUsize>,
    handle: JoinHandle<usize>,
    waker: Waker,
}

/// A task that has been polled once: it rests, or is queued because it woke itself.
fn polled_once(wanted: usize, self_wakes: usize) -> Fixture {
    let toy = Toy::new();
    let open = Arc::new(AtomicUsize::new(0));
    let slot = Arc::new(Mutex::new(None));
    let mut gate = Gate::new(&open, wanted);
    gate.self_wakes = self_wakes;
    let handle = toy.spawn(Leaving { gate, slot: Arc::clone(&slot) }).expect("there is room");
    toy.pop().expect("it was queued").run();
    let waker = lock(&slot).take().expect("it was polled");
    // The future keeps its own handle on the slot; it must not clone into it again.
    lock(&slot).replace(Waker::noop().clone());
    Fixture { toy, open, handle, waker }
}

fn open_and_wake(open: &AtomicUsize, waker: Waker) {
    open.fetch_add(1, Ordering::Relaxed);
    waker.wake();
}

fn join<T>(mut handle: JoinHandle<T>) -> Option<Result<T, JoinError>> {
    match Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn is_canceled<T>(output: Option<Result<T, JoinError>>) -> bool {
    matches!(output, Some(Err(JoinError::Canceled)))
}

#[test]
fn loom_task_a_wake_against_the_end_of_a_run_is_not_lost() {
    bounded(3, || {
        let Fixture { toy, open, handle, waker } = polled_once(2, 0);
        // The first wake makes the runnable, the second falls into its run.
        open_and_wake(&open, waker.clone());
        let other = thread::spawn({
            let open = Arc::clone(&open);
            move || open_and_wake(&open, waker)
        });
        toy.run();
        other.join().unwrap();
        toy.run();
        assert!(join(handle).expect("it has ended").is_ok());
        toy.assert_empty();
    });
}

#[test]
fn loom_task_a_self_wake_against_a_foreign_wake_loses_neither() {
    bounded(3, || {
        let Fixture { toy, open, handle, waker } = polled_once(1, 2);
        let other = thread::spawn({
            let open = Arc::clone(&open);
            move || open_and_wake(&open, waker)
        });
        toy.run();
        other.join().unwrap();
        toy.run();
        assert!(join(handle).expect("it has ended").is_ok());
        toy.assert_empty();
    });
}

#[test]
fn loom_task_a_task_that_yields_moves_between_threads_with_what_it_wrote() {
    bounded(2, || {
        let Fixture { toy, open, handle, waker } = polled_once(1, 1);
        let other = thread::spawn({
            let toy = StdArc::clone(&toy);
            move || toy.run()
        });
        open_and_wake(&open, waker);
        toy.run();
        other.join().unwrap();
        toy.run();
        assert!(join(handle).expect("it has ended").is_ok());
        toy.assert_empty();
    });
}

#[test]
fn loom_task_two_foreign_wakes_make_one_runnable() {
    bounded(3, || {
        let Fixture { toy, open, handle, waker } = polled_once(2, 0);
        let wakers = [waker.clone(), waker].map(|waker| {
            let open = Arc::clone(&open);
            thread::spawn(move || open_and_wake(&open, waker))
        });
        for waker in wakers {
            waker.join().unwrap();
        }
        let runnable = toy.pop().expect("it was woken");
        assert!(toy.pop().is_none());
        runnable.run();
        assert!(join(handle).expect("it has ended").is_ok());
        toy.assert_empty();
    });
}

#[test]
fn loom_task_an_abort_against_the_end_of_a_task_leaves_output_or_cancels() {
    bounded(3, || {
        let Fixture { toy, open, handle, waker } = polled_once(1, 0);
        open_and_wake(&open, waker);
        let aborter = handle.abort_handle().expect("the output was not taken");
        let other = thread::spawn(move || {
            aborter.abort();
            aborter.is_finished()
        });
        toy.run();
        let _ = other.join().unwrap();
        toy.run();
        assert!(!matches!(join(handle), None | Some(Err(JoinError::Panicked(_)))));
        toy.assert_empty();
    });
}

#[test]
fn loom_task_an_abort_against_a_wake_ends_the_task_once() {
    bounded(3, || {
        // It never has enough, so only the abort ends it.
        let Fixture { toy, open, handle, waker } = polled_once(2, 0);
        let aborter = handle.abort_handle().expect("the output was not taken");
        let threads = [
            thread::spawn(move || aborter.abort()),
            thread::spawn(move || open_and_wake(&open, waker)),
        ];
        toy.run();
        for thread in threads {
            thread.join().unwrap();
        }
        toy.run();
        assert!(is_canceled(join(handle)));
        toy.assert_empty();
    });
}

/// Notes that it was woken.
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: StdArc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn loom_task_a_join_against_the_end_has_the_output_or_is_woken() {
    bounded(3, || {
        let Fixture { toy, open, mut handle, waker } = polled_once(1, 0);
        open_and_wake(&open, waker);
        let joiner = thread::spawn(move || {
            let mut woken = Vec::new();
            // The second poll replaces the waker of the first.
            for _ in 0..2 {
                let bell = StdArc::new(Bell(AtomicBool::new(false)));
                let waker = Waker::from(StdArc::clone(&bell));
                if let Poll::Ready(output) =
                    Pin::new(&mut handle).poll(&mut Context::from_waker(&waker))
                {
                    assert!(output.is_ok());
                    return None;
                }
                woken.push(bell);
            }
            Some((handle, woken.pop().expect("it was polled")))
        });
        toy.run();
        if let Some((handle, bell)) = joiner.join().unwrap() {
            assert!(bell.0.load(Ordering::Relaxed), "who waits is woken");
            assert!(join(handle).expect("it has ended").is_ok());
        }
        toy.assert_empty();
    });
}

#[test]
fn loom_task_a_join_handle_dropped_against_the_end_drops_the_output_once() {
    struct Counted(StdArc<std::sync::atomic::AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    bounded(3, || {
        let drops = StdArc::new(std::sync::atomic::AtomicUsize::new(0));
        let toy = Toy::new();
        let output = Counted(StdArc::clone(&drops));
        let mut handle = toy.spawn(async move { output }).expect("there is room");
        let other = thread::spawn(move || {
            let bell = StdArc::new(Bell(AtomicBool::new(false)));
            let waker = Waker::from(StdArc::clone(&bell));
            let _ = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_ready();
            drop(handle);
            drop(waker);
            // Else whoever completed the task has it and wakes it now.
            bell
        });
        toy.run();
        let bell = other.join().unwrap();
        assert_eq!(StdArc::strong_count(&bell), 1, "the waker was dropped");
        assert_eq!(drops.load(std::sync::atomic::Ordering::Relaxed), 1);
        toy.assert_empty();
    });
}

#[test]
fn loom_task_the_last_waker_frees_the_task_wherever_it_is_dropped() {
    bounded(3, || {
        let Fixture { toy, open, handle, waker } = polled_once(1, 0);
        let second = waker.clone();
        open_and_wake(&open, waker.clone());
        let threads = [thread::spawn(move || drop(waker)), thread::spawn(move || second.wake())];
        drop(handle);
        toy.run();
        for thread in threads {
            thread.join().unwrap();
        }
        toy.run();
        toy.assert_empty();
    });
}
