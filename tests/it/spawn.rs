//! Spawning: where tasks run, what refuses them, how they end, and what their handles say.

use std::cell::Cell;
use std::collections::HashSet;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;

use spargio::{JoinError, RuntimeError, RuntimeHandleOf, ShardCtx, ShardId, TaskPlacement};

use crate::parts::{Made, Make, for_each_assembly, runtime};
use crate::support::{Event, Plug, Tell, Watch, elsewhere, here, receive, wait_until, yield_now};

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
    an_aborted_task_that_never_ran_is_never_polled,
    a_waiting_task_is_aborted,
    a_running_task_is_aborted_after_its_poll,
    a_task_that_aborts_itself_ends,
    an_abort_after_the_end_changes_nothing,
    an_abort_handle_outlives_the_join_handle,
    a_dropped_handle_lets_the_task_go_on,
    a_panic_is_handed_to_who_awaits,
    a_panic_of_a_destructor_is_the_tasks,
    a_panic_of_a_detached_output_is_the_tasks,
    a_panic_of_an_aborted_future_is_reported,
    siblings_of_a_panic_go_on,
    local_tasks_share_what_is_not_send,
    a_local_task_is_made_on_its_shard,
    a_confined_future_is_dropped_on_its_shard_however_it_ends,
    a_handle_that_is_dropped_midway_loses_nothing,
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

fn an_aborted_task_that_never_ran_is_never_polled<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let handle = runtime.handle();
    let busy = Plug::new(&handle, 0);
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = |polls: &Arc<AtomicUsize>| {
        let polls = Arc::clone(polls);
        async move { polls.fetch_add(1, Ordering::SeqCst) }
    };
    let tasks = [
        handle.spawn_stealable(counted(&polls)).unwrap(),
        handle.spawn_pinned(0, counted(&polls)).unwrap(),
        {
            let polls = Arc::clone(&polls);
            let make = move |_| async move { polls.fetch_add(1, Ordering::SeqCst) };
            handle.spawn_local_on(0, make).unwrap()
        },
    ];
    tasks.iter().for_each(|task| task.abort());
    tasks.iter().for_each(|task| task.abort());
    drop(busy);
    for task in tasks {
        let error = elsewhere(task).unwrap_err();
        assert!(error.is_canceled(), "{error:?}");
        assert_eq!(error.to_string(), "the task was canceled");
    }
    assert_eq!(polls.load(Ordering::SeqCst), 0);
}

fn a_waiting_task_is_aborted<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    for number in 0..50u16 {
        let event = Event::default();
        let waits = event.clone();
        let (tell, told) = mpsc::channel();
        let task = runtime.spawn_on(number % 2, async move {
            let _tell = Tell(tell);
            waits.wait().await;
        });
        let task = task.unwrap();
        wait_until("the task waits", || event.waiting() == 1);
        assert!(!task.is_finished());
        task.abort();
        receive(&told, "the future is dropped");
        assert!(elsewhere(task).unwrap_err().is_canceled());
    }
}

fn a_running_task_is_aborted_after_its_poll<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let (go, gone) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let task = runtime.spawn_on(0, async move {
        let _tell = Tell(tell);
        begin.send(()).unwrap();
        gone.recv().unwrap();
        pending::<()>().await;
    });
    let task = task.unwrap();
    receive(&begun, "the task runs");
    task.abort();
    assert!(!task.is_finished());
    assert!(told.try_recv().is_err(), "the future is dropped under its own feet");
    go.send(()).unwrap();
    assert!(elsewhere(task).unwrap_err().is_canceled());
    receive(&told, "the future is dropped");
}

fn a_task_that_aborts_itself_ends<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let (send, receive_handle) = mpsc::channel::<spargio::AbortHandle>();
    let task = runtime.spawn_on(0, async move {
        let own = receive_handle.recv().unwrap();
        own.abort();
        pending::<()>().await;
    });
    let task = task.unwrap();
    send.send(task.abort_handle().unwrap()).unwrap();
    assert!(elsewhere(task).unwrap_err().is_canceled());
}

