//! The statistics: what happened shows, and what did not happen does not.

use std::future::{Future, poll_fn};
use std::io::Write as _;
use std::net::TcpStream as StdStream;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use spargio::net::TcpListener;
use spargio::placement::{Loads, Placement, Wish};
use spargio::{Runtime, RuntimeStats, ShardId, ShardStats, StealOptions};

use crate::parts::{Make, for_each_assembly, runtime};
use crate::support::{
    Event, Plug, SOON, Watch, asleep, elsewhere, here, receive, wait_until, watched, yield_now,
};

for_each_assembly! {
    polls_and_spawns_are_counted,
    polls_are_told_apart_by_where_their_task_came_from,
    every_refused_spawn_is_counted,
    a_long_poll_shows_in_full,
    with_exact_times_every_poll_and_every_wait_is_counted,
    without_exact_times_some_polls_are_sampled,
    operations_are_counted_by_the_way_they_took,
    a_result_that_is_taken_on_another_shard_is_foreign,
    timers_that_fire_are_counted,
    searches_are_counted_by_how_they_ended,
    who_is_called_for_help_counts_it,
    wake_ups_are_coalesced_into_one_doorbell,
    without_spinning_no_spin_is_counted,
    the_knobs_in_effect_show,
    texts_are_made_of_the_same_numbers,
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
        assert_eq!((shard.pinned_polls, shard.spawned_pinned), (10, 1), "{shard:?}");
        assert_eq!((shard.stealable_executed(), shard.spawned_stealable()), (0, 0), "{shard:?}");
    }
    let total = stats.total();
    assert_eq!((total.polls, total.spawned, total.mail_received), (20, 2, 2));
    assert_eq!(stats.imbalance(), 1.0);
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
    let total = runtime.stats_snapshot().total();
    assert_eq!((total.spawned, total.spawned_pinned, total.spawned_stealable()), (5, 3, 2));
}

fn polls_are_told_apart_by_where_their_task_came_from<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let task = runtime.handle().spawn_stealable(async {
        for _ in 0..5 {
            yield_now().await;
        }
    });
    elsewhere(task.unwrap()).unwrap();
    let total = runtime.stats_snapshot().total();
    assert_eq!((total.polls, total.pinned_polls, total.lifo_polls), (6, 0, 0), "{total:?}");
    assert_eq!((total.stealable_executed(), total.stealable_local_hits()), (6, 6));
    assert_eq!(total.local_hit_ratio(), 1.0);
    // The child goes to the slot, and from within its poll the parent.
    let task = runtime.handle().spawn_stealable(async {
        for _ in 0..10 {
            spargio::spawn(async {}).unwrap().await.unwrap();
        }
    });
    elsewhere(task.unwrap()).unwrap();
    let total = runtime.stats_snapshot().total();
    assert_eq!((total.polls, total.lifo_polls, total.spawned), (6 + 21, 20, 12), "{total:?}");
}

fn every_refused_spawn_is_counted<M: Make>(watch: &Watch) {
    let builder = M::builder().shards(1).stealable_queue_capacity(4).max_tasks(6);
    let runtime = watch.build(builder);
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 0);
    let tasks: Vec<_> = (0..4).map(|_| handle.spawn_pinned(0, async {}).unwrap()).collect();
    for refused in 1..=3 {
        handle.spawn_stealable(async {}).unwrap_err();
        assert_eq!(runtime.stats_snapshot().total().spawns_refused, refused);
    }
    drop(plug);
    tasks.into_iter().for_each(|task| elsewhere(task).unwrap());
    wait_until("the tasks are gone", || runtime.stats_snapshot().total().live_tasks == 0);
    // Now at the limit of tasks that live.
    let go = Event::default();
    let waiting: Vec<_> = (0..6)
        .map(|_| {
            let go = go.clone();
            let task = handle.spawn_stealable(async move { go.wait().await }).unwrap();
            wait_until("it waits", || runtime.stats_snapshot().total().queued == 0);
            task
        })
        .collect();
    handle.spawn_stealable(async {}).unwrap_err();
    let total = runtime.stats_snapshot().total();
    assert_eq!((total.spawns_refused, total.spawned, total.live_tasks), (4, 11, 6), "{total:?}");
    go.set();
    waiting.into_iter().for_each(|task| elsewhere(task).unwrap());
}

