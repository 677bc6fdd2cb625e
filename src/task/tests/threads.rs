//! A shard that owns its registry, beside threads that wake, steal, spawn and drop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::{Door, Drops, HERE, ME, Toy, is_canceled, join};
use crate::task::registry::{Refusal, Registry};
use crate::task::{
    JoinHandle, LocalScheduler, Runnable, RuntimeId, Scheduler, Unnamed, spawn, spawn_local,
    with_local_scheduler,
};

/// The toy as a shard: its thread owns the registry. It has a queue of its own.
struct Owner {
    toy: Arc<Toy>,
    queue: RefCell<VecDeque<Runnable>>,
    yields: Cell<usize>,
}

impl LocalScheduler for Owner {
    fn runtime(&self) -> RuntimeId {
        self.toy.runtime()
    }

    fn registry(&self) -> Option<&Registry> {
        Some(&self.toy.registry)
    }

    fn schedule(&self, runnable: Runnable) {
        self.queue.borrow_mut().push_back(runnable);
    }
}

impl Owner {
    /// Runs `body` on this thread as the shard of a new toy, of which nothing is left afterwards.
    fn enter<R>(limit: usize, body: impl FnOnce(&Self) -> R) -> R {
        let toy = Toy::with_limit(limit);
        let owner = Self { toy, queue: RefCell::default(), yields: Cell::new(0) };
        let result = with_local_scheduler(&owner, || {
            let result = body(&owner);
            owner.run();
            result
        });
        assert_eq!(owner.toy.registry.len(), 0, "a task is left");
        assert_eq!(Arc::strong_count(&owner.toy), 1, "the memory of a task is left");
        result
    }

    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let spawned = spawn(self.toy.scheduler(), HERE, future).ok();
        let (runnable, handle) = spawned.expect("there is room");
        runnable.schedule();
        handle
    }

    fn pop(&self) -> Option<Runnable> {
        let own = self.queue.borrow_mut().pop_front();
        own.or_else(|| self.toy.pop())
    }

    fn run(&self) {
        while let Some(runnable) = self.pop() {
            if let Some(again) = runnable.poll() {
                self.yields.set(self.yields.get() + 1);
                self.queue.borrow_mut().push_back(again);
            }
        }
    }
}

#[test]
fn ten_thousand_tasks_come_and_go_and_leave_nothing() {
    Owner::enter(1 << 12, |owner| {
        let drops = Drops::default();
        for round in 0..100 {
            let handles: Vec<_> = (0..100)
                .map(|number| {
                    let guard = drops.guard();
                    owner.spawn(async move {
                        let _guard = guard;
                        number
                    })
                })
                .collect();
            assert_eq!(owner.toy.registry.len(), 100);
            for (number, mut handle) in handles.into_iter().enumerate() {
                match number % 4 {
                    0 => drop(handle),
                    1 => handle.abort(),
                    2 => drop(join(&mut handle)),
                    _ => {
                        owner.run();
                        assert_eq!(join(&mut handle).unwrap().unwrap(), number);
                    }
                }
            }
            owner.run();
            assert_eq!((owner.toy.registry.len(), drops.count()), (0, (round + 1) * 100));
        }
        assert_eq!(owner.toy.registry.spawned(), 10_000);
    });
}

#[test]
fn several_wakes_of_a_running_task_by_itself_are_one() {
    Owner::enter(16, |owner| {
        let mut left = 5;
        let mut handle = owner.spawn(poll_fn(move |cx| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            // By reference and by value, and twice: all of them are one.
            cx.waker().wake_by_ref();
            let waker = cx.waker().clone();
            waker.wake();
            Poll::Pending
        }));
        owner.run();
        assert_eq!(owner.yields.get(), 5);
        assert!(join(&mut handle).unwrap().is_ok());
    });
}

