//! Fan-out and fan-in: one task spawns others that compute, and waits for all.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::compute::compute;
use super::{Floor, Spec, Stage, Workload, by_hand};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::Runtime;

/// Steps of each task of a fan-out.
type Steps = &'static [u64];

/// As in the published suite.
const BALANCED: Steps = &[2_000; 16];
/// As in the published suite.
const SKEWED: Steps =
    &[20_000, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500];
/// Many that nobody shares out.
const IMBALANCED: Steps = &[4_000; 64];

pub(super) struct Balanced;

impl Workload for Balanced {
    const SPEC: Spec = Spec::new(
        "fanout_fanin",
        "fanout_fanin_balanced",
        "fan-out",
        "One task spawns 16 that compute 2,000 steps each (about 3 us) and waits for all. Where \
         nobody steals, the tasks are dealt out to the threads in turn. Floor: two threads, each \
         on a CPU of its own, that take tasks from a counter and spin in between.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move { fan_out(runtime, times, BALANCED, true).await })
    }

    const FLOOR: Option<Floor> = Some(|_, times| two_threads(times, BALANCED));
}

pub(super) struct Skewed;

impl Workload for Skewed {
    const SPEC: Spec = Spec::new(
        "fanout_fanin",
        "fanout_fanin_skewed",
        "fan-out",
        "As fanout_fanin_balanced, with one task of 20,000 steps and 15 of 500.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move { fan_out(runtime, times, SKEWED, true).await })
    }

    const FLOOR: Option<Floor> = Some(|_, times| two_threads(times, SKEWED));
}

pub(super) struct Imbalanced;

impl Workload for Imbalanced {
    const SPEC: Spec = Spec::new(
        "fanout_fanin",
        "imbalanced_spawn",
        "batch",
        "One task spawns 64 that compute 4,000 steps each (about 6 us), all on its own thread, and \
         waits for all: whoever cannot steal uses one thread. Floor: as for \
         fanout_fanin_balanced.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move { fan_out(runtime, times, IMBALANCED, false).await })
    }

    const FLOOR: Option<Floor> = Some(|_, times| two_threads(times, IMBALANCED));
}

async fn fan_out<R: Runtime>(
    runtime: R,
    times: u64,
    steps: Steps,
    deal_out: bool,
) -> Result<Slice, Wrong> {
    let expected = sum_of(steps);
    let mut joins = Vec::with_capacity(steps.len());
    let mut latencies = Latencies::of_all();
    let mut wrong = 0;
    let meter = Meter::start();
    for _ in 0..times {
        let lap = latencies.start();
        for (seed, &steps) in steps.iter().enumerate() {
            let task = async move { compute(seed as u64, steps) };
            joins.push(if deal_out { runtime.spread(seed, task) } else { runtime.spawn(task) });
        }
        let mut sum = 0_u64;
        for join in joins.drain(..) {
            sum = sum.wrapping_add(join.await);
        }
        wrong += u64::from(sum != expected);
        latencies.end(lap);
    }
    let slice = meter.stop(times).with_latencies(latencies);
    Wrong::unless_equal("fan-outs with a wrong sum", wrong, 0)?;
    Ok(slice)
}

fn sum_of(steps: Steps) -> u64 {
    let results = steps.iter().enumerate().map(|(seed, &steps)| compute(seed as u64, steps));
    results.fold(0, u64::wrapping_add)
}

/// The tasks of the floor: so many may be taken, were taken, are done.
#[derive(Debug, Default)]
struct Tasks {
    open: AtomicU64,
    taken: AtomicU64,
    done: AtomicU64,
    end: AtomicBool,
}

impl Tasks {
    fn take(&self) -> Option<u64> {
        loop {
            let task = self.taken.load(Ordering::Relaxed);
            // Acquire pairs with the Release that opened more tasks.
            if task >= self.open.load(Ordering::Acquire) {
                return None;
            }
            let order = Ordering::Relaxed;
            if self.taken.compare_exchange_weak(task, task + 1, order, order).is_ok() {
                return Some(task);
            }
        }
    }

    /// Does what can be taken.
    fn help(&self, steps: Steps) {
        while let Some(task) = self.take() {
            let seed = task % steps.len() as u64;
            black_box(compute(seed, steps[seed as usize]));
            // Release pairs with the Acquire of the thread that waits for all.
            self.done.fetch_add(1, Ordering::Release);
        }
    }
}

fn two_threads(times: u64, steps: Steps) -> Result<Slice, Wrong> {
    let each = steps.len() as u64;
    let tasks = Tasks::default();
    let mut latencies = Latencies::of_all();
    let lead = || {
        for round in 1..=times {
            let lap = latencies.start();
            // Release pairs with the Acquire in `take`.
            tasks.open.store(round * each, Ordering::Release);
            tasks.help(steps);
            // Acquire pairs with the Release in `help`.
            while tasks.done.load(Ordering::Acquire) < round * each {
                spin_loop();
            }
            latencies.end(lap);
        }
        tasks.end.store(true, Ordering::Relaxed);
    };
    let follow = || {
        while !tasks.end.load(Ordering::Relaxed) {
            tasks.help(steps);
            spin_loop();
        }
    };
    let meter = Meter::start();
    by_hand::on_two_cpus(lead, follow);
    Ok(meter.stop(times).with_latencies(latencies))
}
