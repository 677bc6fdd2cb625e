//! Stealing: whatever waits behind a shard that is stuck runs elsewhere soon, and what is pinned
//! stays.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use spargio::doorbell::MsgRing;
use spargio::driver::Uring;
use spargio::placement::LeastLoaded;
use spargio::queue::BlockQueue;
use spargio::{
    Builder, MAX_BACKOFF, MAX_SPIN, Runtime, ShardId, SpawnOptions, StealOptions, TaskPlacement,
};

use crate::parts::{Make, for_each_assembly, runtime};
use crate::support::{Event, Plug, Watch, elsewhere, here, receive, wait_until, yield_now};

/// The native parts, with a queue of blocks.
struct Blocks;

impl Make for Blocks {
    type Doorbell = MsgRing;
    type Queue = BlockQueue;
    type Placement = LeastLoaded;

    fn builder() -> Builder<Uring, MsgRing, BlockQueue, LeastLoaded> {
        Runtime::builder().steal_queue::<BlockQueue>()
    }
}

/// Makes a test of each function for each assembly, that of blocks included.
macro_rules! for_each_queue {
    ($($name:ident,)+) => {
        for_each_assembly! { $($name,)+ }
        mod blocks {
            $(#[test]
            fn $name() {
                crate::support::watched(|watch| super::$name::<super::Blocks>(watch));
            })+
        }
    };
}

for_each_queue! {
    one_task_behind_a_long_poll_starts_elsewhere,
    a_task_that_has_run_before_is_stolen,
    what_a_long_poll_spawned_last_runs_elsewhere,
    what_a_long_poll_woke_last_runs_elsewhere,
    what_a_long_poll_woke_while_nobody_slept_runs_elsewhere,
    what_a_long_poll_spawned_after_short_ones_runs_elsewhere,
    what_the_hook_for_slow_polls_woke_runs_elsewhere,
    a_pinned_task_waits_for_its_shard,
    a_burst_spreads,
    a_burst_behind_a_long_poll_ends_without_it,
    every_task_of_a_storm_runs_once_at_a_time,
    small_batches_and_strides_reach_every_victim,
    a_margin_keeps_tasks_at_home,
    a_theft_moves_no_more_than_its_batch,
    old_tasks_behind_a_long_poll_are_stolen_with_the_new_ones,
    computing_tasks_of_one_shard_keep_both_busy,
    a_small_burst_wakes_one_of_many_sleepers,
    a_shard_in_back_off_finds_what_others_have,
    a_shard_in_back_off_sees_at_once_what_is_left_for_it,
}

fn one_task_behind_a_long_poll_starts_elsewhere<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    for stuck in [0u16, 1] {
        let _plug = Plug::new(&handle, stuck);
        for _ in 0..20 {
            let task = handle.spawn_stealable_on(stuck, async { here() }).unwrap();
            assert_eq!(elsewhere(task).unwrap(), ShardId::new(1 - stuck));
        }
    }
    assert!(runtime.stats_snapshot().total().stolen >= 40);
}

fn a_task_that_has_run_before_is_stolen<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    // Bound to start at shard 0, because shard 1 is stuck.
    let plug = Plug::new(&handle, 1);
    let event = Event::default();
    let waits = event.clone();
    let task = handle.spawn_stealable_on(0, async move {
        let before = here();
        waits.wait().await;
        (before, here())
    });
    wait_until("the task waits", || event.waiting() == 1);
    let _plug = Plug::new(&handle, 0);
    drop(plug);
    event.set();
    assert_eq!(elsewhere(task.unwrap()).unwrap(), (ShardId::new(0), ShardId::new(1)));
}

/// A task of shard 0 that does `act` and then sits in its poll until what it started says so.
fn act_and_wait<M: Make>(watch: &Watch, act: impl FnOnce(mpsc::Sender<ShardId>) + Send + 'static) {
    let runtime = runtime::<M>(watch, 2);
    let task = runtime.spawn_on(0, async move {
        let (done, did) = mpsc::channel();
        act(done);
        receive(&did, "the task runs during the long poll")
    });
    assert_eq!(elsewhere(task.unwrap()).unwrap(), ShardId::new(1));
}

