//! What a task does, as the runtime and the user see it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn, ready};
use std::panic;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::registry::{Refusal, Registry};
use super::{
    Home, JoinHandle, LocalJoinHandle, LocalScheduler, Runnable, RuntimeId, Scheduler, Unnamed,
    spawn, spawn_confined, spawn_local, with_local_scheduler,
};
use crate::error::JoinError;
use crate::id::ShardId;

mod arrivals;
mod ends;
mod panics;
mod threads;

/// A runtime of one thread: whoever calls `run` is its shard.
#[derive(Debug)]
struct Toy {
    registry: Registry,
    queue: Mutex<VecDeque<Runnable>>,
}

impl Toy {
    fn new() -> Arc<Self> {
        Self::with_limit(16)
    }

    fn with_limit(limit: usize) -> Arc<Self> {
        Arc::new(Self { registry: Registry::new(limit), queue: Mutex::default() })
    }

    fn scheduler(self: &Arc<Self>) -> Arc<dyn Scheduler> {
        Arc::clone(self) as Arc<dyn Scheduler>
    }

    fn spawn<F>(self: &Arc<Self>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (runnable, handle) =
            spawn(self.scheduler(), HERE, future).ok().expect("there is room for a task");
        self.schedule(runnable);
        handle
    }

    /// Runs what is queued until nothing is. How many polls that took.
    fn run(&self) -> usize {
        let mut polls = 0;
        while let Some(runnable) = self.pop() {
            runnable.run();
            polls += 1;
        }
        polls
    }

    fn pop(&self) -> Option<Runnable> {
        self.queue.lock().unwrap().pop_front()
    }

    fn queued(&self) -> usize {
        self.queue.lock().unwrap().len()
    }
}

const ME: ShardId = ShardId::new(0);
const HERE: Home = Home { shard: ME, pinned: false, confined: false, local: false };

