//! Tasks that are canceled and awaited together.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use spargio::{
    CancellationToken, JoinSet, Runtime, RuntimeError, ShardId, TaskGroup, TaskGroupEnd,
    TaskGroupEnds, TaskGroupJoinHandle, TaskPlacement, timeout,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

use crate::support::{Event, Plug, elsewhere, here, wait_until, watched, yield_now};

mod set;

assert_impl_all!(TaskGroup: Send, Sync, Unpin, std::fmt::Debug);
assert_impl_all!(TaskGroupJoinHandle<u8>: Send, Sync, Unpin, std::fmt::Debug);
assert_impl_all!(TaskGroupEnds: Send, Sync, Copy, Eq);
assert_impl_all!(TaskGroupEnd: Send, Sync, Copy, Eq);
assert_impl_all!(JoinSet<u8>: Send, Unpin, std::fmt::Debug, Default);
assert_not_impl_any!(JoinSet<std::rc::Rc<u8>>: Send);

/// Says that it was dropped, by count.
struct Counts(Arc<AtomicUsize>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn ends(finished: u64, canceled: u64, aborted: u64, panicked: u64) -> (u64, u64, u64, u64) {
    (finished, canceled, aborted, panicked)
}

fn of(ends: TaskGroupEnds) -> (u64, u64, u64, u64) {
    (ends.finished, ends.canceled, ends.aborted, ends.panicked)
}

#[test]
fn a_cancelled_group_drops_its_futures_and_their_handles_say_none() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let group = TaskGroup::new(runtime.handle());
        let dropped = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..100_u64)
            .map(|number| {
                let counts = Counts(Arc::clone(&dropped));
                let task = async move {
                    pending::<()>().await;
                    drop(counts);
                };
                group.spawn_with_placement(TaskPlacement::Sticky(number), task).unwrap()
            })
            .collect();
        assert_eq!(group.len(), 100);
        group.cancel();
        runtime.block_on(async {
            for task in tasks {
                assert!(task.await.unwrap().is_none());
            }
            assert_eq!(of(group.join_all().await), ends(0, 100, 0, 0));
        });
        assert_eq!(dropped.load(Ordering::Relaxed), 100);
        assert!(group.is_empty() && group.token().is_canceled());
    });
}

#[test]
fn an_output_wins_over_a_cancellation_when_both_are_ready() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let group = TaskGroup::new(runtime.handle());
        // One that gets ready while its shard is busy, as does the cancellation.
        let said = Event::default();
        let waits = said.clone();
        let begun = Event::default();
        let begins = begun.clone();
        let task = group.spawn(async move {
            begins.set();
            waits.wait().await;
            7
        });
        elsewhere(begun.wait());
        wait_until("the task waits", || said.waiting() == 1);
        let plug = Plug::new(&runtime.handle(), 0);
        group.cancel();
        said.set();
        drop(plug);
        assert_eq!(runtime.block_on(task.unwrap()).unwrap(), Some(7));
        // And those that are spawned into a canceled group.
        assert_eq!(runtime.block_on(group.spawn(ready(8)).unwrap()).unwrap(), Some(8));
        let late = group.spawn(pending::<()>()).unwrap();
        assert_eq!(runtime.block_on(late).unwrap(), None);
        assert_eq!(of(group.ends()), ends(2, 1, 0, 0));
    });
}

#[test]
fn tasks_of_a_group_run_where_they_are_placed() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let group = TaskGroup::new(runtime.handle());
        for shard in [0, 1].map(ShardId::new) {
            let task = group.spawn_with_placement(TaskPlacement::Pinned(shard), async { here() });
            assert_eq!(runtime.block_on(task.unwrap()).unwrap(), Some(shard));
        }
        let nowhere = TaskPlacement::Pinned(ShardId::new(9));
        let refused = group.spawn_with_placement(nowhere, async {}).unwrap_err();
        assert!(matches!(refused, RuntimeError::InvalidShard { .. }));
        assert_eq!(group.len(), 0);
        assert_eq!(of(group.ends()), ends(2, 0, 0, 0), "what was refused is no end");
    });
}

