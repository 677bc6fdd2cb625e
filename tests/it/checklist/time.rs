//! Timers.

use std::future::pending;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use spargio::{Runtime, sleep, sleep_until, timeout};

use crate::custody::poll_once;
use crate::support::{alone, asleep, elsewhere, threads_named, wait_until, watched};

const TIMEOUTS: usize = 100_000;
/// So long that none ends while it is set.
const LENGTH: Duration = Duration::from_millis(500);

/// Memory of this process that is in use.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Sets so many timeouts, cancels them all, and says how long each took at best.
///
/// The best of many rounds, because the machine is shared.
async fn cancel_timeouts() -> Duration {
    const ROUND: usize = 1_000;
    let mut best = Duration::MAX;
    for _ in 0..TIMEOUTS / ROUND {
        let began = Instant::now();
        for _ in 0..ROUND {
            let mut never = timeout(LENGTH, pending::<()>());
            assert!(poll_once(&mut never).await.is_pending());
        }
        best = best.min(began.elapsed() / ROUND as u32);
    }
    best
}

/// 100,000 timeouts that are cancelled leave no timer in the kernel, no slot and no memory behind,
/// and to cancel one takes as long among 100,000 others as alone.
#[test]
fn c06_timers_cancel_free() {
    alone("checklist::time::c06_timers_cancel_free", || {
        watched(|watch| {
            // No slot: there is never room for more than one timer beside the 100,000 others.
            let runtime = watch.build(Runtime::builder().shards(1).max_timers(TIMEOUTS + 1));
            let total = || runtime.stats_snapshot().total();
            let alone = elsewhere(runtime.spawn_on(0, cancel_timeouts()).unwrap()).unwrap();
            let among_others = || {
                let task = runtime.spawn_on(0, async {
                    let far = |at| sleep(Duration::from_secs(60 + at as u64));
                    let mut others: Vec<_> = (0..TIMEOUTS).map(far).collect();
                    for other in &mut others {
                        assert!(poll_once(other).await.is_pending());
                    }
                    cancel_timeouts().await
                });
                elsewhere(task.unwrap()).unwrap()
            };
            let crowded = among_others();
            assert!(crowded < 10 * alone, "{crowded:?} among others, {alone:?} alone");
            // (The allocator keeps what it was given back once.)
            among_others();
            let before = memory();
            among_others();
            let grown = memory().saturating_sub(before);
            assert!(grown < 10 * TIMEOUTS, "{grown} bytes are left behind");
            assert!(total().sqes < 1_000, "the kernel was given timers");
            // Nothing ends the sleep of the shard when the time of the timeouts has come.
            asleep(&runtime.handle(), 0);
            let parks = total().parks;
            thread::sleep(LENGTH);
            assert_eq!((total().parks, total().timers_fired), (parks, 0));
            assert_eq!(threads_named("spargio-timer"), 0, "there was a slot for each");
        });
    });
}

/// 1,000 sleeps on threads and executors that belong to no runtime share one helper thread, and
/// each ends at its time.
#[test]
fn c07_sleep_off_shard() {
    const THREADS: usize = 20;
    const EACH: usize = 50;
    watched(|_| {
        let all_sleep = Barrier::new(THREADS + 1);
        let sleep_often = async |deadline| {
            let mut sleeps: Vec<_> = (0..EACH).map(|_| sleep_until(deadline)).collect();
            for sleep in &mut sleeps {
                assert!(poll_once(sleep).await.is_pending(), "the machine is too slow");
            }
            all_sleep.wait();
            for sleep in sleeps {
                sleep.await;
                assert!(Instant::now() >= deadline);
            }
        };
        thread::scope(|scope| {
            let deadline = Instant::now() + Duration::from_secs(2);
            for number in 0..THREADS {
                let sleep_often = &sleep_often;
                scope.spawn(move || match number % 2 {
                    0 => elsewhere(sleep_often(deadline)),
                    _ => tokio::runtime::Builder::new_current_thread()
                        .build()
                        .unwrap()
                        .block_on(sleep_often(deadline)),
                });
            }
            all_sleep.wait();
            // (A thread that was just started has no name yet.)
            wait_until("there is one helper", || threads_named("spargio-timer") == 1);
        });
        assert!(threads_named("spargio-timer") <= 1);
    });
}
