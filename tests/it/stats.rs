//! The statistics: what happened shows, and what did not happen does not.

use std::time::Duration;

use spargio::placement::{Loads, Placement, Wish};
use spargio::{Runtime, ShardId};

use crate::parts::{Make, for_each_assembly, runtime};
use crate::support::{Plug, Watch, elsewhere, wait_until, watched, yield_now};

for_each_assembly! {
    polls_and_spawns_are_counted,
    every_way_to_spawn_is_counted,
    what_waits_and_lives_shows_as_gauges,
    sleeping_shows,
    letters_and_thefts_are_counted,
}

fn polls_and_spawns_are_counted<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    for shard in 0..2u16 {
        let task = runtime.spawn_on(shard, async {
            for _ in 0..9 {
                yield_now().await;
            }
        });
        elsewhere(task.unwrap()).unwrap();
    }
    let stats = runtime.stats_snapshot();
    assert_eq!(stats.shards.len(), 2);
    for shard in &stats.shards {
        assert_eq!((shard.polls, shard.spawned), (10, 1), "{shard:?}");
    }
    let total = stats.total();
    assert_eq!((total.polls, total.spawned, total.mail_received), (20, 2, 2));
    assert_eq!((total.misplaced, total.stale_completions, total.doorbells_failed), (0, 0, 0));
}

fn every_way_to_spawn_is_counted<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let task = runtime.handle().spawn_local_on(0, |ctx| async move {
        spargio::spawn(async {}).unwrap().await.unwrap();
        spargio::spawn_local(async {}).unwrap().await.unwrap();
        ctx.spawn_local(async {}).unwrap().await.unwrap();
    });
    elsewhere(task.unwrap()).unwrap();
    runtime.block_on(async { spargio::spawn(async {}).unwrap().await.unwrap() });
    assert_eq!(runtime.stats_snapshot().total().spawned, 5);
}

fn what_waits_and_lives_shows_as_gauges<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 0);
    let tasks: Vec<_> = (0..7).map(|_| handle.spawn_stealable(async {}).unwrap()).collect();
    let total = runtime.stats_snapshot().total();
    assert_eq!((total.queued, total.live_tasks, total.in_flight), (7, 8, 0), "{total:?}");
    drop(plug);
    for task in tasks {
        elsewhere(task).unwrap();
    }
    wait_until("the gauges go back", || {
        let total = runtime.stats_snapshot().total();
        (total.queued, total.live_tasks) == (0, 0)
    });
}

fn sleeping_shows<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let parks = || runtime.stats_snapshot().total().parks;
    for _ in 0..20 {
        let before = parks();
        // Each time it is asleep when the task comes.
        wait_until("the shard sleeps", || parks() > 0);
        elsewhere(runtime.spawn_on(0, async {}).unwrap()).unwrap();
        wait_until("the shard sleeps again", || parks() > before);
    }
    wait_until("the time asleep shows", || {
        let total = runtime.stats_snapshot().total();
        total.parked() > Duration::ZERO && total.enters > 0 && total.doorbells_heard > 0
    });
    let total = runtime.stats_snapshot().total();
    assert!(total.doorbells_sent >= total.doorbells_heard, "{total:?}");
    assert!((0.0..=1.0).contains(&total.spin_hit_rate()), "{total:?}");
    assert!((0.0..=1.0).contains(&total.steal_success_rate()), "{total:?}");
    let text = runtime.stats_snapshot().to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
}

fn letters_and_thefts_are_counted<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let _plug = Plug::new(&handle, 0);
    let before = runtime.stats_snapshot();
    for _ in 0..10 {
        elsewhere(handle.spawn_stealable_on(0, async {}).unwrap()).unwrap();
    }
    let after = runtime.stats_snapshot();
    let stolen = after.shards[1].stolen - before.shards[1].stolen;
    let succeeded = after.shards[1].steal_success - before.shards[1].steal_success;
    assert_eq!((stolen, succeeded), (10, 10));
    assert!(after.shards[1].steal_attempts >= after.shards[1].steal_success);
    assert_eq!(after.shards[0].stolen, before.shards[0].stolen);
    for _ in 0..10 {
        elsewhere(handle.spawn_pinned(1, async {}).unwrap()).unwrap();
    }
    let letters = runtime.stats_snapshot().shards[1].mail_received;
    assert_eq!(letters - after.shards[1].mail_received, 10);
}

/// Names shards that do not exist.
#[derive(Debug)]
struct Nowhere;

impl Placement for Nowhere {
    fn place(&self, _: Wish, loads: &Loads<'_>) -> ShardId {
        ShardId::from_index(loads.shards() + 1)
    }
}

#[test]
fn a_placement_that_names_no_shard_is_counted_and_harmless() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2).placement(Nowhere));
        for _ in 0..10 {
            let task = runtime.handle().spawn_stealable(async { 4 }).unwrap();
            assert_eq!(elsewhere(task).unwrap(), 4);
        }
        assert_eq!(runtime.stats_snapshot().total().misplaced, 10);
    });
}
