//! Spawning an empty task and waiting for it: from inside, on the same thread only, from outside.

use std::collections::VecDeque;
use std::future::Future;
use std::hint::{black_box, spin_loop};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};

use crossbeam_deque::{Injector, Steal, Worker};
use tokio::task::LocalSet;

use crate::workloads::{Contender, Session, Workload, by_hand, runtimes};

/// So many tasks are spawned from outside before the first is waited for.
const BATCH: u64 = 1_000;

type Job = Pin<Box<dyn Future<Output = u64> + Send>>;

pub(super) fn workloads() -> Vec<Workload> {
    let workload = |name, contenders| Workload::new("spawn", name, contenders);
    vec![
        workload(
            "spawn+join inside, stealable",
            vec![
                Contender::spargio(spargio_inside),
                Contender::tokio(tokio_inside),
                Contender::other("box+deque", bare_inside),
            ],
        ),
        workload(
            "spawn+join inside, local",
            vec![
                Contender::spargio(spargio_local),
                Contender::tokio(tokio_local),
                Contender::other("box+vecdeque", bare_local),
            ],
        ),
        workload(
            "spawn+join outside, 1000",
            vec![
                Contender::spargio(spargio_outside),
                Contender::tokio(tokio_outside),
                Contender::other("2 spinning threads", bare_outside),
            ],
        ),
    ]
}

fn spargio_inside() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        runtimes::inside_spargio(&runtime, async move {
            for number in 0..times {
                let task = spargio::spawn(async move { number }).expect("the runtime is open");
                black_box(task.await.expect("the task returns"));
            }
        });
    })
}

fn tokio_inside() -> Session {
    let runtime = runtimes::tokio();
    Box::new(move |times| {
        runtimes::inside_tokio(&runtime, async move {
            for number in 0..times {
                let task = tokio::spawn(async move { number });
                black_box(task.await.expect("the task returns"));
            }
        });
    })
}

fn bare_inside() -> Session {
    Box::new(|times| {
        let queue: Worker<Job> = Worker::new_lifo();
        let mut context = Context::from_waker(Waker::noop());
        for number in 0..times {
            queue.push(Box::pin(async move { number }));
            let mut job = queue.pop().expect("it was just pushed");
            black_box(job.as_mut().poll(&mut context).is_ready());
        }
    })
}

fn spargio_local() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        runtimes::inside_shard(&runtime, move |shard| async move {
            for number in 0..times {
                let task = shard.spawn_local(async move { number }).expect("the runtime is open");
                black_box(task.await.expect("the task returns"));
            }
        });
    })
}

fn tokio_local() -> Session {
    let runtime = runtimes::tokio_of_one_thread();
    let tasks = LocalSet::new();
    Box::new(move |times| {
        tasks.block_on(&runtime, async move {
            for number in 0..times {
                let task = tokio::task::spawn_local(async move { number });
                black_box(task.await.expect("the task returns"));
            }
        });
    })
}

fn bare_local() -> Session {
    Box::new(|times| {
        let mut queue: VecDeque<Pin<Box<dyn Future<Output = u64>>>> = VecDeque::new();
        let mut context = Context::from_waker(Waker::noop());
        for number in 0..times {
            queue.push_back(Box::pin(async move { number }));
            let mut job = queue.pop_front().expect("it was just pushed");
            black_box(job.as_mut().poll(&mut context).is_ready());
        }
    })
}

fn spargio_outside() -> Session {
    let runtime = runtimes::spargio();
    let mut tasks = Vec::new();
    Box::new(move |times| {
        runtime.block_on(async {
            for batch in batches(times) {
                for number in 0..batch {
                    let task = spargio::spawn(async move { number });
                    tasks.push(task.expect("the runtime is open"));
                }
                for task in tasks.drain(..) {
                    black_box(task.await.expect("the task returns"));
                }
            }
        });
    })
}

fn tokio_outside() -> Session {
    let runtime = runtimes::tokio();
    let mut tasks = Vec::new();
    Box::new(move |times| {
        runtime.block_on(async {
            for batch in batches(times) {
                for number in 0..batch {
                    tasks.push(tokio::spawn(async move { number }));
                }
                for task in tasks.drain(..) {
                    black_box(task.await.expect("the task returns"));
                }
            }
        });
    })
}

/// What the thread that spawns and the one that runs share.
#[derive(Default)]
struct Shared {
    jobs: Injector<Job>,
    finished: AtomicU64,
    end: AtomicBool,
}

fn bare_outside() -> Session {
    Box::new(|times| {
        let shared = Shared::default();
        by_hand::on_two_cpus(|| spawn_jobs(&shared, times), || run_jobs(&shared));
    })
}

fn spawn_jobs(shared: &Shared, times: u64) {
    let mut spawned = 0;
    for batch in batches(times) {
        for number in 0..batch {
            shared.jobs.push(Box::pin(async move { number }));
        }
        spawned += batch;
        // Acquire pairs with the Release of the runner.
        while shared.finished.load(Ordering::Acquire) < spawned {
            spin_loop();
        }
    }
    shared.end.store(true, Ordering::Relaxed);
}

fn run_jobs(shared: &Shared) {
    let mut context = Context::from_waker(Waker::noop());
    while !shared.end.load(Ordering::Relaxed) {
        if let Steal::Success(mut job) = shared.jobs.steal() {
            black_box(job.as_mut().poll(&mut context).is_ready());
            drop(job);
            // Release pairs with the Acquire of the thread that waits.
            shared.finished.fetch_add(1, Ordering::Release);
        } else {
            spin_loop();
        }
    }
}

/// Splits so many tasks into batches.
fn batches(times: u64) -> impl Iterator<Item = u64> {
    (0..times.div_ceil(BATCH)).map(move |index| BATCH.min(times - index * BATCH))
}
