//! What it costs that an idle shard keeps an eye on one which is at work, in case that gets stuck.

use std::thread;
use std::time::{Duration, Instant};

use spargio::{Runtime, sleep};

use crate::cpu::cpu_time;
use crate::report::spread::Spread;
use crate::report::units::time;
use crate::table::Table;

const SAMPLES: usize = 5;
const LENGTH: Duration = Duration::from_millis(200);

pub(crate) fn table() -> Table {
    let mut table = Table::new(
        "CPU time per second: a task of shard 0 spawns one and waits for it, again and again",
        ["pause between", "1 shard", "2 shards", "4 shards", "spawned, 1 shard", "2", "4"],
    );
    for (name, pause) in [
        ("none", Duration::ZERO),
        ("100 us", Duration::from_micros(100)),
        ("1 ms", Duration::from_millis(1)),
        ("10 ms", Duration::from_millis(10)),
    ] {
        let mut samples = [const { Vec::new() }; 3];
        for round in 0..SAMPLES {
            for place in 0..3 {
                let turn = (round + place) % 3;
                samples[turn].push(sample([1, 2, 4][turn], pause));
            }
        }
        let median = |of: fn(&(f64, f64)) -> f64| {
            samples.each_ref().map(|samples| Spread::of(samples.iter().map(of)).median)
        };
        let cpu = median(|sample| sample.0).map(time);
        let each = median(|sample| sample.1).map(|spawned| format!("{spawned:.0}"));
        table.line(name, cpu.into_iter().chain(each));
    }
    table
}

/// CPU time in nanoseconds, and how many were spawned, per second.
fn sample(shards: usize, pause: Duration) -> (f64, f64) {
    let runtime = Runtime::builder().shards(shards).build().expect("io_uring is available");
    thread::sleep(Duration::from_millis(5));
    let task = runtime.handle().spawn_pinned(0, async move {
        let (began, cpu, mut spawned) = (Instant::now(), cpu_time(), 0);
        while began.elapsed() < LENGTH {
            let short = spargio::spawn(async {}).expect("the runtime is open");
            short.await.expect("the task returns");
            spawned += 1;
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        ((cpu_time() - cpu).as_nanos() as f64 / seconds, f64::from(spawned) / seconds)
    });
    runtime.block_on(task.expect("the runtime is open")).expect("the task returns")
}
