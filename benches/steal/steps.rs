//! A load that steps from a twentieth of a core to nearly two cores and back: does it spread in
//! time, and does it cost no more than on one shard while it is small?

use std::thread;
use std::time::{Duration, Instant};

use spargio::{Runtime, sleep_until};

use crate::load::{compute, cpu_time};
use crate::report::measure::Spread;
use crate::report::table::time;
use crate::table::Table;

const ROUNDS: usize = 3;
/// Clients that each wait for their time, compute, and note how late they are done.
const CLIENTS: u32 = 64;
const WORK: Duration = Duration::from_micros(50);
const PHASE: Duration = Duration::from_millis(800);
/// Cores' worth of work in each phase.
const LOADS: [f64; 3] = [0.05, 1.9, 0.05];

/// How the clients are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Config {
    /// Stealable tasks on two shards, as by default.
    Default,
    /// Half of the clients pinned to each shard.
    Spread,
    /// One shard.
    Packed,
}

/// The 99th percentile of lateness, and CPU time per job, in nanoseconds, for each phase.
type Phases = [(f64, f64); 3];

pub(crate) fn tables() -> Vec<Table> {
    const CONFIGS: [(&str, Config); 3] = [
        ("default, 2 shards", Config::Default),
        ("always spread: pinned by halves", Config::Spread),
        ("always packed: 1 shard", Config::Packed),
    ];
    let mut samples = CONFIGS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (samples, (_, config)) in samples.iter_mut().zip(CONFIGS) {
            samples.push(run(config));
        }
    }
    let heads = ["", "5 %", "190 %", "5 % again"];
    let title = "64 clients of 50 us each: p99 from due to done, and CPU time per job";
    let mut table = Table::new(title, heads);
    for (samples, (name, config)) in samples.iter().zip(CONFIGS) {
        let cells = [0, 1, 2].map(|phase| {
            // One shard is overrun by almost two cores' worth.
            if config == Config::Packed && phase == 1 {
                return "-".to_owned();
            }
            let late = Spread::of(samples.iter().map(|sample: &Phases| sample[phase].0));
            let cpu = Spread::of(samples.iter().map(|sample: &Phases| sample[phase].1));
            format!("{}, {}", time(late.median), time(cpu.median))
        });
        table.line(name, cells);
    }
    vec![table]
}

/// When a client is due, from the start of the run.
fn schedule(client: u32, packed: bool) -> Vec<(usize, Duration)> {
    let mut due = Vec::new();
    for (phase, load) in LOADS.into_iter().enumerate() {
        if packed && phase == 1 {
            continue;
        }
        let begin = PHASE * phase as u32;
        let period = WORK.mul_f64(f64::from(CLIENTS) / load);
        let mut at = period * client / CLIENTS;
        while at < PHASE {
            due.push((phase, begin + at));
            at += period;
        }
    }
    due
}

fn run(config: Config) -> Phases {
    compute(WORK);
    let shards = if config == Config::Packed { 1 } else { 2 };
    let builder = Runtime::builder().shards(shards).packing(config == Config::Default);
    let runtime = builder.build().expect("io_uring is available");
    let handle = runtime.handle();
    let start = Instant::now() + Duration::from_millis(20);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let job = async move {
                let mut late = Vec::new();
                for (phase, at) in schedule(client, config == Config::Packed) {
                    let due = start + at;
                    sleep_until(due).await;
                    compute(WORK);
                    late.push((phase, due.elapsed()));
                }
                late
            };
            match config {
                Config::Spread => handle.spawn_pinned((client % 2) as u16, job),
                Config::Default | Config::Packed => handle.spawn_stealable(job),
            }
            .expect("the runtime is open")
        })
        .collect();
    let cpu = [0, 1, 2, 3].map(|boundary| {
        thread::sleep((start + PHASE * boundary).saturating_duration_since(Instant::now()));
        cpu_time()
    });
    let mut late = [const { Vec::new() }; 3];
    for client in clients {
        for (phase, late_by) in runtime.block_on(client).expect("the task returns") {
            late[phase].push(late_by);
        }
    }
    let mut phase = 0;
    late.map(|mut late| {
        late.sort_unstable();
        let jobs = late.len().max(1) as f64;
        let p99 = late.get(late.len() * 99 / 100).map_or(0.0, |late| late.as_nanos() as f64);
        let used = (cpu[phase + 1] - cpu[phase]).as_nanos() as f64 / jobs;
        phase += 1;
        (p99, used)
    })
}
