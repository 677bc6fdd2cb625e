//! What each knob of stealing is worth: one value changed at a time.

use std::time::{Duration, Instant};

use spargio::queue::ChaseLev;
use spargio::{StealOptions, yield_now};

use crate::fan_out::{cell, on};
use crate::load::builder;
use crate::load::shown;
use crate::report::spread::Spread;
use crate::table::Table;

const SAMPLES: usize = 5;

type Change = (&'static str, fn(&mut StealOptions));

const fn ns(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

const CHANGES: [Change; 16] = [
    ("the defaults", |_| {}),
    ("`batch_size` 1", |options| options.batch_size = 1),
    ("`batch_size` 4", |options| options.batch_size = 4),
    ("`batch_size` 128", |options| options.batch_size = 128),
    ("`victim_probe_count` 1", |options| options.victim_probe_count = 1),
    ("`victim_probe_count` 2", |options| options.victim_probe_count = 2),
    ("`victim_stride` 3", |options| options.victim_stride = 3),
    ("`locality_margin` 1", |options| options.locality_margin = 1),
    ("`locality_margin` 8", |options| options.locality_margin = 8),
    ("no back-off", |options| {
        (options.backoff_min, options.backoff_max) = (ns(0), ns(0));
    }),
    ("back-off 200 ns to 2 us", |options| {
        (options.backoff_min, options.backoff_max) = (ns(200), ns(2_000));
    }),
    ("back-off 2 us to 8 us", |options| {
        (options.backoff_min, options.backoff_max) = (ns(2_000), ns(8_000));
    }),
    ("back-off 500 ns to 50 us", |options| {
        (options.backoff_min, options.backoff_max) = (ns(500), ns(50_000));
    }),
    ("back-off 50 us", |options| {
        (options.backoff_min, options.backoff_max) = (ns(50_000), ns(50_000));
    }),
    ("`fail_cost` 0", |options| options.fail_cost = 0),
    ("`fail_cost` 3", |options| options.fail_cost = 3),
];

pub(crate) fn table() -> Table {
    let heads =
        ["changed", "2 shards, 256 x 2 us", "8 shards, 256 x 2 us", "yields beside a search"];
    let mut table =
        Table::new("One knob changed: wall time per task (CPU time), and per yield", heads);
    let mut samples = CHANGES.map(|_| (Vec::new(), Vec::new(), Vec::new()));
    for round in 0..SAMPLES {
        for place in 0..CHANGES.len() {
            let turn = (round * 5 + place) % CHANGES.len();
            let mut options = StealOptions::default();
            (CHANGES[turn].1)(&mut options);
            samples[turn].0.push(fan_out(2, options));
            samples[turn].1.push(fan_out(8, options));
            samples[turn].2.push(yields(options));
        }
    }
    for ((name, _), (two, eight, yields)) in CHANGES.iter().zip(samples) {
        let yields = shown(Spread::of(yields));
        table.line(name, [cell(&two), cell(&eight), yields]);
    }
    table
}

fn fan_out(shards: usize, options: StealOptions) -> (f64, f64) {
    let runtime =
        builder::<ChaseLev>(shards).steal(options).build().expect("io_uring is available");
    on(&runtime, Duration::from_micros(2))
}

/// Nanoseconds per yield of a pair of pinned and stealable tasks, while the other shard looks for
/// work all the time and finds none that it may take.
fn yields(options: StealOptions) -> f64 {
    const YIELDS: u32 = 100_000;
    let options = StealOptions { locality_margin: options.locality_margin.max(4), ..options };
    // A spin as long as can be, so that the other shard is awake throughout.
    let runtime = builder::<ChaseLev>(2)
        .steal(options)
        .spin(spargio::MAX_SPIN)
        .build()
        .expect("io_uring is available");
    let task = runtime.spawn_on(0, async {
        let job = || async {
            let start = Instant::now();
            for _ in 0..YIELDS {
                yield_now().await;
            }
            start.elapsed()
        };
        let other = spargio::spawn(job()).expect("the runtime is open");
        let mine = job().await;
        mine.max(other.await.expect("the task returns"))
    });
    let took = runtime.block_on(task.expect("the runtime is open")).expect("the task returns");
    took.as_nanos() as f64 / f64::from(2 * YIELDS)
}
