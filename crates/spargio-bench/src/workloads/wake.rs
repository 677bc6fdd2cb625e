//! How long it takes from outside until a task of a sleeping runtime runs.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Floor, Headline, Spec, Stage, Workload};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Receiver, Runtime, Sender, Setup};

/// Messages that may lie there: the task is held up for so many pauses at most.
const BACKLOG: usize = 16_384;
/// Long enough for every runtime to fall asleep in between.
const PAUSE: Duration = Duration::from_micros(500);

pub(super) struct FromOutside;

impl Workload for FromOutside {
    const SPEC: Spec = Spec {
        headline: Headline::P50,
        stretch: 2,
        ..Spec::new(
            "wake",
            "wake_from_outside",
            "wake-up",
            "A thread outside of the runtime sends the time to a task that waits for it, and then \
             sleeps for 500 us, in which the runtime falls asleep; measured is how old the time is \
             when the task gets it. The CPU time includes the outside's. Channels as in \
             steady_ping_pong_rtt. Floor: two threads with std's channel.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let runtime = stage.runtime();
        let (sender, mut receiver) = R::channel::<Instant>(Some(BACKLOG));
        let task = async move {
            let mut latencies = Latencies::of_all();
            while let Some(sent) = receiver.receive().await {
                latencies.record(sent.elapsed());
            }
            latencies
        };
        runtime.block_on(async {
            let task = runtime.spread(0, task);
            // The task must wait already when the first message comes.
            thread::sleep(PAUSE * 20);
            let meter = Meter::start();
            for _ in 0..times {
                sender.send(Instant::now());
                thread::sleep(PAUSE);
            }
            drop(sender);
            let latencies = task.await;
            judge(meter, latencies, times)
        })
    }

    const FLOOR: Option<Floor> = Some(threads);
}

fn judge(meter: Meter, latencies: Latencies, times: u64) -> Result<Slice, Wrong> {
    let received = latencies.len();
    let slice = meter.stop(times).with_latencies(latencies);
    Wrong::unless_equal("messages", received, times)?;
    Ok(slice)
}

fn threads(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let (sender, receiver) = mpsc::channel::<Instant>();
    let waiting = thread::spawn(move || {
        let mut latencies = Latencies::of_all();
        for sent in receiver {
            latencies.record(sent.elapsed());
        }
        latencies
    });
    thread::sleep(PAUSE * 20);
    let meter = Meter::start();
    for _ in 0..times {
        sender.send(Instant::now()).expect("the thread waits");
        thread::sleep(PAUSE);
    }
    drop(sender);
    let latencies = waiting.join().expect("the thread returns");
    judge(meter, latencies, times)
}
