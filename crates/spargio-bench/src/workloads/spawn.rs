//! What a task costs: spawned and awaited, one by one or in batches.

use std::collections::VecDeque;
use std::future::Future;
use std::hint::{black_box, spin_loop};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use crossbeam_deque::{Injector, Steal, Worker};

use super::{Floor, Spec, Stage, Workload, by_hand};
use crate::measure::{Meter, Slice, Wrong};
use crate::runtimes::{Need, Runtime, Setup};

/// So many tasks are spawned from outside before the first is waited for.
const BATCH: u64 = 1_000;

type Job = Pin<Box<dyn Future<Output = u64> + Send>>;

/// The sum of the numbers that tasks return, checked.
fn judge(slice: Slice, sum: u64, times: u64) -> Result<Slice, Wrong> {
    let expected = times.wrapping_mul(times.wrapping_sub(1)) / 2;
    Wrong::unless_equal("the sum of what tasks returned", sum, expected)?;
    Ok(slice)
}

/// By a task, to be stolen.
pub(super) struct Inside;

impl Workload for Inside {
    const SPEC: Spec = Spec::new(
        "spawn",
        "spawn_join_inside",
        "task",
        "A task spawns one that returns a number, and waits for it, again and again: a task that \
         others may steal where the runtime has that. Floor: a boxed future through a work-stealing \
         deque of one thread.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let mut sum = 0;
            let meter = Meter::start();
            for number in 0..times {
                sum += runtime.spawn(async move { number }).await;
            }
            judge(meter.stop(times), sum, times)
        })
    }

    const FLOOR: Option<Floor> = Some(deque);
}

/// By a task, on its own thread.
pub(super) struct Local;

impl Workload for Local {
    const SPEC: Spec = Spec {
        needs: &[Need::Local, Need::Placement],
        ..Spec::new(
            "spawn",
            "spawn_join_local",
            "task",
            "As spawn_join_inside, with a task that is not Send and stays on its thread. Floor: a \
             boxed future through a VecDeque.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.bound(move |runtime| async move {
            let mut sum = 0;
            let meter = Meter::start();
            for number in 0..times {
                sum += runtime.spawn_local(async move { number }).await;
            }
            judge(meter.stop(times), sum, times)
        })
    }

    const FLOOR: Option<Floor> = Some(vec_deque);
}

/// By a thread that is none of the runtime's.
pub(super) struct Outside;

impl Workload for Outside {
    const SPEC: Spec = Spec::new(
        "spawn",
        "spawn_join_outside",
        "task",
        "A thread outside of the runtime spawns 1,000 tasks that return a number, and waits for \
         all, again and again; thread-per-core runtimes get them dealt out in turn, through a \
         channel. Floor: two threads, each on a CPU of its own, with an injector queue.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let runtime = stage.runtime();
        let mut joins = Vec::with_capacity(BATCH as usize);
        let mut sum = 0;
        let meter = Meter::start();
        runtime.block_on(async {
            let mut next = 0;
            while next < times {
                for number in next..times.min(next + BATCH) {
                    joins.push(runtime.spawn(async move { number }));
                }
                next += joins.len() as u64;
                for join in joins.drain(..) {
                    sum += join.await;
                }
            }
        });
        judge(meter.stop(times), sum, times)
    }

    const FLOOR: Option<Floor> = Some(injector);
}

fn deque(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let queue: Worker<Job> = Worker::new_lifo();
    let mut context = Context::from_waker(Waker::noop());
    let mut sum = 0;
    let meter = Meter::start();
    for number in 0..times {
        queue.push(Box::pin(async move { number }));
        let mut job = queue.pop().expect("it was just pushed");
        if let Poll::Ready(number) = job.as_mut().poll(&mut context) {
            sum += number;
        }
    }
    judge(meter.stop(times), sum, times)
}

fn vec_deque(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let mut queue: VecDeque<Pin<Box<dyn Future<Output = u64>>>> = VecDeque::new();
    let mut context = Context::from_waker(Waker::noop());
    let mut sum = 0;
    let meter = Meter::start();
    for number in 0..times {
        queue.push_back(Box::pin(async move { number }));
        let mut job = black_box(&mut queue).pop_front().expect("it was just pushed");
        if let Poll::Ready(number) = job.as_mut().poll(&mut context) {
            sum += number;
        }
    }
    judge(meter.stop(times), sum, times)
}

/// What the thread that spawns and the one that runs share.
#[derive(Default)]
struct Shared {
    jobs: Injector<Job>,
    finished: AtomicU64,
    sum: AtomicU64,
    end: AtomicBool,
}

fn injector(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let shared = Shared::default();
    let meter = Meter::start();
    by_hand::on_two_cpus(|| spawn_jobs(&shared, times), || run_jobs(&shared));
    let slice = meter.stop(times);
    judge(slice, shared.sum.load(Ordering::Relaxed), times)
}

fn spawn_jobs(shared: &Shared, times: u64) {
    let mut next = 0;
    while next < times {
        let end = times.min(next + BATCH);
        for number in next..end {
            shared.jobs.push(Box::pin(async move { number }));
        }
        next = end;
        // Acquire pairs with the Release of the runner.
        while shared.finished.load(Ordering::Acquire) < next {
            spin_loop();
        }
    }
    shared.end.store(true, Ordering::Relaxed);
}

fn run_jobs(shared: &Shared) {
    let mut context = Context::from_waker(Waker::noop());
    while !shared.end.load(Ordering::Relaxed) {
        if let Steal::Success(mut job) = shared.jobs.steal() {
            if let Poll::Ready(number) = job.as_mut().poll(&mut context) {
                shared.sum.fetch_add(number, Ordering::Relaxed);
            }
            drop(job);
            // Release pairs with the Acquire of the thread that waits.
            shared.finished.fetch_add(1, Ordering::Release);
        } else {
            spin_loop();
        }
    }
}
