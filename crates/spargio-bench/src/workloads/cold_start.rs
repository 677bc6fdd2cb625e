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
            "A runtime is built, two tasks wherever it puts them pass a baton 64 times back and \
             forth, and it is shut down until its threads are gone. Floor: as many threads, each \
             with a ring (256 entries, SINGLE_ISSUER, DEFER_TASKRUN), that answer 64 questions \
             through std's channels and end.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let mut latencies = Latencies::of_all();
        let mut received = 0;
        let meter = Meter::start();
        for _ in 0..times {
            let lap = latencies.start();
            let (runtime, stop) = R::start(stage.setup()).map_err(Wrong)?;
            received += runtime.block_on(async {
                let (near, far) = baton::pair();
                let partner = runtime.spawn(far.pong(ROUND_TRIPS));
                let (received, _) = runtime.spawn(near.ping(ROUND_TRIPS)).await;
                partner.await;
                received
            });
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

/// Starts threads, has the first of them answer, and ends them.
fn start_threads(number: usize) -> u64 {
    let (ready, all_ready) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let workers: Vec<_> = (0..number)
        .map(|_| {
            let (ask, asked) = mpsc::channel::<u64>();
            let (ready, answer) = (ready.clone(), answer.clone());
            let worker = thread::spawn(move || {
                let ring = open_ring();
                ready.send(()).expect("the starter listens");
                for question in asked {
                    answer.send(question).expect("the starter listens");
                }
                drop(ring);
            });
            (ask, worker)
        })
        .collect();
    for _ in 0..number {
        all_ready.recv().expect("the worker reports");
    }
    let mut received = 0;
    for question in 0..ROUND_TRIPS {
        workers[0].0.send(question).expect("the worker listens");
        received += u64::from(answers.recv() == Ok(question));
    }
    for (ask, worker) in workers {
        drop(ask);
        worker.join().expect("the thread returns");
    }
    received
}

fn open_ring() -> IoUring {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_cqsize(1024);
    builder.build(256).expect("io_uring is available")
}