#[test]
fn each_end_is_told_once_and_counted_by_kind() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let mut group = TaskGroup::new(runtime.handle());
        let finishes = group.spawn(async { 1 }).unwrap();
        let panics = group.spawn(async { panic!("a task of the test panics on purpose") });
        let panics: TaskGroupJoinHandle<()> = panics.unwrap();
        let aborted = group.spawn(pending::<()>()).unwrap();
        let canceled = group.spawn(pending::<()>()).unwrap();
        runtime.block_on(async {
            assert_eq!(finishes.await.unwrap(), Some(1));
            assert!(panics.await.unwrap_err().is_panic());
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_canceled());
            group.cancel();
            assert_eq!(canceled.await.unwrap(), None);
            assert_eq!(of(group.join_all().await), ends(1, 1, 1, 1));
            let mut told = Vec::new();
            while let Some(end) = group.join_next().await {
                told.push(end);
            }
            use TaskGroupEnd::{Aborted, Canceled, Finished, Panicked};
            assert_eq!(told, [Panicked, Aborted, Canceled, Finished], "the worst first");
            assert_eq!(group.join_next().await, None);
            assert_eq!(group.ends().total(), 4);
        });
    });
}

#[test]
fn a_panicking_destructor_is_a_panic_of_the_group() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a destructor of the test panics on purpose");
        }
    }
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let group = TaskGroup::new(runtime.handle());
        let task = group.spawn(async {
            let _bomb = Bomb;
            pending::<()>().await;
        });
        group.cancel();
        // What the handle says of it is its own affair; it says something.
        drop(runtime.block_on(task.unwrap()));
        let counted = runtime.block_on(group.join_all());
        assert_eq!(of(counted), ends(0, 0, 0, 1));
    });
}

#[test]
fn joining_waits_for_tasks_that_are_spawned_meanwhile() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let group = Arc::new(TaskGroup::new(runtime.handle()));
        let counted = Arc::new(AtomicUsize::new(0));
        // Each task spawns the next into the group before it ends.
        fn step(group: Arc<TaskGroup>, counted: Arc<AtomicUsize>, left: usize) {
            let inner = Arc::clone(&group);
            let task = async move {
                yield_now().await;
                counted.fetch_add(1, Ordering::Relaxed);
                if left > 0 {
                    step(inner, counted, left - 1);
                }
            };
            group.spawn(task).unwrap();
        }
        step(Arc::clone(&group), Arc::clone(&counted), 999);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let group = Arc::clone(&group);
                thread::spawn(move || elsewhere(group.join_all()))
            })
            .collect();
        assert_eq!(of(runtime.block_on(group.join_all())), ends(1_000, 0, 0, 0));
        assert_eq!(counted.load(Ordering::Relaxed), 1_000);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().total(), 1_000);
        }
    });
}

#[test]
fn waiting_for_a_group_may_be_given_up_at_any_time() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let mut group = TaskGroup::new(runtime.handle());
        assert_eq!(elsewhere(group.join_all()).total(), 0, "an empty group");
        assert_eq!(elsewhere(group.join_next()), None);
        let go = Event::default();
        let waits = go.clone();
        let task = group.spawn(async move { waits.wait().await }).unwrap();
        let short = Duration::from_micros(100);
        runtime.block_on(async {
            for _ in 0..100 {
                timeout(short, group.join_all()).await.unwrap_err();
                timeout(short, group.join_next()).await.unwrap_err();
            }
            go.set();
            assert_eq!(group.join_next().await, Some(TaskGroupEnd::Finished));
            assert_eq!(of(group.join_all().await), ends(1, 0, 0, 0));
            task.await.unwrap();
        });
    });
}

