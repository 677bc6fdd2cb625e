//! Fairness: what never stops starves neither tasks, letters, spawns from outside nor shutdown.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::time::Duration;

use spargio::{Assembly, RuntimeHandleOf, TaskPlacement};

use crate::parts::{Make, for_each_assembly, runtime};
use crate::support::{Event, SOON, Watch, asleep, elsewhere, receive, wait_until, yield_now};

for_each_assembly! {
    a_task_that_wakes_itself_for_ever_starves_no_spawn,
    a_task_that_wakes_itself_for_ever_starves_no_wake,
    a_task_that_wakes_itself_for_ever_starves_no_sibling,
    tasks_that_wake_each_other_for_ever_starve_nobody,
    tasks_that_spawn_for_ever_starve_nobody,
    a_task_that_wakes_itself_for_ever_lets_the_runtime_end,
    tasks_that_wake_each_other_for_ever_let_the_runtime_end,
    a_flood_of_letters_starves_no_task,
    what_never_stops_starves_no_timer,
    of_two_tasks_that_wake_a_shard_the_second_does_not_wait_for_the_first,
}

/// Every kind of task that can be spawned from outside, once.
fn everybody_gets_a_turn<A: Assembly>(handle: &RuntimeHandleOf<A>) {
    let shard = spargio::ShardId::new(0);
    for placement in [
        TaskPlacement::Stealable,
        TaskPlacement::StealablePreferred(shard),
        TaskPlacement::Pinned(shard),
        TaskPlacement::RoundRobin,
    ] {
        let job = async {
            yield_now().await;
            // Stealable or not, from inside as well.
            spargio::spawn(yield_now()).unwrap().await.unwrap();
            spargio::spawn_local(yield_now()).unwrap().abort_handle()
        };
        let task = handle.spawn_with_placement(placement, job).unwrap();
        let local = end(task);
        wait_until("a local task ends", || local.as_ref().is_some_and(|task| task.is_finished()));
    }
    end(handle
        .spawn_local_on(shard, |ctx| async move {
            ctx.spawn_local(yield_now()).unwrap().await.unwrap();
        })
        .unwrap());
}

/// Awaits a task, but not for ever.
#[track_caller]
fn end<T: Send + 'static>(task: spargio::JoinHandle<T>) -> T {
    wait_until("the task gets its turns", || task.is_finished());
    elsewhere(task).unwrap()
}

async fn for_ever(stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        yield_now().await;
    }
}

/// Tells the tasks to stop, also when the test fails.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn a_task_that_wakes_itself_for_ever_starves_no_spawn<M: Make>(watch: &Watch) {
    for pinned in [false, true] {
        let runtime = runtime::<M>(watch, 1);
        let stop = Stop::default();
        let handle = runtime.handle();
        let busy = if pinned {
            handle.spawn_pinned(0, for_ever(Arc::clone(&stop.0)))
        } else {
            handle.spawn_stealable(for_ever(Arc::clone(&stop.0)))
        };
        for _ in 0..20 {
            everybody_gets_a_turn(&handle);
        }
        drop(stop);
        end(busy.unwrap());
    }
}

fn a_task_that_wakes_itself_for_ever_starves_no_wake<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let stop = Stop::default();
    let handle = runtime.handle();
    drop(handle.spawn_stealable(for_ever(Arc::clone(&stop.0))).unwrap());
    drop(handle.spawn_pinned(0, for_ever(Arc::clone(&stop.0))).unwrap());
    for round in 0..50 {
        let event = Event::default();
        let waits = event.clone();
        let job = async move { waits.wait().await };
        let task =
            if round % 2 == 0 { handle.spawn_stealable(job) } else { handle.spawn_pinned(0, job) };
        wait_until("the task waits", || event.waiting() == 1);
        event.set();
        end(task.unwrap());
    }
}

fn a_task_that_wakes_itself_for_ever_starves_no_sibling<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let stop = Stop::default();
    let handle = runtime.handle();
    // More self-wakers than a turn has polls.
    for number in 0..200 {
        let job = for_ever(Arc::clone(&stop.0));
        drop(if number % 2 == 0 {
            handle.spawn_stealable(job).unwrap()
        } else {
            handle.spawn_pinned(0, job).unwrap()
        });
    }
    everybody_gets_a_turn(&handle);
}

/// Two tasks of which each wakes the other, again and again: each wake goes to the place of the
/// task that runs next.
fn ping_pong<A: Assembly>(handle: &RuntimeHandleOf<A>, stop: &Stop) {
    let seats: Arc<Mutex<[Option<Waker>; 2]>> = Arc::default();
    for seat in 0..2 {
        let (seats, stop) = (Arc::clone(&seats), Arc::clone(&stop.0));
        let job = poll_fn(move |cx| {
            let other = {
                let mut seats = seats.lock().unwrap();
                seats[seat] = Some(cx.waker().clone());
                seats[1 - seat].clone()
            };
            if let Some(other) = other {
                other.wake();
            }
            if stop.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        });
        drop(handle.spawn_stealable(job).unwrap());
    }
    let polls = || handle.stats_snapshot().total().lifo_polls;
    let before = polls();
    wait_until("the two wake each other", || polls() > before + 100);
}

