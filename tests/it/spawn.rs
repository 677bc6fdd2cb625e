//! Spawning: where tasks run, what refuses them, and from where their handles are awaited.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use spargio::{RuntimeError, RuntimeHandleOf, ShardCtx, ShardId, TaskPlacement};

use crate::parts::{Made, Make, for_each_assembly, runtime};
use crate::support::{Event, Plug, Watch, elsewhere, here, receive, wait_until, yield_now};

for_each_assembly! {
    a_pinned_task_runs_on_its_shard_at_every_poll,
    a_preferred_shard_runs_the_task_when_nobody_takes_it,
    round_robin_visits_each_shard_equally_and_stays,
    the_same_key_runs_on_the_same_shard,
    a_stealable_task_spawned_inside_starts_here_unless_taken,
    a_shard_that_does_not_exist_is_named,
    what_is_spawned_from_outside_runs,
    what_is_spawned_from_inside_runs,
    the_ambient_runtime_is_the_one_around,
    without_a_runtime_the_ambient_spawn_says_so,
    the_limit_of_live_tasks_gives_the_future_back,
    the_limit_of_waiting_tasks_gives_the_future_back,
    a_runtime_that_is_shut_down_gives_the_future_back,
    a_handle_is_awaited_on_any_executor,
    a_handle_is_awaited_in_another_runtime,
    identities_are_unique,
}

async fn pass_through(times: usize) -> HashSet<ShardId> {
    let mut seen = HashSet::from([here()]);
    for _ in 0..times {
        yield_now().await;
        seen.insert(here());
    }
    seen
}

fn a_pinned_task_runs_on_its_shard_at_every_poll<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 3);
    let tasks: Vec<_> = (0..30u16)
        .map(|number| (number % 3, runtime.spawn_on(number % 3, pass_through(200)).unwrap()))
        .collect();
    for (shard, task) in tasks {
        assert_eq!(runtime.block_on(task).unwrap(), HashSet::from([ShardId::new(shard)]));
    }
    let narrowed = runtime.handle().on(2).unwrap();
    assert_eq!(narrowed.shard_id(), ShardId::new(2));
    assert_eq!(narrowed.runtime().shard_count(), 3);
    let task = narrowed.spawn_pinned(pass_through(50)).unwrap();
    assert_eq!(elsewhere(task).unwrap(), HashSet::from([ShardId::new(2)]));
}

fn a_preferred_shard_runs_the_task_when_nobody_takes_it<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    // The other shard cannot take anything.
    let _busy = Plug::new(&runtime.handle(), 0);
    for _ in 0..20 {
        let task = runtime.handle().spawn_stealable_on(1, async { here() }).unwrap();
        assert_eq!(runtime.block_on(task).unwrap(), ShardId::new(1));
    }
}

fn round_robin_visits_each_shard_equally_and_stays<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 3);
    let spawn = |_| {
        let handle = runtime.handle();
        handle.spawn_with_placement(TaskPlacement::RoundRobin, pass_through(20)).unwrap()
    };
    let tasks: Vec<_> = (0..30).map(spawn).collect();
    let mut visits = [0; 3];
    for task in tasks {
        let seen = runtime.block_on(task).unwrap();
        assert_eq!(seen.len(), 1, "the task moved: {seen:?}");
        visits[seen.iter().next().unwrap().index()] += 1;
    }
    assert_eq!(visits, [10; 3]);
}

fn the_same_key_runs_on_the_same_shard<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 3);
    let mut all = HashSet::new();
    for key in 0..40 {
        let mut seen = HashSet::new();
        for _ in 0..3 {
            let placement = TaskPlacement::Sticky(key);
            let task = runtime.handle().spawn_with_placement(placement, pass_through(5)).unwrap();
            seen.extend(runtime.block_on(task).unwrap());
        }
        assert_eq!(seen.len(), 1, "key {key} ran on {seen:?}");
        all.extend(seen);
    }
    assert_eq!(all.len(), 3, "the keys of all tasks belong to {all:?}");
}

fn a_stealable_task_spawned_inside_starts_here_unless_taken<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let _busy = Plug::new(&handle, 0);
    let inner = handle.clone();
    let task = runtime.spawn_on(1, async move {
        let task = inner.spawn_stealable(async { here() }).unwrap();
        task.await.unwrap()
    });
    assert_eq!(elsewhere(task.unwrap()).unwrap(), ShardId::new(1));
}