#[test]
fn a_dropped_group_lets_its_tasks_go_on_unless_it_cancels_on_drop() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let go = Event::default();
        let task = |group: &TaskGroup| {
            let waits = go.clone();
            group.spawn(async move { waits.wait().await }).unwrap()
        };
        let group = TaskGroup::new(runtime.handle());
        let (goes_on, token) = (task(&group), group.token());
        drop(group);
        assert!(!token.is_canceled());
        let group = TaskGroup::new(runtime.handle()).cancel_on_drop();
        let stops = task(&group);
        drop(group);
        assert_eq!(runtime.block_on(stops).unwrap(), None);
        go.set();
        assert_eq!(runtime.block_on(goes_on).unwrap(), Some(()));
    });
}

#[test]
fn a_group_below_a_token_is_cancelled_with_it() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let server = CancellationToken::new();
        let groups = [(); 3].map(|()| {
            TaskGroup::with_token(runtime.handle(), server.child_token()).cancel_on_drop()
        });
        let tasks = groups.each_ref().map(|group| group.spawn(pending::<()>()).unwrap());
        let [first, others @ ..] = groups;
        drop(first);
        assert!(!server.is_canceled() && !others[0].token().is_canceled());
        server.cancel();
        for task in tasks {
            assert_eq!(runtime.block_on(task).unwrap(), None);
        }
    });
}

#[test]
fn the_end_of_the_runtime_ends_its_groups() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let group = TaskGroup::new(runtime.handle());
        let tasks: Vec<_> = (0..50).map(|_| group.spawn(pending::<()>()).unwrap()).collect();
        let joined = thread::scope(|scope| {
            let joins = scope.spawn(|| elsewhere(group.join_all()));
            drop(runtime);
            joins.join().unwrap()
        });
        assert_eq!(of(joined), ends(0, 0, 50, 0));
        for task in tasks {
            assert!(elsewhere(task).unwrap_err().is_canceled());
        }
        assert!(matches!(group.spawn(ready(())).unwrap_err(), RuntimeError::Closed));
        assert_eq!(elsewhere(group.join_all()).total(), 50);
    });
}

#[test]
fn a_hundred_thousand_tasks_of_a_group_are_all_counted() {
    watched(|watch| {
        const COUNT: u64 = 100_000;
        let builder = Runtime::builder().shards(2).max_tasks(2 * COUNT as usize);
        let runtime = watch.build(builder);
        let mut group = TaskGroup::new(runtime.handle());
        let task = async move {
            for number in 0..COUNT {
                // Some end at once, some wait for a turn, and some until they are canceled.
                match number % 4 {
                    0 => drop(group.spawn(pending::<()>()).unwrap()),
                    1 => drop(group.spawn(yield_now()).unwrap()),
                    _ => drop(group.spawn(ready(())).unwrap()),
                }
            }
            group.cancel();
            let mut told = 0;
            while group.join_next().await.is_some() {
                told += 1;
            }
            (told, group.ends())
        };
        let (told, counted) = runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
        assert_eq!((told, counted.total()), (COUNT, COUNT));
        assert_eq!((counted.aborted, counted.panicked), (0, 0));
        assert!(counted.canceled >= COUNT / 4);
    });
}

#[test]
fn tasks_that_are_spawned_while_their_group_is_cancelled_all_end() {
    watched(|watch| {
        const EACH: u64 = 200;
        let runtime = watch.build(Runtime::builder().shards(2));
        for _ in 0..30 {
            let group = TaskGroup::new(runtime.handle());
            let spawn = || {
                let tasks = (0..EACH).map(|number| {
                    if number % 2 == 0 {
                        group.spawn(pending::<()>()).unwrap()
                    } else {
                        group.spawn(yield_now()).unwrap()
                    }
                });
                tasks.map(|task| elsewhere(task).unwrap()).filter(Option::is_some).count()
            };
            let finished = thread::scope(|scope| {
                let spawners = [scope.spawn(spawn), scope.spawn(spawn)];
                group.cancel();
                spawners.map(|spawner| spawner.join().unwrap()).into_iter().sum::<usize>()
            });
            let counted = elsewhere(group.join_all());
            assert_eq!(counted.total(), 2 * EACH);
            assert_eq!(of(counted), ends(finished as u64, 2 * EACH - finished as u64, 0, 0));
        }
    });
}