fn tasks_that_wake_each_other_for_ever_starve_nobody<M: Make>(watch: &Watch) {
    // Which of the queues goes first must depend neither on a beat of the pair nor on what else
    // never stops.
    for (stealable, pinned) in [(0, 0), (1, 0), (0, 1), (1, 1), (3, 3)] {
        for offset in 0..4 {
            let runtime = runtime::<M>(watch, 1);
            let stop = Stop::default();
            let handle = runtime.handle();
            for _ in 0..offset {
                end(handle.spawn_stealable(async {}).unwrap());
            }
            ping_pong(&handle, &stop);
            for _ in 0..stealable {
                drop(handle.spawn_stealable(for_ever(Arc::clone(&stop.0))).unwrap());
            }
            for _ in 0..pinned {
                drop(handle.spawn_pinned(0, for_ever(Arc::clone(&stop.0))).unwrap());
            }
            everybody_gets_a_turn(&handle);
        }
    }
}

fn tasks_that_spawn_for_ever_starve_nobody<M: Make>(watch: &Watch) {
    async fn breed(stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            spargio::spawn(yield_now()).unwrap().await.unwrap();
        }
    }
    let runtime = runtime::<M>(watch, 1);
    let stop = Stop::default();
    let handle = runtime.handle();
    for _ in 0..3 {
        drop(handle.spawn_stealable(breed(Arc::clone(&stop.0))).unwrap());
    }
    for _ in 0..20 {
        everybody_gets_a_turn(&handle);
    }
}

fn a_task_that_wakes_itself_for_ever_lets_the_runtime_end<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let never = || Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..10u16)
        .flat_map(|number| {
            [
                handle.spawn_stealable(for_ever(never())).unwrap(),
                handle.spawn_pinned(number % 2, for_ever(never())).unwrap(),
            ]
        })
        .collect();
    let report = runtime.shutdown_timeout(SOON);
    assert_eq!(report.shards_stuck, 0, "{report}");
    for task in tasks {
        assert!(elsewhere(task).unwrap_err().is_canceled());
    }
}

fn tasks_that_wake_each_other_for_ever_let_the_runtime_end<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let stop = Stop::default();
    let handle = runtime.handle();
    ping_pong(&handle, &stop);
    let waiting = handle.spawn_pinned(0, pending::<()>()).unwrap();
    let report = runtime.shutdown_timeout(SOON);
    assert_eq!(report.shards_stuck, 0, "{report}");
    assert!(elsewhere(waiting).unwrap_err().is_canceled());
}

fn a_flood_of_letters_starves_no_task<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let stop = Stop::default();
    let handle = runtime.handle();
    // Shard 1 sends letters to shard 0 without a pause.
    let (stopped, flood) = (Arc::clone(&stop.0), handle.clone());
    let flooding = handle.spawn_pinned(1, async move {
        let mut sent = 0u32;
        while !stopped.load(Ordering::Relaxed) {
            match flood.spawn_pinned(0, async {}) {
                Ok(task) => drop(task),
                Err(error) => assert!(matches!(error, spargio::RuntimeError::Overloaded { .. })),
            }
            sent += 1;
            if sent.is_multiple_of(512) {
                yield_now().await;
            }
        }
    });
    let (done, did) = mpsc::channel();
    let inner = handle.clone();
    let task = handle.spawn_local_on(0, move |_| async move {
        for _ in 0..200 {
            yield_now().await;
            inner.spawn_stealable(yield_now()).unwrap().await.unwrap();
        }
        done.send(()).unwrap();
    });
    receive(&did, "the task of the flooded shard gets its turns");
    drop(stop);
    end(task.unwrap());
    end(flooding.unwrap());
}

fn what_never_stops_starves_no_timer<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let stop = Stop::default();
    let handle = runtime.handle();
    ping_pong(&handle, &stop);
    for _ in 0..100 {
        drop(handle.spawn_stealable(for_ever(Arc::clone(&stop.0))).unwrap());
        drop(handle.spawn_pinned(0, for_ever(Arc::clone(&stop.0))).unwrap());
    }
    for _ in 0..20 {
        end(handle.spawn_pinned(0, spargio::time::sleep(Duration::from_millis(1))).unwrap());
    }
}

fn of_two_tasks_that_wake_a_shard_the_second_does_not_wait_for_the_first<M: Make>(watch: &Watch) {
    let builder = M::builder().shards(2).ring_entries(32).spin(Duration::ZERO);
    let runtime = watch.build(builder.packing(false));
    let handle = runtime.handle();
    for _ in 0..30 {
        asleep(&handle, 0);
        asleep(&handle, 1);
        let (release, released) = mpsc::channel();
        // Both are there before the shard is awake, and either may be its first.
        let [blocks, frees] = {
            let first = async move { receive(&released, "the other task runs meanwhile") };
            let second = async move { release.send(()).unwrap() };
            [handle.spawn_stealable_on(0, first), handle.spawn_stealable_on(0, second)]
        };
        elsewhere(frees.unwrap()).unwrap();
        elsewhere(blocks.unwrap()).unwrap();
    }
}