fn a_shard_that_does_not_exist_is_named<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let answers = [
        handle.spawn_pinned(2, async {}).map(drop),
        handle.spawn_stealable_on(2, async {}).map(drop),
        handle.spawn_local_on(2, |_| async {}).map(drop),
        handle.on(2).map(drop),
        runtime.spawn_on(2, async {}).map(drop),
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        let RuntimeError::InvalidShard { shard, shards: 2 } = error else { panic!("{error:?}") };
        assert_eq!(shard, ShardId::new(2));
        assert_eq!(error.to_string(), "there is no shard 2: the runtime has 2, counted from 0");
    }
    for placement in [
        TaskPlacement::Pinned(ShardId::EXTERNAL),
        TaskPlacement::StealablePreferred(ShardId::EXTERNAL),
    ] {
        let refused = handle.try_spawn_with_placement(placement, async { 5 }).unwrap_err();
        assert!(matches!(refused.error, RuntimeError::InvalidShard { .. }), "{refused:?}");
        assert_eq!(elsewhere(refused.future), 5, "the future came back");
    }
}

fn every_way<A: spargio::Assembly>(handle: &RuntimeHandleOf<A>) -> usize {
    let placements = [
        TaskPlacement::Pinned(ShardId::new(0)),
        TaskPlacement::Pinned(ShardId::new(1)),
        TaskPlacement::RoundRobin,
        TaskPlacement::Sticky(7),
        TaskPlacement::Stealable,
        TaskPlacement::StealablePreferred(ShardId::new(0)),
        TaskPlacement::StealablePreferred(ShardId::new(1)),
    ];
    let (done, did) = mpsc::channel();
    let mut count = 0;
    for placement in placements {
        let done = done.clone();
        let job = async move {
            yield_now().await;
            done.send(here()).unwrap();
        };
        drop(handle.spawn_with_placement(placement, job).unwrap());
        count += 1;
    }
    for shard in 0..2u16 {
        let done = done.clone();
        let make = move |ctx: ShardCtx| async move { done.send(ctx.shard_id()).unwrap() };
        drop(handle.spawn_local_on(shard, make).unwrap());
        count += 1;
    }
    // Not on this thread if it is a shard: it must not block.
    thread::spawn(move || {
        for _ in 0..count {
            receive(&did, "a spawned task runs");
        }
    });
    count
}

fn what_is_spawned_from_outside_runs<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    every_way(&runtime.handle());
                }
            });
        }
    });
    wait_until("all tasks end", || runtime.stats_snapshot().total().live_tasks == 0);
    assert_eq!(runtime.stats_snapshot().total().spawned, 4 * 10 * 9);
}

fn what_is_spawned_from_inside_runs<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    for shard in 0..2u16 {
        let handle = runtime.handle();
        let count = runtime.spawn_on(shard, async move { every_way(&handle) }).unwrap();
        assert_eq!(elsewhere(count).unwrap(), 9);
    }
    wait_until("all tasks end", || runtime.stats_snapshot().total().live_tasks == 0);
    assert_eq!(runtime.stats_snapshot().total().spawned, 2 * 10);
}

fn the_ambient_runtime_is_the_one_around<M: Make>(watch: &Watch) {
    let one = runtime::<M>(watch, 1);
    let two = runtime::<M>(watch, 2);
    let current = || RuntimeHandleOf::<Made<M>>::current().map(|handle| handle.shard_count());
    assert_eq!(current(), None);
    let nested = one.block_on(async {
        let around = two.handle().enter(current);
        (current(), around, current())
    });
    assert_eq!(nested, (Some(1), Some(2), Some(1)));
    assert_eq!(current(), None);
    let task = two.handle().spawn_local_on(1, move |_| async move {
        let local = spargio::spawn_local(async { Rc::new(here()) }).unwrap().await.unwrap();
        let task = spargio::spawn(async move { current() }).unwrap();
        (*local, task.await.unwrap())
    });
    assert_eq!(one.block_on(task.unwrap()).unwrap(), (ShardId::new(1), Some(2)));
    assert_eq!(
        one.block_on(async { spargio::spawn(async move { current() }).unwrap().await }).unwrap(),
        Some(1)
    );
    // The thread of a block_on is no shard.
    one.block_on(async {
        assert!(ShardCtx::current().is_none());
        let error = spargio::spawn_local(async {}).unwrap_err();
        assert!(matches!(error, RuntimeError::NoRuntime), "{error:?}");
    });
}

fn without_a_runtime_the_ambient_spawn_says_so<M: Make>(_: &Watch) {
    let answers = [
        spargio::spawn(async {}).map(drop),
        spargio::spawn_stealable_on(0, async {}).map(drop),
        spargio::spawn_local(async {}).map(drop),
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(matches!(error, RuntimeError::NoRuntime), "{error:?}");
        assert!(error.to_string().contains("RuntimeHandle"), "{error}");
    }
}