fn what_a_long_poll_spawned_last_runs_elsewhere<M: Make>(watch: &Watch) {
    for _ in 0..10 {
        act_and_wait::<M>(watch, |done| {
            drop(spargio::spawn(async move { done.send(here()).unwrap() }).unwrap());
        });
    }
}

fn what_a_long_poll_woke_last_runs_elsewhere<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    for _ in 0..10 {
        let event = Event::default();
        let waits = event.clone();
        let (done, did) = mpsc::channel();
        let woken = runtime.handle().spawn_stealable(async move {
            waits.wait().await;
            done.send(here()).unwrap();
        });
        wait_until("the task waits", || event.waiting() == 1);
        let task = runtime.spawn_on(0, async move {
            event.set();
            receive(&did, "the woken task runs during the long poll")
        });
        assert_eq!(elsewhere(task.unwrap()).unwrap(), ShardId::new(1));
        elsewhere(woken.unwrap()).unwrap();
    }
}

fn what_a_long_poll_woke_while_nobody_slept_runs_elsewhere<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    for _ in 0..10 {
        // Shard 1 is awake, in a poll of its own, when shard 0 wakes the task; nobody could be
        // called for help.
        let plug = Plug::new(&runtime.handle(), 1);
        let task = runtime.spawn_on(0, async move {
            let (done, did) = mpsc::channel();
            drop(spargio::spawn(async move { done.send(here()).unwrap() }).unwrap());
            drop(plug);
            receive(&did, "the task runs during the long poll")
        });
        assert_eq!(elsewhere(task.unwrap()).unwrap(), ShardId::new(1));
    }
}

/// How soon, `cargo bench --bench promises -- slot` says: here others may use the machine.
fn what_a_long_poll_spawned_after_short_ones_runs_elsewhere<M: Make>(watch: &Watch) {
    // Short polls that use the slot make looks at it in vain, so that they become rare.
    const SHORT: Duration = Duration::from_millis(20);
    let runtime = runtime::<M>(watch, 2);
    for _ in 0..5 {
        let task = runtime.handle().spawn_pinned(0, async {
            let began = Instant::now();
            while began.elapsed() < SHORT {
                spargio::spawn(async {}).unwrap().await.unwrap();
            }
            let (done, did) = mpsc::channel();
            drop(spargio::spawn(async move { done.send(here()).unwrap() }).unwrap());
            receive(&did, "the task runs during the long poll")
        });
        assert_eq!(elsewhere(task.unwrap()).unwrap(), ShardId::new(1));
    }
}

/// Each poll is slow here, so that nothing but the hook comes between two of them.
fn what_the_hook_for_slow_polls_woke_runs_elsewhere<M: Make>(watch: &Watch) {
    let event = Event::default();
    let wakes = event.clone();
    let builder = M::builder().shards(2).slow_poll_threshold(Duration::from_nanos(1)).on_slow_poll(
        move |poll| {
            if poll.name.as_deref() == Some("last") {
                wakes.set();
            }
        },
    );
    let runtime = watch.build(builder);
    let handle = runtime.handle();
    let running = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (event, running) = (event.clone(), Arc::clone(&running));
            let task = handle.spawn_stealable(async move {
                event.wait().await;
                running.fetch_add(1, Ordering::SeqCst);
                wait_until("both run at once", || running.load(Ordering::SeqCst) == 2);
                here()
            });
            task.unwrap()
        })
        .collect();
    wait_until("both wait", || event.waiting() == 2);
    let parks = || runtime.stats_snapshot().shards[1].parks;
    wait_until("shard 1 sleeps for good", || {
        let before = parks();
        // Who looks at others by itself does so every 12.8 ms at least.
        thread::sleep(Duration::from_millis(50));
        parks() == before
    });
    let options = SpawnOptions::new().name("last").placement(TaskPlacement::Pinned(0.into()));
    elsewhere(handle.spawn_with(options, async {}).unwrap()).unwrap();
    let ran: HashSet<_> = tasks.into_iter().map(|task| elsewhere(task).unwrap()).collect();
    assert_eq!(ran.len(), 2);
}

