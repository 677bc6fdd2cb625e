//! More tasks than a stuck shard takes: those at the limit come back with their futures, and what
//! is kept is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use spargio::{Assembly, JoinHandle, RuntimeError, RuntimeHandleOf, ShardId, TaskPlacement};

use crate::parts::{Make, for_each_assembly, runtime};
use crate::support::{Plug, Watch, elsewhere};

for_each_assembly! {
    of_half_a_million_tasks_a_stuck_shard_keeps_as_many_as_the_limit,
    what_a_shard_spawns_on_a_stuck_one_ends_at_the_same_limit,
}

/// What a future owns; counts how many of them there are.
struct Cargo {
    number: usize,
    alive: Arc<AtomicUsize>,
}

impl Cargo {
    fn new(number: usize, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { number, alive: Arc::clone(alive) }
    }

    async fn job(self) -> usize {
        self.number
    }
}

impl Drop for Cargo {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Spawns the tasks of these numbers. The handles of those that were taken; each of the others came
/// back as it went.
fn spawn_all<A: Assembly>(
    handle: &RuntimeHandleOf<A>,
    placements: &[TaskPlacement],
    numbers: std::ops::Range<usize>,
    limit: usize,
    alive: &Arc<AtomicUsize>,
) -> Vec<(usize, JoinHandle<usize>)> {
    let before = alive.load(Ordering::Relaxed);
    let mut taken = Vec::new();
    for number in numbers {
        let job = Cargo::new(number, alive).job();
        let placement = placements[number % placements.len()];
        match handle.try_spawn_with_placement(placement, job) {
            Ok(task) => taken.push((number, task)),
            Err(refused) => {
                let RuntimeError::Overloaded { what, limit: said } = refused.error else {
                    panic!("task {number}: {}", refused.error);
                };
                assert_eq!((what, said), ("tasks waiting on the shard", limit));
                assert_eq!(elsewhere(refused.future), number, "the future came back");
            }
        }
        let kept = alive.load(Ordering::Relaxed) - before;
        assert_eq!(kept, taken.len(), "futures are kept that were refused");
    }
    taken
}

/// Lets the shard go on. Each task that was taken ends once and with its own result.
fn end_all(plug: Plug, tasks: Vec<(usize, JoinHandle<usize>)>, alive: &AtomicUsize) {
    drop(plug);
    for (number, task) in tasks {
        assert_eq!(elsewhere(task).unwrap(), number);
    }
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

fn of_half_a_million_tasks_a_stuck_shard_keeps_as_many_as_the_limit<M: Make>(watch: &Watch) {
    const SPAWNS: usize = 500_000;
    const LIMIT: usize = 65_536;
    // The limit is the default.
    let runtime = runtime::<M>(watch, 1);
    let handle = runtime.handle();
    let alive = Arc::default();
    let plug = Plug::new(&handle, 0);
    let shard = ShardId::new(0);
    let placements = [
        TaskPlacement::Stealable,
        TaskPlacement::Pinned(shard),
        TaskPlacement::StealablePreferred(shard),
        TaskPlacement::RoundRobin,
    ];
    let tasks = spawn_all(&handle, &placements, 0..SPAWNS, LIMIT, &alive);
    assert_eq!(tasks.len(), LIMIT);
    assert!(tasks.iter().map(|task| task.0).eq(0..LIMIT), "nothing is taken after a refusal");
    let stats = handle.stats_snapshot().total();
    assert_eq!(stats.spawns_refused, (SPAWNS - LIMIT) as u64);
    end_all(plug, tasks, &alive);
    // There is room again.
    let plug = Plug::new(&handle, 0);
    let again = spawn_all(&handle, &placements, 0..4, LIMIT, &alive);
    assert_eq!(again.len(), 4);
    end_all(plug, again, &alive);
}

fn what_a_shard_spawns_on_a_stuck_one_ends_at_the_same_limit<M: Make>(watch: &Watch) {
    const SPAWNS: usize = 20_000;
    const LIMIT: usize = 1_000;
    let builder = M::builder().shards(2).ring_entries(32).stealable_queue_capacity(LIMIT);
    let runtime = watch.build(builder);
    let handle = runtime.handle();
    let alive = Arc::default();
    let plug = Plug::new(&handle, 1);
    // Half of what there is room for comes from outside.
    let pinned = [TaskPlacement::Pinned(ShardId::new(1))];
    let mut tasks = spawn_all(&handle, &pinned, 0..LIMIT / 2, LIMIT, &alive);
    let (inside, counted) = (handle.clone(), Arc::clone(&alive));
    let spawner = handle.spawn_pinned(0, async move {
        spawn_all(&inside, &pinned, LIMIT / 2..SPAWNS, LIMIT, &counted)
    });
    tasks.extend(elsewhere(spawner.unwrap()).unwrap());
    assert_eq!(tasks.len(), LIMIT);
    end_all(plug, tasks, &alive);
}
