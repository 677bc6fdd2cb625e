//! Stealing.

use std::time::{Duration, Instant};

use spargio::{Runtime, ShardId};

use super::median_within;
use crate::support::{Event, Plug, elsewhere, here, wait_until, watched};

/// A task behind one that holds its shard for 500 ms starts on another shard within 1 ms, also if
/// it has run before, and also if the one that holds the shard spawned it.
#[test]
fn c20_one_queued_task_is_stolen() {
    const LIMIT: Duration = Duration::from_millis(1);
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        median_within(LIMIT, "a new task", || a_new_task(&runtime));
        median_within(LIMIT, "a task that has run", || a_task_that_has_run(&runtime));
        let own = || a_task_of_who_holds_the_shard(&runtime);
        median_within(LIMIT, "a task of who holds the shard", own);
    });
}

/// How long it takes until the task of shard 0 runs on shard 1. (The plug goes when the task has
/// been seen to run, or after a time that is far longer than 500 ms.)
fn a_new_task(runtime: &Runtime) -> Duration {
    let _stuck = Plug::new(&runtime.handle(), 0);
    let began = Instant::now();
    let task = runtime.handle().spawn_stealable_on(0, async { (here(), Instant::now()) });
    let (shard, start) = elsewhere(task.unwrap()).unwrap();
    assert_eq!(shard, ShardId::new(1));
    start - began
}

fn a_task_that_has_run(runtime: &Runtime) -> Duration {
    let handle = runtime.handle();
    // The first poll is on shard 0, because shard 1 is stuck meanwhile.
    let mut other = Plug::new(&handle, 1);
    let event = Event::default();
    let waits = event.clone();
    let task = handle.spawn_stealable_on(0, async move {
        let before = here();
        waits.wait().await;
        (before, here(), Instant::now())
    });
    wait_until("the task waits", || event.waiting() == 1);
    let _stuck = Plug::new(&handle, 0);
    let free = other.task();
    drop(other);
    elsewhere(free).unwrap();
    let began = Instant::now();
    event.set();
    let (before, shard, start) = elsewhere(task.unwrap()).unwrap();
    assert_eq!((before, shard), (ShardId::new(0), ShardId::new(1)));
    start - began
}

fn a_task_of_who_holds_the_shard(runtime: &Runtime) -> Duration {
    let holder = runtime.spawn_on(0, async {
        let began = Instant::now();
        let task = spargio::spawn(async { Instant::now() }).unwrap();
        while !task.is_finished() && began.elapsed() < Duration::from_millis(500) {
            std::hint::spin_loop();
        }
        (began, task.await.unwrap())
    });
    let (began, start) = elsewhere(holder.unwrap()).unwrap();
    // What waited until its shard was free has waited for 500 ms.
    start - began
}
