//! What a runtime costs while it has nothing to do.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Floor, Headline, Spec, Stage, Workload};
use crate::measure::{Meter, Slice, Wrong};
use crate::runtimes::{Receiver, Runtime, Sender, Setup};

/// Tasks that wait, shared out to the threads.
const TASKS: usize = 64;
/// How long a runtime may take to fall asleep.
const SETTLE: Duration = Duration::from_millis(20);

pub(super) struct Idle;

impl Workload for Idle {
    const SPEC: Spec = Spec {
        headline: Headline::Cpu,
        stretch: 2,
        ..Spec::new(
            "idle",
            "idle_cpu",
            "millisecond",
            "64 tasks wait, half of them for a message and half in a sleep of a minute, and nothing \
             happens. Time on the clock is what the outside waits; measured is CPU time per \
             millisecond (1 us per ms is 0.1 % of a CPU). Floor: as many threads that wait for a \
             channel.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let runtime = stage.runtime();
        let (ready, are_ready) = mpsc::channel();
        let mut senders = Vec::new();
        let joins = runtime.block_on(async {
            let mut joins = Vec::new();
            for number in 0..TASKS {
                let (sender, receiver) = R::channel::<u64>(Some(1));
                senders.push(sender);
                let task = wait(runtime.clone(), number, receiver, ready.clone());
                joins.push(runtime.spread(number, task));
            }
            joins
        });
        for _ in 0..TASKS {
            are_ready.recv().map_err(|error| Wrong(format!("a task did not start: {error}")))?;
        }
        thread::sleep(SETTLE);
        let meter = Meter::start();
        thread::sleep(Duration::from_millis(times));
        let slice = meter.stop(times);
        senders.iter().zip(0_u64..).for_each(|(sender, number)| sender.send(number));
        let expected = (0..TASKS as u64).sum();
        let sum = runtime.block_on(async {
            let mut sum = 0;
            for join in joins {
                sum += join.await;
            }
            sum
        });
        Wrong::unless_equal("the sum of all messages", sum, expected)?;
        Ok(slice)
    }

    const FLOOR: Option<Floor> = Some(threads);
}

/// Waits for a message; every other task has a sleep running meanwhile.
async fn wait<R: Runtime>(
    runtime: R,
    number: usize,
    mut receiver: R::Receiver<u64>,
    ready: mpsc::Sender<()>,
) -> u64 {
    ready.send(()).expect("the outside counts");
    if number.is_multiple_of(2) {
        return receiver.receive().await.unwrap_or(0);
    }
    let sleep = std::pin::pin!(runtime.sleep(Duration::from_secs(60)));
    let receive = std::pin::pin!(receiver.receive());
    match futures_util::future::select(receive, sleep).await {
        futures_util::future::Either::Left((message, _)) => message.unwrap_or(0),
        futures_util::future::Either::Right(_) => 0,
    }
}

fn threads(setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let waiting: Vec<_> = (0..setup.threads)
        .map(|_| {
            let (sender, receiver) = mpsc::channel::<u64>();
            (sender, thread::spawn(move || receiver.recv().is_ok()))
        })
        .collect();
    thread::sleep(SETTLE);
    let meter = Meter::start();
    thread::sleep(Duration::from_millis(times));
    let slice = meter.stop(times);
    for (sender, thread) in waiting {
        sender.send(0).expect("the thread waits");
        thread.join().expect("the thread returns");
    }
    Ok(slice)
}
