//! A runtime that is started, used a little, and ended.

use std::sync::mpsc;
use std::thread;

use io_uring::IoUring;

use super::{Floor, Spec, Stage, Workload, baton};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Runtime, Setup};

/// Round trips between start and end, as in the published suite.
const ROUND_TRIPS: u64 = 64;

pub(super) struct ColdStart;

impl Workload for ColdStart {
    const SPEC: Spec = Spec {
        starts_itself: true,
        ..Spec::new(
            "cold_start",
            "cold_start_ping_pong",
            "start",
            "A runtime is built; one task spawns another and passes a baton 64 times back and forth \
             with it; the runtime is shut down until its threads are gone. Floor: as many threads, \
             each with a ring (256 entries, SINGLE_ISSUER, DEFER_TASKRUN), one of which polls the \
             two futures by turns, and then they end.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let mut latencies = Latencies::of_all();
        let mut received = 0;
        let meter = Meter::start();
        for _ in 0..times {
            let lap = latencies.start();
            let (runtime, stop) = R::start(stage.setup()).map_err(Wrong)?;
            let spawner = runtime.clone();
            let task = async move {
                let (near, far) = baton::pair();
                let partner = spawner.spawn(far.pong(ROUND_TRIPS));
                let (received, _) = near.ping(ROUND_TRIPS).await;
                partner.await;
                received
            };
            received += runtime.block_on(async { runtime.spread(0, task).await });
            drop(runtime);
            stop();
            latencies.end(lap);
        }
        let slice = meter.stop(times).with_latencies(latencies);
        Wrong::unless_equal("answers received", received, times * ROUND_TRIPS)?;
        Ok(slice)
    }

    const FLOOR: Option<Floor> = Some(threads_with_rings);
}

fn threads_with_rings(setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let mut latencies = Latencies::of_all();
    let mut received = 0;
    let meter = Meter::start();
    for _ in 0..times {
        let lap = latencies.start();
        received += start_threads(setup.threads);
        latencies.end(lap);
    }
    let slice = meter.stop(times).with_latencies(latencies);
    Wrong::unless_equal("answers received", received, times * ROUND_TRIPS)?;
    Ok(slice)
}

/// Starts threads, has the first of them play with itself, and ends them.
fn start_threads(number: usize) -> u64 {
    let (ready, all_ready) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let workers: Vec<_> = (0..number)
        .map(|_| {
            let (order, orders) = mpsc::channel::<u64>();
            let (ready, answer) = (ready.clone(), answer.clone());
            let worker = thread::spawn(move || {
                let ring = open_ring();
                ready.send(()).expect("the starter listens");
                for times in orders {
                    answer.send(baton::by_turns(times).1).expect("the starter listens");
                }
                drop(ring);
            });
            (order, worker)
        })
        .collect();
    for _ in 0..number {
        all_ready.recv().expect("the worker reports");
    }
    workers[0].0.send(ROUND_TRIPS).expect("the worker listens");
    let received = answers.recv().expect("the worker answers");
    for (order, worker) in workers {
        drop(order);
        worker.join().expect("the thread returns");
    }
    received
}

fn open_ring() -> IoUring {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_cqsize(1024);
    builder.build(256).expect("io_uring is available")
}