fn a_long_poll_shows_in_full<M: Make>(watch: &Watch) {
    const LONG: Duration = Duration::from_millis(30);
    for exact in [false, true] {
        // Whatever turn it comes in, timed or not, and among short polls.
        for before in 0..8 {
            let builder = M::builder().shards(1).spin(Duration::ZERO).poll_histograms(exact);
            let runtime = watch.build(builder);
            let handle = runtime.handle();
            for _ in 0..before {
                elsewhere(handle.spawn_pinned(0, async {}).unwrap()).unwrap();
            }
            let plug = Plug::new(&handle, 0);
            let mut tasks: Vec<_> =
                (0..10).map(|_| handle.spawn_pinned(0, async {}).unwrap()).collect();
            tasks.push(handle.spawn_pinned(0, async { thread::sleep(LONG) }).unwrap());
            tasks.extend((0..10).map(|_| handle.spawn_pinned(0, async {}).unwrap()));
            drop(plug);
            tasks.into_iter().for_each(|task| elsewhere(task).unwrap());
            wait_until("it shows", || runtime.stats_snapshot().total().longest_poll() >= LONG);
        }
    }
}

fn with_exact_times_every_poll_and_every_wait_is_counted<M: Make>(watch: &Watch) {
    let runtime = watch.build(M::builder().shards(2).poll_histograms(true));
    let handle = runtime.handle();
    assert!(runtime.stats_snapshot().poll_histograms);
    for shard in 0..2u16 {
        let tasks = [handle.spawn_pinned(shard, yield_now()), handle.spawn_stealable(yield_now())];
        tasks.into_iter().for_each(|task| elsewhere(task.unwrap()).unwrap());
    }
    let counts = || {
        let total = runtime.stats_snapshot().total();
        (total.polls, total.poll_times.count(), total.wake_to_poll.count())
    };
    wait_until("all polls are timed", || counts() == (8, 8, 8));
    // One that waits for 20 ms behind another shows so.
    let plug = Plug::new(&handle, 0);
    let task = handle.spawn_pinned(0, async {}).unwrap();
    thread::sleep(Duration::from_millis(20));
    drop(plug);
    elsewhere(task).unwrap();
    wait_until("both are timed", || counts() == (10, 10, 10));
    let total = runtime.stats_snapshot().total();
    let longest = total.wake_to_poll.quantile(1.0).unwrap();
    assert!((Duration::from_millis(20)..SOON).contains(&longest), "{longest:?}");
    assert!(total.poll_times.sum() >= Duration::from_millis(20));
    assert!(total.longest_poll() >= Duration::from_millis(20));
}

fn without_exact_times_some_polls_are_sampled<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    for _ in 0..100 {
        elsewhere(runtime.spawn_on(0, yield_now()).unwrap()).unwrap();
    }
    let total = runtime.stats_snapshot().total();
    let sampled = total.poll_times.count();
    assert!((100 / 7..=200).contains(&sampled), "{sampled} of 200 polls");
    assert_eq!(total.wake_to_poll.count(), 0);
}

fn operations_are_counted_by_the_way_they_took<M: Make>(watch: &Watch) {
    const TIMES: u64 = 10;
    let runtime = runtime::<M>(watch, 1);
    let total = || runtime.stats_snapshot().total();
    // By a direct call: reads of a file that is in memory.
    let before = total();
    let task = runtime.handle().spawn_local_on(0, |_| async {
        let file = spargio::fs::File::open("/proc/self/exe").await.unwrap();
        for _ in 0..TIMES {
            file.read_at(Vec::with_capacity(8), 0).await.0.unwrap();
        }
        file
    });
    let file = elsewhere(task.unwrap()).unwrap();
    let opened = total();
    let inline = opened.inline_completions - before.inline_completions;
    assert!(inline >= TIMES, "{inline}");
    // By letter: the same from a thread that is no shard.
    runtime.block_on(async {
        for _ in 0..TIMES {
            file.read_at(Vec::with_capacity(8), 0).await.0.unwrap();
        }
    });
    wait_until("all operations are over", || total().in_flight == 0);
    let after = total();
    assert_eq!(after.ops_posted - opened.ops_posted, TIMES, "{after:?}");
    assert_eq!(after.ops_submitted - opened.ops_submitted, TIMES, "{after:?}");
    assert!(after.sqes - opened.sqes >= TIMES && after.cqes - opened.cqes >= TIMES);
    assert!(after.enters > opened.enters, "{after:?}");
    assert!(after.sqes_per_enter() > 0.0 && after.cqes_per_enter() > 0.0);
    assert_eq!((after.foreign_completions, after.stale_completions), (0, 0), "{after:?}");
}

