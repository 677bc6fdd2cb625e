//! The queues as the part of a runtime: a load that one shard makes, with more and more shards.

use std::time::{Duration, Instant};

use spargio::queue::{BlockQueue, ChaseLev, MutexQueue, StealQueue};

use crate::load::{compute, runtime};
use crate::{Case, Session};

/// Tasks of one round.
const TASKS: u64 = 256;
const LENGTH: Duration = Duration::from_micros(2);

pub(crate) fn cases() -> Vec<Case> {
    let case = |shards: usize| Case {
        name: format!("fan-out of 256 x 2 us, {shards} shards"),
        open: [fan_out::<ChaseLev>, fan_out::<MutexQueue>, fan_out::<BlockQueue>],
        size: shards,
    };
    [2, 4, 8, 16].map(case).into()
}

/// One task spawns all on its own shard and waits for them.
fn fan_out<Q: StealQueue>(shards: usize) -> Session {
    compute(LENGTH);
    let runtime = runtime::<Q>(shards);
    Box::new(move |times| {
        let rounds = times.div_ceil(TASKS);
        let task = runtime.spawn_on(0, async move {
            let mut tasks = Vec::new();
            let start = Instant::now();
            for _ in 0..rounds {
                for _ in 0..TASKS {
                    let task = spargio::spawn(async { compute(LENGTH) });
                    tasks.push(task.expect("the runtime is open"));
                }
                for task in tasks.drain(..) {
                    task.await.expect("the task returns");
                }
            }
            start.elapsed()
        });
        let took = runtime.block_on(task.expect("the runtime is open")).expect("the task returns");
        took.mul_f64(times as f64 / (rounds * TASKS) as f64)
    })
}
