//! Fan-out and fan-in: 16 tasks of about 2 us each, spawned by one task that waits for all.

use std::hint::{black_box, spin_loop};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use spargio::{Assembly, RuntimeOf};

use crate::workloads::{Contender, Session, Workload, by_hand, runtimes};

const TASKS: u64 = 16;
const TASK_TIME: Duration = Duration::from_micros(2);

pub(super) fn workloads() -> Vec<Workload> {
    vec![Workload::new(
        "fanout_fanin",
        "fan-out of 16 x 2 us",
        vec![
            Contender::spargio(spargio),
            Contender::tokio(tokio),
            Contender::other("2 spinning threads", bare),
            Contender::other("1 thread, no tasks", alone),
        ],
    )]
}

/// Computes for about [`TASK_TIME`]: the same number of steps always, found out once.
fn work(seed: u64) -> u64 {
    static STEPS: OnceLock<u64> = OnceLock::new();
    compute(seed, *STEPS.get_or_init(calibrate))
}

fn compute(seed: u64, steps: u64) -> u64 {
    let mut state = seed | 1;
    for _ in 0..steps {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    state
}

/// The steps of one task, from the fastest of several runs: others may use the machine.
fn calibrate() -> u64 {
    const STEPS: u64 = 20_000;
    let fastest = (0..50).map(|seed| {
        let start = Instant::now();
        black_box(compute(seed, STEPS));
        start.elapsed()
    });
    let fastest = fastest.min().expect("there are 50").as_nanos() as u64;
    STEPS * TASK_TIME.as_nanos() as u64 / fastest.max(1)
}

fn spargio() -> Session {
    fan_out(runtimes::spargio())
}

/// From a stealable task.
pub(crate) fn fan_out<A: Assembly>(runtime: RuntimeOf<A>) -> Session {
    work(0);
    Box::new(move |times| {
        runtimes::inside_spargio(&runtime, async move {
            let mut tasks = Vec::new();
            for _ in 0..times {
                for seed in 0..TASKS {
                    let task = spargio::spawn(async move { work(seed) });
                    tasks.push(task.expect("the runtime is open"));
                }
                for task in tasks.drain(..) {
                    black_box(task.await.expect("the task returns"));
                }
            }
        });
    })
}

fn tokio() -> Session {
    let runtime = runtimes::tokio();
    work(0);
    Box::new(move |times| {
        runtimes::inside_tokio(&runtime, async move {
            let mut tasks = Vec::new();
            for _ in 0..times {
                for seed in 0..TASKS {
                    tasks.push(tokio::spawn(async move { work(seed) }));
                }
                for task in tasks.drain(..) {
                    black_box(task.await.expect("the task returns"));
                }
            }
        });
    })
}

/// The tasks of the bare loop: so many may be taken, were taken, are done.
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
            let next = task + 1;
            let order = Ordering::Relaxed;
            if self.taken.compare_exchange_weak(task, next, order, order).is_ok() {
                return Some(task);
            }
        }
    }

    /// Does what can be taken.
    fn help(&self) {
        while let Some(task) = self.take() {
            black_box(work(task));
            // Release pairs with the Acquire of the thread that waits for all.
            self.done.fetch_add(1, Ordering::Release);
        }
    }
}

fn bare() -> Session {
    work(0);
    Box::new(|times| {
        let tasks = Tasks::default();
        let lead = || {
            for round in 1..=times {
                // Release pairs with the Acquire in `take`.
                tasks.open.store(round * TASKS, Ordering::Release);
                tasks.help();
                // Acquire pairs with the Release in `help`.
                while tasks.done.load(Ordering::Acquire) < round * TASKS {
                    spin_loop();
                }
            }
            tasks.end.store(true, Ordering::Relaxed);
        };
        let follow = || {
            while !tasks.end.load(Ordering::Relaxed) {
                tasks.help();
                spin_loop();
            }
        };
        by_hand::on_two_cpus(lead, follow);
    })
}

fn alone() -> Session {
    work(0);
    Box::new(|times| {
        for _ in 0..times {
            for seed in 0..TASKS {
                black_box(work(seed));
            }
        }
    })
}