fn a_result_that_is_taken_on_another_shard_is_foreign<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let go = Event::default();
    let wait = go.clone();
    let (address, to) = mpsc::channel();
    let begin = Plug::new(&handle, 1);
    let task = handle.spawn_stealable_on(0, async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        address.send(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let began = here();
        let mut read = pin!(stream.read(Vec::with_capacity(8)));
        // The receive is on the way, and its completion wakes nobody.
        assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        wait.wait().await;
        let (result, buffer) = read.await;
        assert_eq!((result.unwrap(), &*buffer), (4, &b"word"[..]));
        (began, here())
    });
    let mut peer = StdStream::connect(receive(&to, "the address")).unwrap();
    wait_until("the task waits", || go.waiting() == 1);
    // A receive that finds its bytes at a second look has no completion.
    asleep(&handle, 0);
    let foreign =
        || runtime.stats_snapshot().shards.iter().map(|s| s.foreign_completions).collect();
    let before: Vec<u64> = foreign();
    let armed = runtime.stats_snapshot().shards[0].cqes;
    peer.write_all(b"word").unwrap();
    wait_until("it has come", || runtime.stats_snapshot().shards[0].cqes > armed);
    let _plug = Plug::new(&handle, 0);
    drop(begin);
    go.set();
    let ran = elsewhere(task.unwrap()).unwrap();
    assert_eq!(ran, (ShardId::new(0), ShardId::new(1)));
    assert_eq!((foreign()[0] - before[0], foreign()[1] - before[1]), (0, 1));
}

fn timers_that_fire_are_counted<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let task = runtime.spawn_on(0, async {
        for _ in 0..5 {
            spargio::sleep(Duration::from_millis(1)).await;
        }
        // One that is given up does not fire.
        let mut forgotten = Box::pin(spargio::sleep(Duration::from_millis(1)));
        poll_fn(|cx| Poll::Ready(forgotten.as_mut().poll(cx).is_pending())).await;
        drop(forgotten);
        spargio::sleep(Duration::from_millis(5)).await;
    });
    elsewhere(task.unwrap()).unwrap();
    assert_eq!(runtime.stats_snapshot().total().timers_fired, 6);
}

fn searches_are_counted_by_how_they_ended<M: Make>(watch: &Watch) {
    let options = StealOptions { locality_margin: 2, ..StealOptions::default() };
    let runtime = watch.build(M::builder().shards(2).steal(options));
    let handle = runtime.handle();
    let thief = || runtime.stats_snapshot().shards[1];
    let _plug = Plug::new(&handle, 0);
    // It looks each time it runs out of work, and finds nothing to take.
    let skipped = thief().steal_skipped_locality;
    let _kept = [(); 2].map(|()| handle.spawn_stealable_on(0, async {}).unwrap());
    wait_until("the thief leaves them alone", || {
        elsewhere(handle.spawn_pinned(1, async {}).unwrap()).unwrap();
        thief().steal_skipped_locality > skipped
    });
    assert_eq!((thief().steal_attempts, thief().steal_scans, thief().stolen), (0, 0, 0));
    assert!(thief().steal_failed_streak_max > 0);
    let third = handle.spawn_stealable_on(0, async {}).unwrap();
    wait_until("one is taken, and polled", || thief().stolen_polls == 1);
    let stats = thief();
    assert_eq!((stats.steal_success, stats.stolen), (1, 1), "{stats:?}");
    assert!((1..=stats.steal_attempts).contains(&stats.steal_scans), "{stats:?}");
    assert!(stats.stealable_local_hits() == 0 && stats.local_hit_ratio() == 0.0, "{stats:?}");
    drop(third);
}

