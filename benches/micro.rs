//! The workloads as criterion groups, for regressions from change to change: `ping_pong`,
//! `fanout_fanin`, `spawn`, `steal`, `yield`, `messages`, `sync`, `timer`, `op`, `net_api`,
//! `fs_api`, `du_api` and `cold_start`.
//!
//! `cargo bench --bench micro -- [FILTER]`, where a group is a filter too. For numbers beside those
//! of others use `spargio-bench`, which measures by turns.

mod workloads;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn benchmarks(criterion: &mut Criterion) {
    for workload in workloads::all() {
        let mut group = criterion.benchmark_group(workload.group);
        for contender in &workload.contenders {
            let id = BenchmarkId::new(workload.name, contender.name);
            // The session is opened when its benchmark is run, and closed before the next one.
            group.bench_function(id, |bencher| {
                let mut session = (contender.open)();
                bencher.iter_custom(|times| {
                    let start = Instant::now();
                    session(times);
                    start.elapsed()
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = groups;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20);
    targets = benchmarks
}
criterion_main!(groups);