fn a_pinned_task_waits_for_its_shard<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 0);
    let ran = Arc::new(AtomicBool::new(false));
    let spawn = |placement| {
        let ran = Arc::clone(&ran);
        let job = async move {
            ran.store(true, Ordering::SeqCst);
            yield_now().await;
            here()
        };
        handle.spawn_with_placement(placement, job).unwrap()
    };
    let pinned: Vec<_> = (0..10).map(|_| spawn(TaskPlacement::Pinned(ShardId::new(0)))).collect();
    // The other shard gets through everything it could take, and takes none of the pinned.
    for _ in 0..50 {
        let task = handle.spawn_stealable_on(0, async { here() }).unwrap();
        assert_eq!(elsewhere(task).unwrap(), ShardId::new(1));
    }
    assert!(!ran.load(Ordering::SeqCst), "a pinned task ran on another shard");
    drop(plug);
    for task in pinned {
        assert_eq!(elsewhere(task).unwrap(), ShardId::new(0));
    }
}

fn a_burst_spreads<M: Make>(watch: &Watch) {
    const SHARDS: usize = 4;
    let runtime = runtime::<M>(watch, SHARDS);
    // One task spawns as many as there are shards; each ends only when all of them run at once.
    let task = runtime.spawn_on(0, async {
        let running = Arc::new(AtomicUsize::new(0));
        let spawn = || {
            let running = Arc::clone(&running);
            let job = async move {
                running.fetch_add(1, Ordering::SeqCst);
                let all = || running.load(Ordering::SeqCst) == SHARDS;
                wait_until("every shard runs one of the tasks", all);
                here()
            };
            spargio::spawn(job).unwrap()
        };
        let tasks: Vec<_> = (0..SHARDS).map(|_| spawn()).collect();
        let mut shards = HashSet::new();
        for task in tasks {
            shards.insert(task.await.unwrap());
        }
        shards
    });
    assert_eq!(elsewhere(task.unwrap()).unwrap().len(), SHARDS);
}

fn a_burst_behind_a_long_poll_ends_without_it<M: Make>(watch: &Watch) {
    const TASKS: usize = 500;
    let runtime = runtime::<M>(watch, 3);
    let task = runtime.spawn_on(1, async {
        let (done, did) = mpsc::channel();
        for _ in 0..TASKS {
            let done = done.clone();
            let job = async move {
                yield_now().await;
                done.send(here()).unwrap();
            };
            drop(spargio::spawn(job).unwrap());
        }
        (0..TASKS).map(|_| receive(&did, "a task of the burst runs")).collect::<HashSet<_>>()
    });
    let shards = elsewhere(task.unwrap()).unwrap();
    assert!(!shards.contains(&ShardId::new(1)), "{shards:?}");
}

fn every_task_of_a_storm_runs_once_at_a_time<M: Make>(watch: &Watch) {
    const TASKS: usize = 300;
    const POLLS: usize = 50;
    let runtime = runtime::<M>(watch, 4);
    let handle = runtime.handle();
    let polled = Arc::new(AtomicUsize::new(0));
    let spawn = |number: usize| {
        let polled = Arc::clone(&polled);
        let inside = AtomicBool::new(false);
        let job = async move {
            for _ in 0..POLLS {
                assert!(!inside.swap(true, Ordering::SeqCst), "polled by two shards at once");
                polled.fetch_add(1, Ordering::SeqCst);
                if number.is_multiple_of(16) {
                    thread::yield_now();
                }
                assert!(inside.swap(false, Ordering::SeqCst));
                yield_now().await;
            }
        };
        handle.spawn_stealable_on((number % 4) as u16, job).unwrap()
    };
    let tasks: Vec<_> = (0..TASKS).map(spawn).collect();
    for task in tasks {
        elsewhere(task).unwrap();
    }
    assert_eq!(polled.load(Ordering::SeqCst), TASKS * POLLS);
}