fn an_abort_after_the_end_changes_nothing<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let task = runtime.spawn_on(0, async { "kept" }).unwrap();
    let abort = task.abort_handle().unwrap();
    assert_eq!((abort.id(), task.id()), (task.id(), abort.id()));
    wait_until("the task ends", || task.is_finished() && abort.is_finished());
    abort.abort();
    task.abort();
    assert_eq!(elsewhere(task).unwrap(), "kept");
    abort.abort();
    // The slot of the task that ended is used again; the old handle must not reach the new task.
    let go = Event::default();
    let waits = go.clone();
    let next = runtime.spawn_on(0, async move { waits.wait().await }).unwrap();
    abort.abort();
    go.set();
    elsewhere(next).unwrap();
}

fn an_abort_handle_outlives_the_join_handle<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let (tell, told) = mpsc::channel();
    let tell = Tell(tell);
    let task = runtime.spawn_on(0, async move {
        let _tell = tell;
        pending::<()>().await;
    });
    let task = task.unwrap();
    let abort = task.abort_handle().unwrap();
    drop(task);
    assert!(!abort.is_finished());
    abort.clone().abort();
    receive(&told, "the detached task is dropped");
    wait_until("the handle says so", || abort.is_finished());
    drop(runtime);
    abort.abort();
    assert!(abort.is_finished());
}

fn a_dropped_handle_lets_the_task_go_on<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let (done, did) = mpsc::channel();
    for number in 0..100u16 {
        let done = done.clone();
        let job = async move {
            yield_now().await;
            done.send(number).unwrap();
        };
        drop(runtime.spawn_on(number % 2, job).unwrap());
    }
    let mut numbers: Vec<u16> = (0..100).map(|_| receive(&did, "a detached task ends")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

fn a_panic_is_handed_to_who_awaits<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let error = elsewhere(handle.spawn_stealable(async { panic!("plain") }).unwrap());
    let error: JoinError = error.unwrap_err();
    assert!(error.is_panic() && !error.is_canceled());
    assert_eq!(error.panic_message(), Some("plain"));
    assert_eq!(error.to_string(), "the task panicked: plain");
    let task = handle.spawn_pinned(1, async { panic!("formatted {}", 7) }).unwrap();
    let error = elsewhere(task).unwrap_err();
    assert_eq!(error.panic_message(), Some("formatted 7"));
    let task = handle.spawn_local_on(0, |_| async { std::panic::panic_any(77u32) }).unwrap();
    let error = elsewhere(task).unwrap_err();
    assert_eq!((error.panic_message(), error.to_string().as_str()), (None, "the task panicked"));
    let payload = error.try_into_panic().unwrap();
    assert_eq!(payload.downcast_ref::<u32>(), Some(&77));
    let task = handle.spawn_local_on(1, |_| -> Ready { panic!("the maker") }).unwrap();
    assert_eq!(elsewhere(task).unwrap_err().panic_message(), Some("the maker"));
}

/// A future of no consequence.
type Ready = std::future::Ready<()>;

/// Panics when it is dropped, unless a panic is under way.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

fn a_panic_of_a_destructor_is_the_tasks<M: Make>(watch: &Watch) {
    struct Done(#[expect(dead_code, reason = "its destructor matters")] Bomb);
    impl Future for Done {
        type Output = u8;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u8> {
            Poll::Ready(1)
        }
    }
    let runtime = runtime::<M>(watch, 1);
    let error = elsewhere(runtime.spawn_on(0, Done(Bomb("destructor"))).unwrap()).unwrap_err();
    assert_eq!(error.panic_message(), Some("destructor"));
    assert_eq!(elsewhere(runtime.spawn_on(0, async { 2 }).unwrap()).unwrap(), 2);
}

fn a_panic_of_a_detached_output_is_the_tasks<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let go = Event::default();
    let waits = go.clone();
    let job = async move {
        waits.wait().await;
        Bomb("the output of a detached task")
    };
    drop(runtime.spawn_on(0, job).unwrap());
    go.set();
    wait_until("the task ends", || runtime.stats_snapshot().total().live_tasks == 0);
    for _ in 0..10 {
        let task = runtime.spawn_on(0, async { 2 }).expect("the shard goes on");
        assert_eq!(elsewhere(task).unwrap(), 2);
    }
    let report = runtime.shutdown_timeout(crate::support::SOON);
    assert_eq!(report.shards_panicked, 0, "{report}");
}

fn a_panic_of_an_aborted_future_is_reported<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let event = Event::default();
    let waits = event.clone();
    let task = runtime.spawn_on(0, async move {
        let _bomb = Bomb("on abort");
        waits.wait().await;
    });
    let task = task.unwrap();
    wait_until("the task waits", || event.waiting() == 1);
    task.abort();
    assert_eq!(elsewhere(task).unwrap_err().panic_message(), Some("on abort"));
    assert_eq!(elsewhere(runtime.spawn_on(0, async { 2 }).unwrap()).unwrap(), 2);
}

