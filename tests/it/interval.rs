//! Ticks on shards, between shards, and off shards.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use spargio::{Interval, MissedTickBehavior, Runtime, interval, interval_at, sleep, timeout};
use static_assertions::assert_impl_all;

use crate::support::{elsewhere, watched};

assert_impl_all!(Interval: Send, Sync, Unpin, Clone, std::fmt::Debug);
assert_impl_all!(MissedTickBehavior: Send, Sync, Copy, Eq, std::hash::Hash, Default);

const PERIOD: Duration = Duration::from_millis(5);

fn is_send<T: Send>(value: T) -> T {
    value
}

/// A tick that is due now is taken at once.
fn take_now(interval: &mut Interval) -> Option<Instant> {
    match pin!(interval.tick()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(due) => Some(due),
        Poll::Pending => None,
    }
}

#[test]
fn ticks_say_when_they_were_due_and_are_never_early() {
    watched(|watch| {
        let ticks = || async {
            let before = Instant::now();
            let mut interval = interval(PERIOD);
            let first = interval.tick().await;
            assert!(before <= first && first <= Instant::now());
            for number in 1..10 {
                assert_eq!(interval.next_tick(), first + PERIOD * number);
                let due = is_send(interval.tick()).await;
                assert_eq!(due, first + PERIOD * number, "tick {number}");
                assert!(Instant::now() >= due);
            }
        };
        let runtime = watch.build(Runtime::builder().shards(1));
        runtime.block_on(runtime.spawn_on(0, ticks()).unwrap()).unwrap();
        elsewhere(ticks());
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio.block_on(ticks());
    });
}

#[test]
fn the_first_tick_is_at_the_start() {
    let start = Instant::now() + Duration::from_millis(20);
    let mut later = interval_at(start, PERIOD);
    assert_eq!(take_now(&mut later), None);
    assert_eq!(elsewhere(later.tick()), start);
    assert!(Instant::now() >= start);
    let past = Instant::now().checked_sub(PERIOD * 3).unwrap();
    assert_eq!(take_now(&mut interval_at(past, Duration::from_secs(3_600))), Some(past));
}

#[test]
fn a_late_burst_makes_up_for_every_tick() {
    let start = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let mut interval = interval_at(start, Duration::from_secs(7));
    assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Burst);
    for number in 0..9 {
        assert_eq!(take_now(&mut interval), Some(start + Duration::from_secs(7 * number)));
    }
    assert_eq!(take_now(&mut interval), None);
    assert_eq!(interval.next_tick(), start + Duration::from_secs(63));
}

#[test]
fn a_late_tick_that_skips_keeps_to_the_schedule() {
    let start = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let mut interval = interval_at(start, Duration::from_secs(7));
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    assert_eq!(take_now(&mut interval), Some(start));
    assert_eq!(interval.next_tick(), start + Duration::from_secs(63));
    assert_eq!(take_now(&mut interval), None);
}

#[test]
fn a_late_tick_that_delays_moves_the_schedule() {
    let start = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let mut interval = interval_at(start, Duration::from_secs(7));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let before = Instant::now();
    assert_eq!(take_now(&mut interval), Some(start));
    let next = interval.next_tick();
    assert!(next >= before + interval.period() && next <= Instant::now() + interval.period());
    assert_eq!(take_now(&mut interval), None);
}

#[test]
fn a_tick_that_is_dropped_is_not_lost() {
    let mut interval = interval_at(Instant::now() + PERIOD, PERIOD);
    let first = interval.next_tick();
    let mut dropped = 0;
    elsewhere(async {
        while timeout(Duration::from_micros(200), interval.tick()).await.is_err() {
            dropped += 1;
            assert_eq!(interval.next_tick(), first);
        }
    });
    // On a machine that stood still for the first period there was nothing to drop.
    assert!(dropped > 0 || Instant::now() >= first);
    assert_eq!(interval.next_tick(), first + PERIOD);
}