fn who_is_called_for_help_counts_it<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let parks = || runtime.stats_snapshot().shards[1].parks;
    wait_until("the other shard sleeps", || parks() > 0);
    let task = runtime.spawn_on(0, async {
        let (ran, wait) = mpsc::channel();
        let tasks = [(); 8].map(|()| {
            let ran = ran.clone();
            spargio::spawn(async move { ran.send(here()).unwrap() }).unwrap()
        });
        // In this very poll: only another shard can run them.
        let places = tasks.each_ref().map(|_| receive(&wait, "it runs elsewhere"));
        assert_eq!(places, [ShardId::new(1); 8]);
    });
    elsewhere(task.unwrap()).unwrap();
    let stats = runtime.stats_snapshot();
    assert_eq!(stats.shards[0].called_for_help, 0, "{stats}");
    assert!(stats.shards[1].called_for_help <= 8, "{stats}");
    assert_eq!(stats.shards[1].stolen, 8, "{stats}");
}

fn wake_ups_are_coalesced_into_one_doorbell<M: Make>(watch: &Watch) {
    let runtime = watch.build(M::builder().shards(1).spin(Duration::ZERO));
    let handle = runtime.handle();
    let total = || runtime.stats_snapshot().total();
    wait_until("two come while a bell is under way", || {
        let parks = total().parks;
        let tasks: Vec<_> = (0..24).map(|_| handle.spawn_stealable(async {}).unwrap()).collect();
        tasks.into_iter().for_each(|task| elsewhere(task).unwrap());
        wait_until("the shard sleeps again", || total().parks > parks);
        total().doorbells_coalesced > 0
    });
    let total = total();
    // One bell at most for each time it slept.
    assert!(total.doorbells_sent <= total.parks, "{total:?}");
    assert!(total.doorbells_heard <= total.doorbells_sent, "{total:?}");
}

fn without_spinning_no_spin_is_counted<M: Make>(watch: &Watch) {
    let spins = |stats: &ShardStats| (stats.spin_hits, stats.spin_misses, stats.spun());
    for (limit, may_spin) in [(Duration::ZERO, false), (Duration::from_millis(1), true)] {
        let runtime = watch.build(M::builder().shards(1).spin(limit));
        let total = || runtime.stats_snapshot().total();
        wait_until("it sleeps", || total().parks > 0);
        for _ in 0..3 {
            let parks = total().parks;
            elsewhere(runtime.spawn_on(0, async {}).unwrap()).unwrap();
            wait_until("it sleeps again", || total().parks > parks);
        }
        assert_eq!(spins(&total()) != (0, 0, Duration::ZERO), may_spin, "{:?}", total());
    }
}

fn the_knobs_in_effect_show<M: Make>(watch: &Watch) {
    let options = StealOptions { victim_stride: 0, batch_size: 7, ..StealOptions::default() };
    let runtime = watch.build(M::builder().shards(1).steal(options));
    let stats = runtime.stats_snapshot();
    assert_eq!((stats.steal.victim_stride, stats.steal.batch_size), (1, 7), "0 counts as 1");
    assert!(!stats.poll_histograms);
}

fn texts_are_made_of_the_same_numbers<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    elsewhere(runtime.spawn_on(1, yield_now()).unwrap()).unwrap();
    let stats: RuntimeStats = runtime.stats_snapshot();
    let table = stats.to_string();
    let polls: Vec<_> = table.lines().filter(|line| line.starts_with("  polls ")).collect();
    let cells: Vec<_> = polls.iter().flat_map(|line| line.split_whitespace()).collect();
    assert_eq!(cells, ["polls", "2", "0", "2"], "{table}");
    let text = stats.render_prometheus();
    assert!(text.contains("\nspargio_polls_total{shard=\"1\"} 2\n"), "{text}");
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
    assert!(total.doorbells_spurious <= total.doorbells_heard, "{total:?}");
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
    let polls = after.shards[1].stolen_polls - before.shards[1].stolen_polls;
    assert_eq!(polls, 10);
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