// SAFETY:
// - 1: the registry lies in the toy, which is in an `Arc` before it spawns.
unsafe impl Scheduler for Toy {
    fn runtime(&self) -> RuntimeId {
        RuntimeId(std::ptr::from_ref(self).addr())
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn schedule(&self, runnable: Runnable) {
        self.queue.lock().unwrap().push_back(runnable);
    }
}

/// The output, if it is there.
fn join<T>(handle: &mut JoinHandle<T>) -> Option<Result<T, JoinError>> {
    match Pin::new(handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn is_canceled<T>(handle: &mut JoinHandle<T>) -> bool {
    matches!(join(handle), Some(Err(JoinError::Canceled)))
}

/// A future that is ready when somebody opened it, and hands out its waker.
#[derive(Clone, Default)]
struct Door(Arc<Mutex<(bool, Option<Waker>)>>);

impl Door {
    fn open(&self) {
        let waker = {
            let mut door = self.0.lock().unwrap();
            door.0 = true;
            door.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn waker(&self) -> Option<Waker> {
        self.0.lock().unwrap().1.clone()
    }
}

impl Future for Door {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut door = self.0.lock().unwrap();
        if door.0 {
            return Poll::Ready(());
        }
        door.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Counts how often it is dropped.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn guard(&self) -> DropGuard {
        DropGuard(Arc::clone(&self.0))
    }
}

struct DropGuard(Arc<AtomicUsize>);

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_task_runs_and_its_handle_has_the_output() {
    let toy = Toy::new();
    let mut handle = toy.spawn(async { 40 + 2 });
    assert!(!handle.is_finished());
    assert!(join(&mut handle).is_none());
    assert_eq!(toy.registry.len(), 1);
    assert_eq!(toy.run(), 1);
    assert!(handle.is_finished());
    assert_eq!(toy.registry.len(), 0);
    assert_eq!(join(&mut handle).unwrap().unwrap(), 42);
}

#[test]
fn the_end_of_a_task_wakes_who_awaits_it() {
    let toy = Toy::new();
    let door = Door::default();
    let first = toy.spawn({
        let door = door.clone();
        async move {
            door.await;
            7
        }
    });
    let mut second = toy.spawn(async { first.await.unwrap() + 1 });
    toy.run();
    assert!(join(&mut second).is_none());
    door.open();
    toy.run();
    assert_eq!(join(&mut second).unwrap().unwrap(), 8);
}

#[test]
fn tasks_have_identities_of_their_own() {
    let toy = Toy::new();
    let other = Toy::new();
    let handles = [toy.spawn(ready(())), toy.spawn(ready(())), other.spawn(ready(()))];
    let mut ids: Vec<_> = handles.iter().map(JoinHandle::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(handles[0].abort_handle().unwrap().id(), handles[0].id());
    toy.run();
    other.run();
}

#[test]
fn a_detached_task_goes_on() {
    let toy = Toy::new();
    let (door, drops) = (Door::default(), Drops::default());
    let reached = Arc::new(AtomicUsize::new(0));
    drop(toy.spawn({
        let (door, reached, guard) = (door.clone(), Arc::clone(&reached), drops.guard());
        async move {
            door.await;
            reached.store(1, Ordering::Relaxed);
            guard
        }
    }));
    toy.run();
    door.open();
    toy.run();
    assert_eq!(reached.load(Ordering::Relaxed), 1);
    assert_eq!(drops.count(), 1, "the output that nobody takes is dropped");
    assert_eq!(toy.registry.len(), 0);
}

#[test]
fn a_wake_after_the_end_does_nothing() {
    let toy = Toy::new();
    let door = Door::default();
    let mut handle = toy.spawn(door.clone());
    toy.run();
    let waker = door.waker().expect("the task waits");
    door.open();
    toy.run();
    assert!(join(&mut handle).unwrap().is_ok());
    waker.wake_by_ref();
    waker.wake();
    assert_eq!(toy.queued(), 0);
}

#[test]
fn wakes_of_a_queued_task_are_one() {
    let toy = Toy::new();
    let door = Door::default();
    let _handle = toy.spawn(door.clone());
    toy.run();
    let waker = door.waker().expect("the task waits");
    waker.wake_by_ref();
    waker.wake_by_ref();
    assert_eq!(toy.queued(), 1);
    toy.run();
    door.open();
    toy.run();
}

#[test]
fn nothing_of_a_task_is_left_after_its_end() {
    let toy = Toy::new();
    let mut handle = toy.spawn(async {});
    toy.run();
    assert!(join(&mut handle).unwrap().is_ok());
    drop(handle);
    assert_eq!(Arc::strong_count(&toy), 1, "the task's memory keeps its scheduler");
}

#[test]
fn a_full_registry_gives_the_future_back_and_has_room_again_after_an_end() {
    let toy = Toy::with_limit(2);
    let door = Door::default();
    let _first = toy.spawn(door.clone());
    let _second = toy.spawn(pending::<()>());
    let Err((refusal, future)) = spawn(toy.scheduler(), HERE, ready(5)) else {
        panic!("it is full")
    };
    assert_eq!(refusal, Refusal::Full { limit: 2 });
    assert_eq!(future.into_inner(), 5);
    toy.run();
    door.open();
    toy.run();
    assert_eq!(toy.registry.len(), 1);
    let mut third = toy.spawn(ready(5));
    toy.run();
    assert_eq!(join(&mut third).unwrap().unwrap(), 5);
    toy.registry.abort_all();
    toy.run();
}

#[test]
fn a_closed_registry_gives_the_future_back_and_keeps_what_it_has() {
    let toy = Toy::new();
    let mut before = toy.spawn(ready(1));
    toy.registry.close();
    let Err((refusal, _)) = spawn(toy.scheduler(), HERE, ready(2)) else { panic!("it is closed") };
    assert_eq!(refusal, Refusal::Closed);
    toy.run();
    assert_eq!(join(&mut before).unwrap().unwrap(), 1);
}

#[test]
#[should_panic(expected = "not polled after it was ready")]
fn a_handle_is_not_polled_after_it_was_ready() {
    let toy = Toy::new();
    let mut handle = toy.spawn(ready(()));
    toy.run();
    assert!(join(&mut handle).is_some());
    let _ = join(&mut handle);
}

/// A shard that notes how it was given tasks.
struct Shard {
    toy: Arc<Toy>,
    given: RefCell<Vec<Runnable>>,
}

impl Shard {
    fn of(toy: &Arc<Toy>) -> Self {
        Self { toy: Arc::clone(toy), given: RefCell::default() }
    }
}

impl LocalScheduler for Shard {
    fn runtime(&self) -> RuntimeId {
        self.toy.runtime()
    }

    fn registry(&self) -> Option<&Registry> {
        Some(&self.toy.registry)
    }

    fn schedule(&self, runnable: Runnable) {
        self.given.borrow_mut().push(runnable);
    }
}

#[test]
fn a_wake_on_a_shard_of_the_runtime_goes_to_that_shard() {
    let (toy, other) = (Toy::new(), Toy::new());
    let (door, other_door) = (Door::default(), Door::default());
    let handles = [toy.spawn(door.clone()), other.spawn(other_door.clone())];
    toy.run();
    other.run();
    let shard = Shard::of(&toy);
    with_local_scheduler(&shard, || {
        door.open();
        other_door.open();
    });
    assert_eq!((toy.queued(), other.queued()), (0, 1), "another runtime's task goes its own way");
    let runnable = shard.given.borrow_mut().pop().expect("the shard was given it");
    assert_eq!(
        (runnable.metadata().id(), runnable.metadata().is_pinned()),
        (handles[0].id(), false)
    );
    runnable.run();
    other.run();
    // The scheduler of the thread is gone with the scope.
    let after = toy.spawn(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    toy.pop().expect("it was queued").run();
    assert_eq!(toy.queued(), 1);
    after.abort();
    toy.run();
}

#[test]
fn a_task_that_wakes_itself_comes_back_to_who_polls_it() {
    let toy = Toy::new();
    let mut polls = 0;
    let handle = toy.spawn(poll_fn(move |cx| {
        polls += 1;
        if polls == 2 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let shard = Shard::of(&toy);
    let first = toy.pop().expect("it was queued");
    let again = with_local_scheduler(&shard, || first.poll()).expect("it woke itself");
    assert!(shard.given.borrow().is_empty(), "and is given to nobody else");
    assert!(again.poll().is_none());
    assert!(handle.is_finished());
}

/// Spawns on the thread of a shard, that is here.
fn spawn_here<F: Future + 'static>(
    toy: &Arc<Toy>,
    future: F,
) -> (Runnable, LocalJoinHandle<F::Output>) {
    let spawned =
        with_local_scheduler(&Shard::of(toy), || spawn_local(toy.scheduler(), ME, Unnamed, future));
    spawned.expect("there is room for a task")
}

#[test]
fn a_local_task_shares_what_is_not_send() {
    let toy = Toy::new();
    let shared = Rc::new(Cell::new(1));
    let (runnable, mut handle) = spawn_here(&toy, {
        let shared = Rc::clone(&shared);
        async move {
            shared.set(2);
            shared
        }
    });
    let meta = runnable.metadata();
    assert_eq!((meta.is_pinned(), meta.is_confined(), meta.home()), (true, true, ME));
    runnable.run();
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(output) = Pin::new(&mut handle).poll(&mut cx) else { panic!("it has run") };
    assert_eq!(output.unwrap().get(), 2);
    assert_eq!(shared.get(), 2);
}

#[test]
#[should_panic(expected = "spawned on the thread of its shard")]
fn a_local_task_is_not_spawned_off_its_shard() {
    let toy = Toy::new();
    let _ = spawn_local(toy.scheduler(), ME, Unnamed, ready(()));
}

#[test]
fn a_local_task_that_is_thrown_away_elsewhere_is_leaked_and_its_handle_resolves() {
    let toy = Toy::new();
    let drops = Drops::default();
    let (runnable, mut handle) = spawn_here(&toy, {
        let guard = drops.guard();
        async move { drop(guard) }
    });
    thread::spawn(move || drop(runnable)).join().unwrap();
    assert_eq!((drops.count(), toy.registry.len()), (0, 0));
    let mut cx = Context::from_waker(Waker::noop());
    let output = Pin::new(&mut handle).poll(&mut cx);
    assert!(matches!(output, Poll::Ready(Err(JoinError::Canceled))));
}

#[test]
fn a_confined_task_stays_on_the_thread_of_its_first_poll() {
    let toy = Toy::new();
    let (door, drops) = (Door::default(), Drops::default());
    let (runnable, mut handle) = spawn_confined(toy.scheduler(), ME, Unnamed, {
        let (door, guard) = (door.clone(), drops.guard());
        move || async move {
            let here = Rc::new(guard);
            door.await;
            drop(here);
        }
    })
    .expect("there is room for a task");
    runnable.run();
    door.open();
    let runnable = toy.pop().expect("it was woken");
    let polled = thread::spawn(move || panic::catch_unwind(|| runnable.run()).is_err());
    assert!(polled.join().unwrap(), "a poll elsewhere is refused");
    assert_eq!((drops.count(), toy.registry.len()), (0, 0));
    assert!(is_canceled(&mut handle), "the handle resolves all the same");
}

#[test]
fn a_confined_task_that_never_began_is_dropped_anywhere() {
    let toy = Toy::new();
    let drops = Drops::default();
    let (runnable, mut handle) = spawn_confined(toy.scheduler(), ME, Unnamed, {
        let guard = drops.guard();
        move || async move { drop(guard) }
    })
    .expect("there is room for a task");
    thread::spawn(move || drop(runnable)).join().unwrap();
    assert_eq!(drops.count(), 1);
    assert!(is_canceled(&mut handle));
}
