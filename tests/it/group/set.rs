//! Sets of tasks with outputs of one type.

use std::collections::HashSet;
use std::future::{pending, ready};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use spargio::{JoinSet, Runtime, ShardId, TaskPlacement, timeout};

use super::Counts;
use crate::support::{Event, elsewhere, here, wait_until, watched, yield_now};

#[test]
fn outputs_come_in_the_order_in_which_the_tasks_end() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let mut set = JoinSet::new();
        let gates: Vec<_> = (0..10).map(|_| Event::default()).collect();
        for (number, gate) in gates.iter().cloned().enumerate() {
            let task = async move {
                gate.wait().await;
                number
            };
            set.spawn_on(task, &runtime.handle()).unwrap();
        }
        assert_eq!((set.len(), set.try_join_next().is_none()), (10, true));
        for number in [3, 9, 0, 1, 7, 2, 8, 4, 6, 5] {
            gates[number].set();
            assert_eq!(elsewhere(set.join_next()).unwrap().unwrap(), number);
        }
        assert!(set.is_empty() && elsewhere(set.join_next()).is_none());
        assert!(set.try_join_next().is_none());
    });
}

#[test]
fn a_set_takes_tasks_from_everywhere() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let other = watch.build(Runtime::builder().shards(1));
        let handle = runtime.handle();
        let set = runtime.handle().enter(|| {
            let mut set = JoinSet::default();
            set.spawn(async { here() }).unwrap();
            set.spawn_on(async { here() }, &other.handle()).unwrap();
            let pinned = TaskPlacement::Pinned(ShardId::new(1));
            set.spawn_with_placement(&handle, pinned, async { here() }).unwrap();
            let local = set.spawn_local_on(&handle, 1, |ctx| async move {
                let here = Rc::new(ctx.shard_id());
                yield_now().await;
                *here
            });
            local.unwrap();
            set.insert(handle.spawn_pinned(0, async { here() }).unwrap());
            set
        });
        let shards = elsewhere(set.join_all()).unwrap();
        assert_eq!(shards.len(), 5);
        assert!(shards.iter().filter(|shard| shard.index() == 1).count() >= 2);
    });
}

#[test]
fn a_task_that_has_ended_before_it_is_inserted_gives_its_output() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let mut set = JoinSet::new();
        let mut ids = HashSet::new();
        for number in 0..100 {
            let task = runtime.spawn_on(0, ready(number)).unwrap();
            wait_until("the task ends", || task.is_finished());
            ids.insert(task.id());
            set.insert(task);
        }
        // Given up once, on the way.
        let mut sum = 0;
        while let Some((id, output)) = elsewhere(set.join_next_with_id()) {
            assert!(ids.remove(&id));
            sum += output.unwrap();
        }
        assert_eq!((sum, ids.len()), (4_950, 0));
    });
}

#[test]
fn the_outputs_of_a_set_that_is_inserted_on_its_shard_use_up_no_turn() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let task = async {
            let tasks: Vec<_> = (0..1_000).map(|n| spargio::spawn(ready(n)).unwrap()).collect();
            while !tasks.iter().all(|task| task.is_finished()) {
                spargio::yield_now().await;
            }
            let mut set = JoinSet::new();
            for task in tasks {
                set.insert(task);
            }
            // Far more than the ready operations of a poll, and nobody awaits.
            let mut count = 0;
            while let Some(output) = set.try_join_next() {
                assert_eq!(output.unwrap(), count);
                count += 1;
            }
            assert_eq!(count, 1_000);
        };
        runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
    });
}

#[test]
fn a_set_tells_of_panics_and_aborts() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let mut set = JoinSet::new();
        let handle = runtime.handle();
        set.spawn_on(async { panic!("a task of the test panics on purpose") }, &handle).unwrap();
        let panicked = elsewhere(set.join_next()).unwrap();
        assert!(panicked.is_err_and(|error| error.is_panic()));
        let abort = set.spawn_on(pending::<()>(), &handle).unwrap();
        abort.abort();
        let (id, aborted) = elsewhere(set.join_next_with_id()).unwrap();
        assert_eq!(id, abort.id());
        assert!(aborted.is_err_and(|error| error.is_canceled()));
    });
}

#[test]
fn joining_all_stops_at_the_first_that_fails_and_aborts_the_others() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let mut set = JoinSet::new();
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..5 {
            let counts = Counts(Arc::clone(&dropped));
            let task = async move {
                pending::<()>().await;
                drop(counts);
            };
            set.spawn_on(task, &runtime.handle()).unwrap();
        }
        let panics = async { panic!("a task of the test panics on purpose") };
        set.spawn_on(panics, &runtime.handle()).unwrap();
        assert!(elsewhere(set.join_all()).unwrap_err().is_panic());
        wait_until("the others are gone", || dropped.load(Ordering::Relaxed) == 5);
    });
}