#[test]
fn a_task_polled_inside_another_does_not_take_its_wakes() {
    Owner::enter(16, |owner| {
        let inner_polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&inner_polls);
        let _inner = owner.spawn(poll_fn(move |cx| {
            if counted.fetch_add(1, Ordering::Relaxed) == 1 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        let mut inner = owner.pop();
        let mut polls = 0;
        let outer = poll_fn(move |cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            if let Some(inner) = inner.take() {
                inner.run();
            }
            Poll::Pending
        });
        let mut outer = owner.spawn(outer);
        owner.run();
        assert!(join(&mut outer).unwrap().is_ok());
        assert_eq!(inner_polls.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn the_owner_is_held_to_the_limit_too() {
    for limit in [1, 3, 2_000] {
        Owner::enter(limit, |owner| {
            let drops = Drops::default();
            for _ in 0..2 {
                let doors: Vec<_> = (0..limit).map(|_| Door::default()).collect();
                for door in &doors {
                    let (door, guard) = (door.clone(), drops.guard());
                    drop(owner.spawn(async move {
                        door.await;
                        drop(guard);
                    }));
                }
                let refused = spawn(owner.toy.scheduler(), HERE, ready(7));
                let Err((refusal, future)) = refused else { panic!("it is full") };
                assert_eq!((refusal, future.into_inner()), (Refusal::Full { limit }, 7));
                owner.run();
                doors.iter().for_each(Door::open);
                owner.run();
            }
            assert_eq!(drops.count(), 2 * limit);
            // What the owner keeps leaves nearly all of them to others.
            let toy = Arc::clone(&owner.toy);
            let outside = thread::spawn(move || {
                let spawns = || spawn(toy.scheduler(), HERE, ready(())).is_ok();
                (0..limit).filter(|_| spawns()).count()
            });
            let outside = outside.join().unwrap();
            assert!(outside + limit / 16 >= limit, "{outside} of {limit}");
        });
    }
}

#[test]
fn what_others_stole_is_settled_by_the_owner() {
    Owner::enter(1 << 12, |owner| {
        let (send, stolen) = mpsc::channel::<Runnable>();
        let thief = thread::spawn(move || stolen.into_iter().for_each(Runnable::run));
        let drops = Drops::default();
        for _ in 0..1_000 {
            let guard = drops.guard();
            let handle = owner.spawn(async move { drop(guard) });
            send.send(owner.pop().expect("it was queued")).unwrap();
            drop(handle);
        }
        drop(send);
        thief.join().unwrap();
        assert_eq!((owner.toy.registry.len(), drops.count()), (0, 1_000));
        owner.toy.registry.settle();
    });
}

#[test]
fn what_others_end_after_the_owner_has_left_is_settled_by_them() {
    let toy = Toy::new();
    let owner = Owner { toy, queue: RefCell::default(), yields: Cell::new(0) };
    with_local_scheduler(&owner, || drop(owner.spawn(ready(()))));
    let Owner { toy, queue, .. } = owner;
    let left = queue.into_inner().pop_front().expect("it was queued");
    thread::spawn(move || left.run()).join().unwrap();
    assert_eq!((toy.registry.len(), Arc::strong_count(&toy)), (0, 1));
}

#[test]
fn aborting_all_reaches_own_and_foreign_tasks_and_nothing_comes_after() {
    Owner::enter(1 << 12, |owner| {
        let mut handles: Vec<_> = (0..20).map(|_| owner.spawn(pending::<()>())).collect();
        let toy = Arc::clone(&owner.toy);
        handles.extend(
            thread::spawn(move || (0..20).map(|_| toy.spawn(pending::<()>())).collect::<Vec<_>>())
                .join()
                .unwrap(),
        );
        owner.run();
        owner.toy.registry.abort_all();
        owner.run();
        assert!(handles.iter_mut().all(is_canceled));
        let refused = spawn(owner.toy.scheduler(), HERE, ready(())).map(drop);
        assert!(matches!(refused, Err((Refusal::Closed, _))));
    });
}

#[test]
fn a_task_of_an_owner_that_cannot_tell_it_ends_at_its_next_run() {
    Owner::enter(16, |owner| {
        let door = Door::default();
        let mut handle = owner.spawn(door.clone());
        owner.run();
        let toy = Arc::clone(&owner.toy);
        thread::spawn(move || toy.registry.abort_all()).join().unwrap();
        assert!(owner.pop().is_none(), "only the owner can wake it");
        door.open();
        owner.run();
        assert!(is_canceled(&mut handle));
    });
}

#[test]
fn a_waker_outlives_the_runtime() {
    let door = Door::default();
    let (waker, mut handle) = Owner::enter_keeping(|owner| {
        let handle = owner.spawn(door.clone());
        owner.run();
        let waker = door.waker().expect("the task waits");
        owner.toy.registry.abort_all();
        owner.run();
        (waker, handle)
    });
    let other = waker.clone();
    thread::spawn(move || other.wake()).join().unwrap();
    waker.wake_by_ref();
    assert!(is_canceled(&mut handle));
    drop(waker);
    drop(door);
}

impl Owner {
    /// As [`enter`](Self::enter), with tasks whose memory outlives it.
    fn enter_keeping<R>(body: impl FnOnce(&Self) -> R) -> R {
        let owner = Self { toy: Toy::new(), queue: RefCell::default(), yields: Cell::new(0) };
        with_local_scheduler(&owner, || body(&owner))
    }
}

#[test]
fn an_owned_registry_is_not_owned_twice() {
    Owner::enter(16, |owner| {
        let toy = Arc::clone(&owner.toy);
        let second = thread::spawn(move || {
            let second = Owner { toy, queue: RefCell::default(), yields: Cell::new(0) };
            with_local_scheduler(&second, || ());
        });
        assert!(second.join().is_err());
        // The first one still has it.
        drop(owner.spawn(ready(())));
    });
}

#[test]
fn a_local_task_and_its_handle_come_and_go_on_their_thread() {
    Owner::enter(16, |owner| {
        let shared = Rc::new(Cell::new(0));
        for _ in 0..1_000 {
            let counted = Rc::clone(&shared);
            let future = async move {
                counted.set(counted.get() + 1);
                counted
            };
            let (runnable, mut handle) =
                spawn_local(owner.toy.scheduler(), ME, Unnamed, future).expect("there is room");
            runnable.schedule();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut handle).poll(&mut cx).is_pending());
            owner.run();
            assert!(Pin::new(&mut handle).poll(&mut cx).is_ready());
        }
        assert_eq!((shared.get(), Rc::strong_count(&shared)), (1_000, 1));
    });
}

/// Adds to a sum when it is polled, and is ready at a target.
struct Adds {
    given: Arc<AtomicUsize>,
    target: usize,
    waker: Arc<std::sync::Mutex<Option<Waker>>>,
    /// Not atomic: two polls at a time would be seen as a race, or lose counts.
    polls: Cell<usize>,
}

impl Future for Adds {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.polls.set(self.polls.get() + 1);
        let mut waker = self.waker.lock().unwrap();
        if self.given.load(Ordering::Relaxed) == self.target {
            return Poll::Ready(self.polls.get());
        }
        match &mut *waker {
            Some(kept) => kept.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        drop(waker);
        if self.polls.get().is_multiple_of(3) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

#[test]
fn wakes_of_many_threads_are_not_lost_and_polls_do_not_overlap() {
    const THREADS: usize = 4;
    const WAKES: usize = 500;
    const TASKS: usize = 8;
    let toy = Toy::with_limit(TASKS);
    let stop = Arc::new(AtomicBool::new(false));
    let begin = Arc::new(Barrier::new(THREADS));
    let mut handles = Vec::new();
    let mut parts = Vec::new();
    for _ in 0..TASKS {
        let (given, waker) = (Arc::<AtomicUsize>::default(), Arc::default());
        parts.push((Arc::clone(&given), Arc::clone(&waker)));
        let target = THREADS * WAKES;
        handles.push(toy.spawn(Adds { given, target, waker, polls: Cell::new(0) }));
    }
    let runners: Vec<_> = (0..2)
        .map(|_| {
            let (toy, stop) = (Arc::clone(&toy), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    toy.run();
                    thread::yield_now();
                }
            })
        })
        .collect();
    let wakers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (parts, begin) = (parts.clone(), Arc::clone(&begin));
            thread::spawn(move || {
                begin.wait();
                for _ in 0..WAKES {
                    for (given, waker) in &parts {
                        given.fetch_add(1, Ordering::Relaxed);
                        let waker = waker.lock().unwrap().clone();
                        if let Some(waker) = waker {
                            waker.wake();
                        }
                    }
                }
            })
        })
        .collect();
    for waker in wakers {
        waker.join().unwrap();
    }
    for handle in &mut handles {
        while !handle.is_finished() {
            thread::yield_now();
        }
        assert!(join(handle).unwrap().unwrap() > 0);
    }
    stop.store(true, Ordering::Relaxed);
    for runner in runners {
        runner.join().unwrap();
    }
    drop(parts);
    assert_eq!((toy.registry.len(), Arc::strong_count(&toy)), (0, 1));
}
