//! A load that one shard makes, with the CPU time that it takes.

use std::time::{Duration, Instant};

use spargio::{Assembly, RuntimeOf};

use crate::cpu::cpu_time;
use crate::load::{compute, shown};
use crate::report::spread::Spread;
use crate::report::units::time;

const LENGTH: Duration = Duration::from_millis(60);
/// Tasks of one round.
const TASKS: u64 = 256;

/// Wall and CPU time per task.
pub(crate) type Pair = (f64, f64);

/// The medians of some samples.
pub(crate) fn cell(samples: &[Pair]) -> String {
    let wall = Spread::of(samples.iter().map(|sample| sample.0));
    let cpu = Spread::of(samples.iter().map(|sample| sample.1)).median;
    format!("{} ({})", shown(wall), time(cpu))
}

/// Rounds on this runtime, from a task of shard 0.
pub(crate) fn on<A: Assembly>(runtime: &RuntimeOf<A>, length: Duration) -> Pair {
    compute(length);
    let task = runtime.spawn_on(0, async move {
        let mut tasks = Vec::new();
        let mut counted = (Instant::now(), cpu_time(), 0);
        let (mut rounds, mut warm) = (0, false);
        loop {
            for _ in 0..TASKS {
                let task = spargio::spawn(async move {
                    if !length.is_zero() {
                        compute(length);
                    }
                });
                tasks.push(task.expect("the runtime is open"));
            }
            for task in tasks.drain(..) {
                task.await.expect("the task returns");
            }
            rounds += TASKS;
            let (start, cpu, before) = counted;
            let elapsed = start.elapsed();
            if !warm && elapsed > LENGTH / 4 {
                warm = true;
                counted = (Instant::now(), cpu_time(), rounds);
            } else if warm && elapsed > LENGTH {
                let per = |time: Duration| time.as_nanos() as f64 / (rounds - before) as f64;
                return (per(elapsed), per(cpu_time() - cpu));
            }
        }
    });
    runtime.block_on(task.expect("the runtime is open")).expect("the task returns")
}