fn the_limit_of_live_tasks_gives_the_future_back<M: Make>(watch: &Watch) {
    let runtime = watch.build(M::builder().shards(1).max_tasks(3));
    let handle = runtime.handle();
    let go = Event::default();
    let spawn = || {
        let go = go.clone();
        handle.try_spawn_with_placement(TaskPlacement::Stealable, async move { go.wait().await })
    };
    let tasks: Vec<_> = (0..3).map(|_| spawn().unwrap()).collect();
    let refused = spawn().unwrap_err();
    assert_eq!(refused.to_string(), "the limit of 3 live tasks of the shard is reached");
    let RuntimeError::Overloaded { limit: 3, .. } = refused.error else { panic!("{refused:?}") };
    let local = handle.spawn_local_on(0, |_| async {}).unwrap_err();
    assert!(matches!(local, RuntimeError::Overloaded { limit: 3, .. }), "{local:?}");
    go.set();
    elsewhere(refused.future);
    for task in tasks {
        elsewhere(task).unwrap();
    }
    elsewhere(spawn().unwrap()).unwrap();
}

fn the_limit_of_waiting_tasks_gives_the_future_back<M: Make>(watch: &Watch) {
    let runtime = watch.build(M::builder().shards(1).stealable_queue_capacity(4));
    let handle = runtime.handle();
    let busy = Plug::new(&handle, 0);
    let spawn = |placement| handle.try_spawn_with_placement(placement, async { 9 });
    let shard = ShardId::new(0);
    let tasks: Vec<_> = [
        TaskPlacement::Stealable,
        TaskPlacement::Pinned(shard),
        TaskPlacement::StealablePreferred(shard),
        TaskPlacement::RoundRobin,
    ]
    .map(|placement| spawn(placement).unwrap())
    .into();
    for placement in [TaskPlacement::Stealable, TaskPlacement::Pinned(shard)] {
        let refused = spawn(placement).unwrap_err();
        assert_eq!(refused.to_string(), "the limit of 4 tasks waiting on the shard is reached");
        assert_eq!(elsewhere(refused.future), 9, "the future came back");
    }
    let local = handle.spawn_local_on(0, |_| async {}).unwrap_err();
    assert!(matches!(local, RuntimeError::Overloaded { limit: 4, .. }), "{local:?}");
    drop(busy);
    for task in tasks {
        assert_eq!(elsewhere(task).unwrap(), 9);
    }
    assert_eq!(elsewhere(spawn(TaskPlacement::Stealable).unwrap()).unwrap(), 9);
}

fn a_runtime_that_is_shut_down_gives_the_future_back<M: Make>(watch: &Watch) {
    let mut runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    elsewhere(runtime.shutdown());
    for placement in [
        TaskPlacement::Stealable,
        TaskPlacement::RoundRobin,
        TaskPlacement::Sticky(1),
        TaskPlacement::Pinned(ShardId::new(1)),
        TaskPlacement::StealablePreferred(ShardId::new(1)),
    ] {
        let refused = handle.try_spawn_with_placement(placement, async { 3 }).unwrap_err();
        assert!(matches!(refused.error, RuntimeError::Closed), "{refused:?}");
        assert_eq!(elsewhere(refused.future), 3, "the future came back");
    }
    let local = handle.spawn_local_on(0, |_| async {}).unwrap_err();
    assert!(matches!(local, RuntimeError::Closed), "{local:?}");
    let ambient = handle.enter(|| spargio::spawn(async {}).map(drop).unwrap_err());
    assert!(matches!(ambient, RuntimeError::Closed), "{ambient:?}");
}

fn a_handle_is_awaited_on_any_executor<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    for number in 0..200u16 {
        let task = runtime.spawn_on(number % 2, async move { number }).unwrap();
        assert_eq!(elsewhere(task).unwrap(), number);
    }
    let go = Event::default();
    let waits = go.clone();
    let task = runtime.spawn_on(0, async move { waits.wait().await }).unwrap();
    let thread = thread::spawn(move || elsewhere(task).unwrap());
    go.set();
    thread.join().unwrap();
}

fn a_handle_is_awaited_in_another_runtime<M: Make>(watch: &Watch) {
    let one = runtime::<M>(watch, 2);
    let two = runtime::<M>(watch, 2);
    for number in 0..100u16 {
        let handle = one.handle();
        let outer = two.spawn_on(number % 2, async move {
            let inner = handle.spawn_pinned(number % 2, async move {
                yield_now().await;
                number
            });
            (inner.unwrap().await.unwrap(), here())
        });
        let (answer, shard) = elsewhere(outer.unwrap()).unwrap();
        assert_eq!((answer, shard.get()), (number, number % 2));
    }
}

fn identities_are_unique<M: Make>(watch: &Watch) {
    let one = runtime::<M>(watch, 2);
    let two = runtime::<M>(watch, 1);
    let mut seen = HashSet::new();
    for _ in 0..500 {
        for runtime in [&one, &two] {
            let task = runtime.handle().spawn_stealable(async {}).unwrap();
            let id = task.id();
            assert!(seen.insert(id), "{id} twice");
            elsewhere(task).unwrap();
        }
    }
}
