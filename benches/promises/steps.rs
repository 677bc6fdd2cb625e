//! A load that steps from a twentieth of a core to nearly two cores and back: does it spread in
//! time, and does it cost no more than on one shard while it is small?

use std::thread;
use std::time::{Duration, Instant};

use spargio::{Runtime, sleep_until};

use crate::cpu::cpu_time;
use crate::load::compute;
use crate::report::spread::Spread;
use crate::report::units::time;
use crate::table::Table;

const ROUNDS: usize = 3;
/// Clients that each wait for their time, compute, and note how late they are done.
const CLIENTS: u32 = 64;
const WORK: Duration = Duration::from_micros(50);
const PHASE: Duration = Duration::from_millis(600);
/// Cores' worth of work in each phase.
const LOADS: [f64; 3] = [0.05, 1.9, 0.05];
/// What one shard needs, beyond the length of the phase, to get through two cores' worth of work.
const BACKLOG: Duration = Duration::from_millis(750);

/// How the clients are spread. `packing` is on; with pinned clients it has nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Config {
    /// Stealable tasks on two shards, as by default.
    Default,
    /// The same, each shard bound to a CPU of its own, so that the kernel has no say.
    Bound,
    /// Half of the clients pinned to each shard, bound.
    Spread,
    /// One shard, bound.
    Packed,
}

/// What one phase came to, in nanoseconds: quantiles of the time from when a job was due to when it
/// was done, and CPU time of the process.
#[derive(Clone, Copy, Debug)]
struct Phase {
    p50: f64,
    p99: f64,
    cpu: f64,
}

pub(crate) fn table() -> Table {
    const CONFIGS: [(&str, Config); 4] = [
        ("default, 2 shards", Config::Default),
        ("default, 2 shards, bound", Config::Bound),
        ("always spread: 2 shards, bound, half of the clients pinned to each", Config::Spread),
        ("always packed: 1 shard, bound", Config::Packed),
    ];
    let mut samples = CONFIGS.map(|_| Vec::new());
    for round in 0..ROUNDS {
        for place in 0..CONFIGS.len() {
            let turn = (round + place) % CONFIGS.len();
            samples[turn].push(run(CONFIGS[turn].1));
        }
    }
    let heads = ["", "5 %", "190 %", "5 % again"];
    let title =
        "64 clients of 50 us each: p50 and p99 from due to done, and CPU time, per phase of 0.6 s";
    let mut table = Table::new(title, heads);
    for (samples, (name, _)) in samples.iter().zip(CONFIGS) {
        let cells = [0, 1, 2].map(|phase| {
            let median = |of: fn(&Phase) -> f64| {
                Spread::of(samples.iter().map(|sample: &[Phase; 3]| of(&sample[phase]))).median
            };
            let late = Spread::of(samples.iter().map(|sample| sample[phase].p99));
            format!(
                "{}, {} [{} .. {}], {}",
                time(median(|phase| phase.p50)),
                time(late.median),
                time(late.low),
                time(late.high),
                time(median(|phase| phase.cpu)),
            )
        });
        table.line(name, cells);
    }
    table
}

/// When each phase begins, and when the last one is over.
fn begins(config: Config) -> [Duration; 4] {
    // One shard is overrun in the second phase, and gets through it before the third.
    let backlog = if config == Config::Packed { BACKLOG } else { Duration::ZERO };
    [Duration::ZERO, PHASE, 2 * PHASE + backlog, 3 * PHASE + backlog]
}

/// When a client is due, from the start of the run, and in which phase.
fn schedule(client: u32, config: Config) -> impl Iterator<Item = (usize, Duration)> {
    begins(config).into_iter().zip(LOADS).enumerate().flat_map(move |(phase, (begin, load))| {
        let period = WORK.mul_f64(f64::from(CLIENTS) / load);
        let times = (0..).map(move |turn: u32| period * client / CLIENTS + period * turn);
        times.take_while(|&at| at < PHASE).map(move |at| (phase, begin + at))
    })
}

fn run(config: Config) -> [Phase; 3] {
    compute(WORK);
    let shards = if config == Config::Packed { 1 } else { 2 };
    let builder = Runtime::builder().shards(shards);
    let builder = if config == Config::Default { builder } else { builder.thread_affinity([0, 1]) };
    let runtime = builder.build().expect("io_uring is available");
    let handle = runtime.handle();
    let start = Instant::now() + Duration::from_millis(20);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let job = async move {
                let mut late = [const { Vec::new() }; 3];
                for (phase, at) in schedule(client, config) {
                    let due = start + at;
                    sleep_until(due).await;
                    compute(WORK);
                    late[phase].push(due.elapsed());
                }
                late
            };
            match config {
                Config::Spread => handle.spawn_pinned((client % 2) as u16, job),
                _ => handle.spawn_stealable(job),
            }
            .expect("the runtime is open")
        })
        .collect();
    let cpu = begins(config).map(|begin| {
        thread::sleep((start + begin).saturating_duration_since(Instant::now()));
        cpu_time()
    });
    let mut late = [const { Vec::new() }; 3];
    for client in clients {
        let client = runtime.block_on(client).expect("the task returns");
        late.iter_mut().zip(client).for_each(|(all, some)| all.extend(some));
    }
    [0, 1, 2].map(|phase| {
        let late = &mut late[phase];
        late.sort_unstable();
        let at = |percent: usize| late[(late.len() - 1) * percent / 100].as_nanos() as f64;
        let cpu = (cpu[phase + 1] - cpu[phase]).as_nanos() as f64;
        Phase { p50: at(50), p99: at(99), cpu }
    })
}
