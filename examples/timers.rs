//! What timers cost: a million timeouts that are not needed, and a hundred thousand sleeps at once,
//! here and on tokio.
//!
//! ```sh
//! cargo run --release --example timers
//! ```
//!
//! After `--`, `--sleeps` leaves the timeouts out, and `--stats` shows what the runtime counted.

use std::error::Error;
use std::future::Future;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use spargio::Runtime;

const TIMEOUTS: u32 = 1_000_000;
const SLEEPERS: u64 = 100_000;
const ROUNDS: u64 = 5;
const THREADS: usize = 2;
const HOUR: Duration = Duration::from_secs(3_600);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let is_said = |word: &str| std::env::args().any(|argument| argument == word);
    if !is_said("--sleeps") {
        let runtime = Runtime::builder().shards(1).build()?;
        for (name, alone, bound) in runtime.block_on(runtime.spawn_on(0, timeouts())?)? {
            let more = bound - 1.5 * alone;
            println!(
                "{name}: alone {alone:.1} ns, with a timeout {bound:.1} ns: 1.5x {more:+.1} ns"
            );
        }
    }

    for _ in 0..3 {
        let builder = Runtime::builder().shards(THREADS).max_tasks(1_000_000);
        let runtime = builder.stealable_queue_capacity(1_000_000).build()?;
        let here = Sleeps::of(|| runtime.block_on(sleepers_here()))?;
        if is_said("--stats") {
            println!("{}", runtime.stats_snapshot());
        }
        drop(runtime);
        println!("spargio: {here}");
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .enable_time()
            .build()?;
        let there = Sleeps::of(|| tokio.block_on(sleepers_on_tokio()))?;
        println!("tokio:   {there}");
    }
    Ok(())
}

/// The cost of a future in nanoseconds, alone and with a timeout that it does not need; the best of
/// some runs.
async fn timeouts() -> [(&'static str, f64, f64); 2] {
    let mut best = [f64::MAX; 4];
    for _ in 0..5 {
        let runs = [
            each(|| async { black_box(()) }).await,
            each(|| spargio::timeout(HOUR, async { black_box(()) })).await,
            each(spargio::yield_now).await,
            each(|| spargio::timeout(HOUR, spargio::yield_now())).await,
        ];
        for (best, run) in best.iter_mut().zip(runs) {
            *best = best.min(run);
        }
    }
    [("ready at once", best[0], best[1]), ("waits for a turn", best[2], best[3])]
}

/// By the clock of this thread, so that others who use the machine do not count.
async fn each<F: Future>(make: impl Fn() -> F) -> f64 {
    let clock = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let start = clock();
    for _ in 0..TIMEOUTS {
        black_box(make().await);
    }
    (clock() - start) / f64::from(TIMEOUTS)
}

/// When a sleeper wakes, from the first to the last within a second: no two at the same time, and
/// in no order.
fn deadline(start: Instant, sleeper: u64, round: u64) -> Instant {
    let place = (sleeper * 7_919 + round * 104_729) % SLEEPERS;
    start + Duration::from_secs(1 + round) + Duration::from_micros(place * 10)
}

async fn sleepers_here() -> Vec<Duration> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..SLEEPERS)
        .map(|sleeper| {
            spargio::spawn(async move {
                let mut late = Vec::with_capacity(ROUNDS as usize);
                for round in 0..ROUNDS {
                    let due = deadline(start, sleeper, round);
                    spargio::sleep_until(due).await;
                    late.push(due.elapsed());
                }
                late
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.expect("the limit is higher").await.expect("a sleeper comes to its end"));
    }
    all
}

async fn sleepers_on_tokio() -> Vec<Duration> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..SLEEPERS)
        .map(|sleeper| {
            tokio::spawn(async move {
                let mut late = Vec::with_capacity(ROUNDS as usize);
                for round in 0..ROUNDS {
                    let due = deadline(start, sleeper, round);
                    tokio::time::sleep_until(due.into()).await;
                    late.push(due.elapsed());
                }
                late
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a sleeper comes to its end"));
    }
    all
}

/// How late sleepers woke, and what that cost.
struct Sleeps {
    late: Vec<Duration>,
    cpu: Duration,
}

impl Sleeps {
    fn of(run: impl FnOnce() -> Vec<Duration>) -> Outcome<Self> {
        let before = cpu()?;
        let mut late = run();
        let cpu = cpu()?.saturating_sub(before);
        late.sort_unstable();
        Ok(Self { late, cpu })
    }

    fn part(&self, thousandths: usize) -> Duration {
        self.late[(self.late.len() - 1) * thousandths / 1_000]
    }
}

impl std::fmt::Display for Sleeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [500, 990, 999].map(|thousandths| self.part(thousandths));
        let each = self.cpu.as_secs_f64() * 1e6 / (SLEEPERS * ROUNDS) as f64;
        write!(f, "late by {parts:?} (50, 99, 99.9 %), {each:.2} us of CPU each")
    }
}

/// The time that the threads of this process have run for.
fn cpu() -> Outcome<Duration> {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}
