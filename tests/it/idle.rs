//! Idleness: a runtime without work costs nothing, and is awake at once when there is some.

use std::fs;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use spargio::{Runtime, RuntimeBuilder};

use crate::support::{
    Watch, asleep, elsewhere, receive, threads_named, wait_until, watched, yield_now,
};

/// How long the idle runtimes are watched.
const WATCHED: Duration = Duration::from_secs(3);

/// CPU time of the threads whose names begin like this.
fn cpu_time(prefix: &str) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let mut nanos = 0;
    for task in tasks {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").starts_with(prefix) {
            // Nanoseconds on a CPU; the ticks of `stat` are too coarse.
            nanos += read("schedstat").split(' ').next().unwrap().parse::<u64>().unwrap_or(0);
        }
    }
    Duration::from_nanos(nanos)
}

/// No shard wakes up within this time, and each takes at most one part in 500 of a CPU.
pub(crate) fn costs_nothing_when_idle(watch: &Watch, builder: RuntimeBuilder, time: Duration) {
    let prefix = format!("idle{}", watch.number());
    let runtime = watch.build(builder.thread_prefix(&prefix));
    let shards = u16::try_from(runtime.shard_count()).unwrap();
    assert_eq!(threads_named(&prefix), usize::from(shards));
    // Work of every kind, so that whatever stays awake after work does.
    for number in 0..200u16 {
        let task = runtime.spawn_on(number % shards, async move {
            let task = spargio::spawn(yield_now()).unwrap();
            yield_now().await;
            task.await.unwrap();
        });
        elsewhere(task.unwrap()).unwrap();
    }
    let parks_and_enters = || {
        let total = runtime.stats_snapshot().total();
        (total.parks, total.enters)
    };
    wait_until("all shards sleep for good", || {
        let before = parks_and_enters();
        // Who looks at others by itself does so every 12.8 ms at least.
        thread::sleep(Duration::from_millis(50));
        parks_and_enters() == before
    });
    let before = (parks_and_enters(), cpu_time(&prefix));
    // This is the one place where time itself is what is tested.
    thread::sleep(time);
    let after = (parks_and_enters(), cpu_time(&prefix));
    assert_eq!(before.0, after.0, "an idle shard wakes up");
    let (spent, limit) = (after.1 - before.1, time * u32::from(shards) / 500);
    assert!(spent <= limit, "{spent:?} of CPU time in {time:?} of idleness");
    assert_eq!(elsewhere(runtime.spawn_on(shards - 1, async { 3 }).unwrap()).unwrap(), 3);
}

#[test]
fn the_default_costs_nothing_when_idle() {
    watched(|watch| costs_nothing_when_idle(watch, Runtime::builder().shards(2), WATCHED));
}

#[test]
fn the_longest_spin_costs_nothing_when_idle() {
    let builder = Runtime::builder().shards(2).spin(spargio::MAX_SPIN);
    watched(|watch| costs_nothing_when_idle(watch, builder, WATCHED));
}

/// Tasks that wake each other in turns, so that their shard always holds the next one back.
fn hand_to_each_other(runtime: &Runtime) -> Arc<AtomicBool> {
    let stop = Arc::<AtomicBool>::default();
    let baton = Arc::<Mutex<[Option<Waker>; 2]>>::default();
    for number in 0..2 {
        let (stop, baton) = (Arc::clone(&stop), Arc::clone(&baton));
        let turns = poll_fn(move |cx| {
            let other = {
                let mut wakers = baton.lock().unwrap();
                wakers[number] = Some(cx.waker().clone());
                wakers[1 - number].take()
            };
            other.into_iter().for_each(Waker::wake);
            if stop.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        });
        drop(runtime.handle().spawn_stealable_on(0, turns).unwrap());
    }
    stop
}

#[test]
fn a_sleeper_looks_twice_in_a_millisecond_at_a_shard_that_gets_on_and_not_more_often() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2).spin(Duration::ZERO));
        let stop = hand_to_each_other(&runtime);
        let stats = || runtime.stats_snapshot().total();
        wait_until("they hand to each other", || stats().lifo_polls > 10_000);
        let (before, began) = (stats().parks, Instant::now());
        // Looks per time are what is tested: each 700 us, and some that are followed by a second.
        thread::sleep(Duration::from_millis(300));
        let (parks, took) = (stats().parks - before, began.elapsed());
        stop.store(true, Ordering::Relaxed);
        let most = took.as_micros() / 500;
        assert!(u128::from(parks) < most, "{parks} sleeps in {took:?}");
    });
}

#[test]
fn sleepers_are_awake_at_once() {
    const ROUNDS: usize = 200;
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let (running, ran) = mpsc::channel();
        let mut latencies = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            let shard = u16::try_from(round % 2).unwrap();
            asleep(&runtime.handle(), shard);
            let running = running.clone();
            let began = Instant::now();
            let task = runtime.spawn_on(shard, async move {
                running.send(Instant::now()).unwrap();
            });
            latencies.push(receive(&ran, "the task runs") - began);
            elsewhere(task.unwrap()).unwrap();
        }
        latencies.sort_unstable();
        let median = latencies[ROUNDS / 2];
        // Ten times what is wanted, because machines that test are busy.
        assert!(median <= Duration::from_millis(1), "the median is {median:?}");
    });
}