fn small_batches_and_strides_reach_every_victim<M: Make>(watch: &Watch) {
    let options = StealOptions {
        batch_size: 1,
        victim_probe_count: 1,
        victim_stride: 2,
        ..StealOptions::default()
    };
    let runtime = watch.build(M::builder().shards(4).steal(options));
    let handle = runtime.handle();
    for stuck in 0..4u16 {
        let _plug = Plug::new(&handle, stuck);
        for _ in 0..5 {
            let task = handle.spawn_stealable_on(stuck, async { here() }).unwrap();
            assert_ne!(elsewhere(task).unwrap(), ShardId::new(stuck));
        }
    }
}

fn a_margin_keeps_tasks_at_home<M: Make>(watch: &Watch) {
    let options = StealOptions { locality_margin: 2, ..StealOptions::default() };
    let runtime = watch.build(M::builder().shards(2).steal(options));
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 0);
    let spawn = || handle.spawn_stealable_on(0, async { here() }).unwrap();
    let kept = [spawn(), spawn()];
    // A third one makes the backlog longer than the margin, so one is taken.
    let more = spawn();
    let taken = || [&kept[0], &kept[1], &more].iter().filter(|task| task.is_finished()).count();
    wait_until("one task is taken", || taken() > 0);
    assert_eq!(taken(), 1);
    drop(plug);
    let [first, second] = kept;
    let ran = [first, second, more].map(|task| elsewhere(task).unwrap().index());
    assert!(ran.contains(&1), "{ran:?}");
}

fn a_theft_moves_no_more_than_its_batch<M: Make>(watch: &Watch) {
    const TASKS: u64 = 40;
    for batch_size in [1, 3] {
        let runtime = watch.build(M::builder().shards(2).steal_batch_size(batch_size));
        let handle = runtime.handle();
        let _plug = Plug::new(&handle, 0);
        let before = runtime.stats_snapshot().shards[1];
        let spawn = |_| handle.spawn_stealable_on(0, async { here() }).unwrap();
        let tasks: Vec<_> = (0..TASKS).map(spawn).collect();
        for task in tasks {
            assert_eq!(elsewhere(task).unwrap(), ShardId::new(1));
        }
        let after = runtime.stats_snapshot().shards[1];
        // The placement sees the long poll, and sends some of them elsewhere by itself.
        let stolen = after.stolen - before.stolen;
        assert!((1..=TASKS).contains(&stolen), "{stolen} stolen");
        let thefts = after.steal_success - before.steal_success;
        assert!(thefts >= stolen.div_ceil(batch_size as u64), "{thefts} thefts of {batch_size}");
    }
}

fn old_tasks_behind_a_long_poll_are_stolen_with_the_new_ones<M: Make>(watch: &Watch) {
    const EACH: usize = 20;
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 1);
    let event = Event::default();
    let old = |_| {
        let waits = event.clone();
        let task = handle.spawn_stealable_on(0, async move {
            let before = here();
            waits.wait().await;
            (before, here())
        });
        task.unwrap()
    };
    let old: Vec<_> = (0..EACH).map(old).collect();
    wait_until("the old tasks wait", || event.waiting() == EACH);
    let _plug = Plug::new(&handle, 0);
    event.set();
    let new = |_| handle.spawn_stealable_on(0, async { here() }).unwrap();
    let new: Vec<_> = (0..EACH).map(new).collect();
    drop(plug);
    for task in old {
        assert_eq!(elsewhere(task).unwrap(), (ShardId::new(0), ShardId::new(1)));
    }
    for task in new {
        assert_eq!(elsewhere(task).unwrap(), ShardId::new(1));
    }
}