#[test]
fn a_dropped_set_aborts_its_tasks_and_a_detached_one_does_not() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let dropped = Arc::new(AtomicUsize::new(0));
        let go = Event::default();
        let finished = Arc::new(AtomicUsize::new(0));
        let fill = |set: &mut JoinSet<()>| {
            for _ in 0..10 {
                let counts = Counts(Arc::clone(&dropped));
                let (waits, finished) = (go.clone(), Arc::clone(&finished));
                let task = async move {
                    waits.wait().await;
                    finished.fetch_add(1, Ordering::Relaxed);
                    drop(counts);
                };
                set.spawn_on(task, &runtime.handle()).unwrap();
            }
        };
        let mut set = JoinSet::new();
        fill(&mut set);
        drop(set);
        wait_until("the tasks are aborted", || dropped.load(Ordering::Relaxed) == 10);
        assert_eq!(finished.load(Ordering::Relaxed), 0);
        let mut set = JoinSet::new();
        fill(&mut set);
        set.detach_all();
        assert!(set.is_empty());
        drop(set);
        go.set();
        wait_until("the tasks end", || finished.load(Ordering::Relaxed) == 10);
    });
}

#[test]
fn shutting_a_set_down_waits_until_its_futures_are_gone() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let mut set = JoinSet::new();
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let counts = Counts(Arc::clone(&dropped));
            let task = async move {
                pending::<()>().await;
                drop(counts);
            };
            set.spawn_on(task, &runtime.handle()).unwrap();
        }
        elsewhere(set.shutdown());
        assert_eq!((set.len(), dropped.load(Ordering::Relaxed)), (0, 100));
    });
}

#[test]
fn waiting_for_a_set_may_be_given_up_at_any_time() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let mut set = JoinSet::new();
        for number in 0..200_u64 {
            let span = Duration::from_micros(number * 50);
            let task = async move { spargio::sleep(span).await };
            set.spawn_on(task, &runtime.handle()).unwrap();
        }
        runtime.block_on(async {
            let mut ended = 0;
            while ended < 200 {
                match timeout(Duration::from_micros(20), set.join_next()).await {
                    Ok(output) => {
                        output.unwrap().unwrap();
                        ended += 1;
                    }
                    Err(_) => continue,
                }
            }
        });
        assert!(set.is_empty());
    });
}

#[test]
fn a_set_may_move_while_its_tasks_end() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let mut set = JoinSet::new();
        for number in 0..500_u64 {
            let task = async move { spargio::sleep(Duration::from_micros(number * 20)).await };
            set.spawn_on(task, &runtime.handle()).unwrap();
        }
        let mut place = 0;
        while !set.is_empty() {
            let step = async move {
                // Left while it waits, with the waker of this place.
                let short = Duration::from_micros(50);
                while let Ok(Some(output)) = timeout(short, set.join_next()).await {
                    output.unwrap();
                }
                set
            };
            set = match place % 3 {
                2 => elsewhere(step),
                shard => runtime.block_on(runtime.spawn_on(shard, step).unwrap()).unwrap(),
            };
            place += 1;
        }
    });
}

#[test]
fn the_end_of_the_runtime_ends_every_task_of_a_set() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let mut set = JoinSet::new();
        for _ in 0..50 {
            set.spawn_on(pending::<()>(), &runtime.handle()).unwrap();
        }
        drop(runtime);
        let mut ended = 0;
        while let Some(output) = elsewhere(set.join_next()) {
            assert!(output.unwrap_err().is_canceled());
            ended += 1;
        }
        assert_eq!(ended, 50);
    });
}

#[test]
fn a_set_of_a_hundred_thousand_tasks_gives_out_every_output_once() {
    watched(|watch| {
        const COUNT: usize = 100_000;
        let runtime = watch.build(Runtime::builder().shards(2).max_tasks(2 * COUNT));
        let task = async {
            let mut set = JoinSet::new();
            for number in 0..COUNT {
                let task = async move {
                    if number % 2 == 0 {
                        yield_now().await;
                    }
                    number
                };
                set.spawn(task).unwrap();
            }
            let mut seen = vec![false; COUNT];
            while let Some(number) = set.join_next().await {
                assert!(!std::mem::replace(&mut seen[number.unwrap()], true));
            }
            assert!(seen.into_iter().all(|seen| seen));
        };
        runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
    });
}

#[test]
#[should_panic(expected = "the handle of a set has its output still")]
fn a_handle_that_has_given_its_output_is_refused() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let mut task = runtime.spawn_on(0, ready(())).unwrap();
    runtime.block_on(&mut task).unwrap();
    JoinSet::new().insert(task);
}
