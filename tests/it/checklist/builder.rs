//! The knobs.

use std::time::Duration;

use spargio::driver::UringSetup;
use spargio::net::UnixStream;
use spargio::{MAX_BACKOFF, MAX_SPIN, Runtime, RuntimeBuilder, StealOptions, fs};

use crate::builder as values;
use crate::support::{SOON, elsewhere, watched};

/// A socket, a file and a timer, one after the other.
async fn io() -> std::io::Result<()> {
    let (near, far) = UnixStream::pair()?;
    for round in 0..10 {
        near.write_all(vec![round; 100]).await.0?;
        let (read, buf) = far.read_exact(vec![0; 100].into_boxed_slice()).await;
        read?;
        assert_eq!(buf[..], [round; 100]);
    }
    assert!(!fs::read("/proc/self/status").await?.is_empty());
    spargio::sleep(Duration::from_millis(1)).await;
    Ok(())
}

fn new() -> RuntimeBuilder {
    Runtime::builder().shards(2)
}

/// What runs: each knob at both of its ends, and the presets of the ring.
fn presets() -> Vec<(&'static str, RuntimeBuilder)> {
    let cpus = values::allowed_cpus();
    let cpu = u32::try_from(cpus[0]).unwrap();
    let coop = |setup: &mut UringSetup| setup.coop_taskrun = true;
    let workers = |count: Option<[u32; 2]>| {
        move |setup: &mut UringSetup| {
            setup.iowq_max_workers = count;
        }
    };
    let least = StealOptions {
        batch_size: 0,
        victim_probe_count: 0,
        victim_stride: 0,
        locality_margin: 0,
        fail_cost: 0,
        backoff_min: Duration::ZERO,
        backoff_max: Duration::ZERO,
    };
    let most = StealOptions {
        batch_size: usize::MAX,
        victim_probe_count: usize::MAX,
        victim_stride: usize::MAX,
        locality_margin: usize::MAX,
        fail_cost: u32::MAX,
        backoff_min: MAX_BACKOFF,
        backoff_max: MAX_BACKOFF,
    };
    vec![
        ("default", Runtime::builder()),
        ("one shard", new().shards(1)),
        ("many shards", new().shards(33).ring_entries(8)),
        ("no prefix", new().thread_prefix("")),
        ("long prefix", new().thread_prefix("a name that is far too long for Linux")),
        ("not bound", new().thread_affinity([])),
        ("bound", new().thread_affinity(cpus)),
        ("smallest rings", new().ring_entries(0).cq_entries(1)),
        ("largest rings", new().shards(1).ring_entries(32_768).cq_entries(65_536)),
        ("coop", new().uring(coop)),
        ("sqpoll", new().sqpoll(0)),
        ("sqpoll that sleeps soon", new().sqpoll(1)),
        ("sqpoll on a CPU", new().sqpoll_cpu(cpu)),
        ("few workers", new().uring(workers(Some([1, 1])))),
        ("workers of the kernel", new().uring(workers(None))),
        ("least queue", new().stealable_queue_capacity(0)),
        ("most queue", new().stealable_queue_capacity(usize::MAX)),
        ("least tasks", new().max_tasks(0)),
        ("most tasks", new().max_tasks(usize::MAX)),
        ("least operations", new().max_operations(0)),
        ("most operations", new().max_operations(usize::MAX)),
        ("least timers", new().max_timers(0)),
        ("most timers", new().max_timers(usize::MAX)),
        ("least blocking", new().max_blocking_threads(0).blocking_queue_capacity(0)),
        ("most blocking", new().max_blocking_threads(usize::MAX)),
        ("most jobs", new().blocking_queue_capacity(usize::MAX)),
        ("blocking threads that go", new().blocking_keep_alive(Duration::ZERO)),
        ("blocking threads that stay", new().blocking_keep_alive(Duration::MAX)),
        ("least messages", new().msg_ring_queue_capacity(0)),
        ("most messages", new().msg_ring_queue_capacity(1 << 24)),
        ("hot tags", new().hot_msg_tags(0..=u16::MAX)),
        ("counted tags", new().coalesced_hot_msg_tags(0..=u16::MAX)),
        ("least threshold", new().hot_counter_wake_threshold(0)),
        ("most threshold", new().hot_counter_wake_threshold(u64::MAX)),
        ("no spin", new().spin(Duration::ZERO)),
        ("most spin", new().spin(MAX_SPIN)),
        ("least stealing", new().steal(least)),
        ("most stealing", new().steal(most)),
        ("no packing", new().packing(false)),
        ("histograms", new().poll_histograms(true)),
    ]
}

/// Every knob of the builder at its extremes and every preset of the ring runs operations on every
/// shard, and what cannot be is an error that names the value and the limit.
#[test]
fn c23_presets_work() {
    watched(|watch| {
        for (name, builder) in presets() {
            let runtime = watch.build(builder);
            for shard in 0..u16::try_from(runtime.shard_count()).unwrap() {
                let io = elsewhere(runtime.spawn_on(shard, io()).unwrap()).unwrap();
                io.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            let io = elsewhere(runtime.handle().spawn_stealable(io()).unwrap()).unwrap();
            io.unwrap_or_else(|error| panic!("{name}: {error}"));
            let ten = elsewhere(runtime.handle().spawn_blocking(|| 10).unwrap()).unwrap();
            assert_eq!(ten, 10, "{name}");
            let report = runtime.shutdown_timeout(SOON);
            assert_eq!((report.shards_stuck, report.failures.len()), (0, 0), "{name}: {report}");
        }
    });
    values::a_number_of_shards_out_of_range_is_refused();
    values::a_cpu_that_cannot_be_had_is_refused();
    values::a_spin_that_is_a_busy_loop_is_refused();
    values::a_ring_of_a_wrong_size_is_refused();
    values::options_of_the_ring_that_exclude_each_other_are_refused();
    values::a_back_off_that_cannot_be_is_refused();
}