/// Sixty tasks of 10 ms each that one shard spawns: as long as they last, each of two shards is in
/// one of them nearly all of the time.
fn computing_tasks_of_one_shard_keep_both_busy<M: Make>(watch: &Watch) {
    const TASKS: usize = 60;
    const LENGTH: Duration = Duration::from_millis(10);
    let runtime = runtime::<M>(watch, 2);
    let task = runtime.spawn_on(0, async {
        let began = Instant::now();
        let job = || async {
            let start = Instant::now();
            // By the clock, so that others who use the machine change little.
            while start.elapsed() < LENGTH {
                std::hint::spin_loop();
            }
            (here().index(), start.elapsed(), Instant::now())
        };
        let tasks: Vec<_> = (0..TASKS).map(|_| spargio::spawn(job()).unwrap()).collect();
        let mut busy = [Duration::ZERO; 2];
        let mut last = began;
        for task in tasks {
            let (shard, length, end) = task.await.unwrap();
            busy[shard] += length;
            last = last.max(end);
        }
        (busy, last - began)
    });
    let (busy, all) = elsewhere(task.unwrap()).unwrap();
    assert!(busy.iter().all(|&busy| busy > all * 4 / 5), "{busy:?} of {all:?}");
}

fn a_small_burst_wakes_one_of_many_sleepers<M: Make>(watch: &Watch) {
    const SHARDS: usize = 8;
    const ROUNDS: u64 = 100;
    let runtime = runtime::<M>(watch, SHARDS);
    let asleep = || {
        let stats = runtime.stats_snapshot();
        stats.shards[1..].iter().filter(|shard| shard.parks > 0).count()
    };
    wait_until("the others have gone to sleep once", || asleep() == SHARDS - 1);
    let bells = || runtime.stats_snapshot().total().doorbells_sent;
    let before = bells();
    // Each round one task has to run elsewhere, and somebody who sleeps is called for it.
    let task = runtime.spawn_on(0, async {
        for _ in 0..ROUNDS {
            let (done, did) = mpsc::channel();
            drop(spargio::spawn(async move { done.send(()).unwrap() }).unwrap());
            receive(&did, "the task runs elsewhere");
        }
    });
    elsewhere(task.unwrap()).unwrap();
    let rung = bells() - before;
    // A call of all would ring seven times as often.
    assert!(rung <= 2 * ROUNDS, "{rung} bells in {ROUNDS} rounds");
}

/// A shard that looks at others once per 10 ms, and is awake for as long as it may be.
fn in_back_off<M: Make>() -> Builder<Uring, M::Doorbell, M::Queue, M::Placement> {
    let pause = MAX_BACKOFF;
    M::builder().shards(2).spin(MAX_SPIN).steal_backoff_max(pause).steal_backoff_min(pause)
}

fn a_shard_in_back_off_finds_what_others_have<M: Make>(watch: &Watch) {
    let runtime = watch.build(in_back_off::<M>());
    let handle = runtime.handle();
    let _plug = Plug::new(&handle, 0);
    for round in 0..20 {
        let task = handle.spawn_stealable_on(0, async { here() }).unwrap();
        assert_eq!(elsewhere(task).unwrap(), ShardId::new(1));
        // Some find it asleep, and a bell ends that.
        thread::sleep(Duration::from_millis(round * 3));
    }
}

fn a_shard_in_back_off_sees_at_once_what_is_left_for_it<M: Make>(watch: &Watch) {
    const ROUNDS: u32 = 200;
    let runtime = watch.build(in_back_off::<M>());
    let handle = runtime.handle();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        assert_eq!(
            elsewhere(handle.spawn_pinned(1, async { here() }).unwrap()).unwrap(),
            ShardId::new(1)
        );
    }
    // Each would wait for half a pause on average if the back-off held it up.
    assert!(began.elapsed() < MAX_BACKOFF / 2 * ROUNDS, "{:?}", began.elapsed());
}
