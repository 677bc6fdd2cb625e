//! A load that one shard makes, in runtimes of more and more shards.

use std::time::{Duration, Instant};

use spargio::queue::{BlockQueue, ChaseLev, MutexQueue, StealQueue};
use spargio::{Assembly, RuntimeOf};

use crate::load::{compute, cpu_time, runtime, shown};
use crate::report::measure::Spread;
use crate::report::table::time;
use crate::table::Table;

const SAMPLES: usize = 5;
const LENGTH: Duration = Duration::from_millis(60);
/// Tasks of one round.
const TASKS: u64 = 256;

/// Wall and CPU time per task.
pub(crate) type Pair = (f64, f64);

pub(crate) fn tables() -> Vec<Table> {
    [(Duration::from_micros(2), "2 us"), (Duration::ZERO, "no")].map(|(length, name)| {
        let title = format!(
            "One task spawns 256 of {name} work each and waits for all: wall time per task (CPU time)"
        );
        let heads = ["shards", "`ChaseLev`", "`MutexQueue`", "`BlockQueue`"];
        let mut table = Table::new(&title, heads);
        for shards in [2, 4, 8, 16] {
            let mut samples = [const { Vec::new() }; 3];
            for round in 0..SAMPLES {
                for place in 0..3 {
                    let turn = (round + place) % 3;
                    samples[turn].push(match turn {
                        0 => sample::<ChaseLev>(shards, length),
                        1 => sample::<MutexQueue>(shards, length),
                        _ => sample::<BlockQueue>(shards, length),
                    });
                }
            }
            table.line(&shards.to_string(), samples.map(|samples| cell(&samples)));
        }
        table
    })
    .into()
}

/// The medians of some samples.
pub(crate) fn cell(samples: &[Pair]) -> String {
    let wall = Spread::of(samples.iter().map(|sample| sample.0));
    let cpu = Spread::of(samples.iter().map(|sample| sample.1)).median;
    format!("{} ({})", shown(wall), time(cpu))
}

fn sample<Q: StealQueue>(shards: usize, length: Duration) -> Pair {
    on(&runtime::<Q>(shards), length)
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
