//! Timers: how late they are, and what setting and dropping one costs.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::poll;

use super::{Floor, Headline, Spec, Stage, Workload, by_hand};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Runtime, Setup};

/// Tasks that sleep at the same time.
const SLEEPERS: u64 = 16;

/// Lengths from 1 to 5 ms in an order that no two sleepers share: at least as long as the coarsest
/// tick among the runtimes, so that the tick shows as lateness and not as a multiple.
#[derive(Debug)]
struct Lengths(u64);

impl Lengths {
    fn next(&mut self) -> Duration {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros(1_000 + (self.0 >> 33) % 4_000)
    }
}

/// How late sleeps end.
pub(super) struct Lateness;

impl Workload for Lateness {
    const SPEC: Spec = Spec {
        headline: Headline::P50,
        stretch: 2,
        ..Spec::new(
            "timer",
            "timer_lateness",
            "sleep",
            "16 tasks, shared out to the threads, sleep for 1 to 5 ms again and again; measured \
             is how much later than asked for each goes on. Time on the clock means nothing here: \
             tokio's clock ticks once a millisecond by design. Floor: one thread in nanosleep, \
             with a timer slack of 1 ns.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let each = times.div_ceil(SLEEPERS);
            let meter = Meter::start();
            let joins: Vec<_> = (0..SLEEPERS)
                .map(|seed| runtime.spread(seed as usize, sleep_often(runtime.clone(), seed, each)))
                .collect();
            let mut latencies = Latencies::of_all();
            let mut early = 0;
            for join in joins {
                let (own, own_early) = join.await;
                latencies.merge(&own);
                early += own_early;
            }
            let sleeps = latencies.len();
            let slice = meter.stop(SLEEPERS * each).with_latencies(latencies);
            Wrong::unless_equal("sleeps", sleeps, SLEEPERS * each)?;
            Wrong::unless_equal("sleeps that ended early", early, 0)?;
            Ok(slice)
        })
    }

    const FLOOR: Option<Floor> = Some(nanosleep);
}

/// How late each sleep was, and how many ended early.
async fn sleep_often<R: Runtime>(runtime: R, seed: u64, times: u64) -> (Latencies, u64) {
    let mut lengths = Lengths(seed);
    let mut latencies = Latencies::of_all();
    let mut early = 0;
    for _ in 0..times {
        let length = lengths.next();
        let start = Instant::now();
        runtime.sleep(length).await;
        early += note(start, length, &mut latencies);
    }
    (latencies, early)
}

/// Records how late it is; 1 if it is early.
fn note(start: Instant, length: Duration, latencies: &mut Latencies) -> u64 {
    let slept = start.elapsed();
    latencies.record(slept.saturating_sub(length));
    u64::from(slept < length)
}

fn nanosleep(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    by_hand::sleep_sharply();
    let mut lengths = Lengths(0);
    let mut latencies = Latencies::of_all();
    let mut early = 0;
    let meter = Meter::start();
    for _ in 0..times {
        let length = lengths.next();
        let start = Instant::now();
        thread::sleep(length);
        early += note(start, length, &mut latencies);
    }
    let slice = meter.stop(times).with_latencies(latencies);
    Wrong::unless_equal("sleeps that ended early", early, 0)?;
    Ok(slice)
}

/// Setting a timer and dropping it unfired.
pub(super) struct Churn;

/// Timers that are set at any time.
const SET: usize = 1_000;
/// The shortest: none fires while it is measured.
const FAR: Duration = Duration::from_secs(30);

/// Different lengths, so that a wheel uses more than one slot.
fn far(number: u64) -> Duration {
    FAR + Duration::from_millis(number.wrapping_mul(7_919) % 30_000)
}

impl Workload for Churn {
    const SPEC: Spec = Spec::new(
        "timer",
        "timer_churn",
        "timer",
        "One task keeps 1,000 sleeps of 30 to 60 s set: each step makes one, polls it once, which \
         sets it, and drops the oldest, which cancels it. No timer fires, so nobody's tick is \
         measured. Each sleep is boxed. Floor: a BTreeMap from time to waker.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let mut set: VecDeque<Pin<Box<dyn Future<Output = ()> + Send + '_>>> =
                VecDeque::with_capacity(SET + 1);
            let mut fired = 0;
            for number in 0..SET as u64 {
                let mut sleep = Box::pin(runtime.sleep(far(number)));
                fired += u64::from(poll!(&mut sleep) != Poll::Pending);
                set.push_back(sleep);
            }
            let meter = Meter::start();
            for number in 0..times {
                let mut sleep = Box::pin(runtime.sleep(far(number)));
                fired += u64::from(poll!(&mut sleep) != Poll::Pending);
                set.push_back(sleep);
                drop(set.pop_front());
            }
            let slice = meter.stop(times);
            Wrong::unless_equal("timers that fired", fired, 0)?;
            Ok(slice)
        })
    }

    const FLOOR: Option<Floor> = Some(tree);
}

fn tree(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let mut timers: BTreeMap<(Instant, u64), Waker> = BTreeMap::new();
    let mut keys = VecDeque::with_capacity(SET + 1);
    let set = |timers: &mut BTreeMap<_, _>, keys: &mut VecDeque<_>, number: u64| {
        let key = (Instant::now() + far(number), number);
        timers.insert(key, Waker::noop().clone());
        keys.push_back(key);
    };
    for number in 0..SET as u64 {
        set(&mut timers, &mut keys, number);
    }
    let mut lost = 0;
    let meter = Meter::start();
    for number in 0..times {
        set(&mut timers, &mut keys, SET as u64 + number);
        let oldest = keys.pop_front().expect("there are a thousand");
        lost += u64::from(timers.remove(&oldest).is_none());
    }
    let slice = meter.stop(times);
    Wrong::unless_equal("timers that were lost", lost, 0)?;
    Ok(slice)
}