fn siblings_of_a_panic_go_on<M: Make>(watch: &Watch) {
    const SIBLINGS: usize = 1_000;
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let go = Event::default();
    let tasks: Vec<_> = (0..SIBLINGS)
        .map(|number| {
            let go = go.clone();
            handle.spawn_stealable(async move {
                go.wait().await;
                yield_now().await;
                number
            })
        })
        .map(Result::unwrap)
        .collect();
    let waits = go.clone();
    let panics = handle.spawn_stealable(async move {
        waits.wait().await;
        panic!("one of many");
    });
    wait_until("all wait", || go.waiting() == SIBLINGS + 1);
    go.set();
    assert!(elsewhere(panics.unwrap()).unwrap_err().is_panic());
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(elsewhere(task).unwrap(), number);
    }
}

fn local_tasks_share_what_is_not_send<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    for shard in 0..2u16 {
        let make = |ctx: ShardCtx| async move {
            let count = Rc::new(Cell::new(0));
            let mut tasks = Vec::new();
            for _ in 0..100 {
                let count = Rc::clone(&count);
                let job = async move {
                    for _ in 0..10 {
                        yield_now().await;
                        count.set(count.get() + 1);
                    }
                    count
                };
                tasks.push(ctx.spawn_local(job).unwrap());
            }
            for task in tasks {
                assert!(Rc::ptr_eq(&task.await.unwrap(), &count));
            }
            assert_eq!(Rc::strong_count(&count), 1);
            count.get()
        };
        let task = runtime.handle().spawn_local_on(shard, make).unwrap();
        assert_eq!(elsewhere(task).unwrap(), 1_000);
    }
}

fn a_local_task_is_made_on_its_shard<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 3);
    for shard in 0..3u16 {
        let make = |ctx: ShardCtx| {
            let made_on = (ctx.shard_id(), here());
            async move {
                yield_now().await;
                (made_on, here())
            }
        };
        let task = runtime.handle().spawn_local_on(shard, make).unwrap();
        let expected = ShardId::new(shard);
        assert_eq!(elsewhere(task).unwrap(), ((expected, expected), expected));
    }
}

fn a_confined_future_is_dropped_on_its_shard_however_it_ends<M: Make>(watch: &Watch) {
    let mut runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let ask = handle.spawn_local_on(1, |_| async { thread::current().id() }).unwrap();
    let expected = elsewhere(ask).unwrap();
    let (tell, told) = mpsc::channel();
    let event = Event::default();
    let spawn = |end: &'static str| {
        let (tell, event) = (tell.clone(), event.clone());
        let make = move |_| {
            let tell = (Tell(tell), Rc::new(()));
            async move {
                let _tell = tell;
                match end {
                    "finish" => {}
                    "panic" => panic!("as planned"),
                    _ => event.wait().await,
                }
            }
        };
        handle.spawn_local_on(1, make).unwrap()
    };
    elsewhere(spawn("finish")).unwrap();
    assert_eq!(receive(&told, "finished"), expected);
    elsewhere(spawn("panic")).unwrap_err();
    assert_eq!(receive(&told, "panicked"), expected);
    let aborted = spawn("wait");
    wait_until("the task waits", || event.waiting() == 1);
    aborted.abort();
    assert_eq!(receive(&told, "aborted"), expected);
    let (waiting, detached) = (spawn("wait"), spawn("wait"));
    drop(detached);
    wait_until("both wait", || event.waiting() == 3);
    elsewhere(runtime.shutdown());
    for _ in 0..2 {
        assert_eq!(receive(&told, "shut down"), expected);
    }
    assert!(elsewhere(waiting).unwrap_err().is_canceled());
}

fn a_handle_that_is_dropped_midway_loses_nothing<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let go = Event::default();
    let waits = go.clone();
    let mut task = runtime.spawn_on(0, async move {
        waits.wait().await;
        "there"
    });
    let task = task.as_mut().unwrap();
    elsewhere(async {
        let mut polls = 0;
        std::future::poll_fn(|cx| {
            polls += 1;
            assert!(Pin::new(&mut *task).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    });
    go.set();
    assert_eq!(elsewhere(task).unwrap(), "there");
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