#[test]
fn resets_move_the_next_tick_and_those_behind_it() {
    let far = Duration::from_secs(3_600);
    let mut interval = interval(far);
    assert!(take_now(&mut interval).is_some());
    assert_eq!(take_now(&mut interval), None);
    let due = Instant::now() + Duration::from_millis(3);
    interval.reset_at(due);
    assert_eq!(elsewhere(interval.tick()), due);
    assert_eq!(interval.next_tick(), due + far);
    interval.reset_immediately();
    assert!(take_now(&mut interval).is_some_and(|now| now > due && now <= Instant::now()));
    let before = Instant::now();
    interval.reset();
    assert!(interval.next_tick() >= before + far && interval.next_tick() <= Instant::now() + far);
    interval.reset_after(Duration::from_millis(2));
    assert!(elsewhere(interval.tick()) >= before + Duration::from_millis(2));
    interval.reset_after(Duration::MAX);
    assert!(interval.next_tick() > Instant::now() + far);
    assert_eq!(interval.period(), far);
}

#[test]
fn a_reset_wakes_who_waits_for_the_tick() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let task = async {
            let mut interval = interval_at(Instant::now() + Duration::from_secs(3_600), PERIOD);
            let mut is_reset = false;
            // The one poll that follows the reset comes from the timer.
            poll_fn(|cx| {
                let polled = interval.poll_tick(cx);
                if !is_reset {
                    assert!(polled.is_pending());
                    interval.reset_after(Duration::from_millis(2));
                    is_reset = true;
                }
                polled
            })
            .await;
        };
        runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
    });
}

#[test]
fn a_clone_has_a_timer_of_its_own() {
    let mut interval = interval_at(Instant::now() + PERIOD, PERIOD);
    assert_eq!(take_now(&mut interval), None);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut other = interval.clone();
    assert_eq!(other.missed_tick_behavior(), MissedTickBehavior::Skip);
    let due = interval.next_tick();
    assert_eq!((elsewhere(other.tick()), elsewhere(interval.tick())), (due, due));
}

#[test]
fn an_interval_that_moves_keeps_its_schedule() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let mut moving = interval(PERIOD);
        let first = moving.next_tick();
        for number in 0..12 {
            let step = async move {
                // Left half way: the timer is set here, and followed from elsewhere.
                let early = timeout(Duration::from_micros(100), moving.tick()).await;
                (early.ok(), moving)
            };
            let early;
            (early, moving) = match number % 3 {
                2 => elsewhere(step),
                shard => runtime.block_on(runtime.spawn_on(shard, step).unwrap()).unwrap(),
            };
            let due = match early {
                Some(due) => due,
                None => elsewhere(moving.tick()),
            };
            assert_eq!(due, first + PERIOD * u32::from(number));
            assert!(Instant::now() >= due);
        }
    });
}

#[test]
fn catching_up_lets_others_run() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let task = async {
            let (ran, runs) = std::sync::mpsc::channel();
            let other = spargio::spawn(async move { ran.send(()).unwrap() }).unwrap();
            // Ticks that are missed faster than they are taken.
            let past = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
            let mut interval = interval_at(past, Duration::from_nanos(1));
            let mut ticks = 0;
            while runs.try_recv().is_err() {
                interval.tick().await;
                ticks += 1;
                assert!(ticks < 100_000, "the other task was starved");
            }
            other.await.unwrap();
        };
        runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
    });
}

#[test]
fn a_clock_beside_other_work_ticks_once_a_period() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let task = async {
            let mut interval = interval(PERIOD);
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let first = interval.tick().await;
            let mut last = first;
            for _ in 0..5 {
                sleep(PERIOD * 2 + PERIOD / 2).await;
                let due = interval.tick().await;
                let periods = (due - first).as_nanos() / PERIOD.as_nanos();
                assert_eq!((due - first).as_nanos() % PERIOD.as_nanos(), 0, "off the schedule");
                assert!(due > last && periods > 0);
                last = due;
            }
        };
        runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
    });
}

#[test]
#[should_panic(expected = "the period of an interval is 0ns, it must be above 0")]
fn a_period_of_zero_is_named() {
    drop(interval(Duration::ZERO));
}
