//! Theft: one worker makes tasks and then runs something long, so that another must take them all.

use std::future::Future;
use std::hint::{black_box, spin_loop};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};

use crossbeam_deque::{Steal, Worker};

use crate::workloads::{Contender, Session, Workload, by_hand, runtimes};

/// Tasks of one round.
const BATCH: u64 = 256;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) fn workloads() -> Vec<Workload> {
    vec![Workload::new(
        "steal",
        "256 tasks behind a long poll",
        vec![
            Contender::spargio(spargio),
            Contender::tokio(tokio),
            Contender::other("2 spinning threads", bare),
        ],
    )]
}

/// How many tasks have run.
#[derive(Debug, Default)]
struct Done(AtomicU64);

impl Done {
    fn note(&self) {
        // Release pairs with the Acquire in `wait`.
        self.0.fetch_add(1, Ordering::Release);
    }

    /// Keeps this thread until so many have run.
    fn wait(&self, wanted: u64) {
        // Acquire pairs with the Release in `note`.
        while self.0.load(Ordering::Acquire) < wanted {
            spin_loop();
        }
    }
}

/// How many rounds make so many tasks, or a few more.
const fn rounds(times: u64) -> u64 {
    times.div_ceil(BATCH)
}

// One task more than is waited for is spawned in each round: the youngest may stay in the slot of
// the worker that made it, from which nobody takes it for a while, or ever.

fn spargio() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        runtimes::inside_spargio(&runtime, async move {
            let done = Arc::new(Done::default());
            for round in 0..rounds(times) {
                for _ in 0..BATCH {
                    let done = Arc::clone(&done);
                    drop(spargio::spawn(async move { done.note() }).expect("the runtime is open"));
                }
                let youngest = spargio::spawn(async {}).expect("the runtime is open");
                done.wait((round + 1) * BATCH);
                youngest.await.expect("the task returns");
            }
        });
    })
}

fn tokio() -> Session {
    let runtime = runtimes::tokio();
    Box::new(move |times| {
        runtimes::inside_tokio(&runtime, async move {
            let done = Arc::new(Done::default());
            for round in 0..rounds(times) {
                for _ in 0..BATCH {
                    let done = Arc::clone(&done);
                    drop(tokio::spawn(async move { done.note() }));
                }
                let youngest = tokio::spawn(async {});
                done.wait((round + 1) * BATCH);
                youngest.await.expect("the task returns");
            }
        });
    })
}

fn bare() -> Session {
    Box::new(|times| {
        let queue: Worker<Job> = Worker::new_fifo();
        let stealer = queue.stealer();
        let done = Arc::new(Done::default());
        let end = AtomicBool::new(false);
        let (made, over) = (Arc::clone(&done), &end);
        let owner = move || {
            for round in 0..rounds(times) {
                for _ in 0..BATCH {
                    let done = Arc::clone(&made);
                    queue.push(Box::pin(async move { done.note() }));
                }
                made.wait((round + 1) * BATCH);
            }
            over.store(true, Ordering::Relaxed);
        };
        let thief = || {
            let mine: Worker<Job> = Worker::new_fifo();
            let mut context = Context::from_waker(Waker::noop());
            while !end.load(Ordering::Relaxed) {
                if let Steal::Success(job) = stealer.steal_batch_and_pop(&mine) {
                    let mut next = Some(job);
                    while let Some(mut job) = next {
                        black_box(job.as_mut().poll(&mut context).is_ready());
                        next = mine.pop();
                    }
                } else {
                    spin_loop();
                }
            }
        };
        by_hand::on_two_cpus(owner, thief);
    })
}
