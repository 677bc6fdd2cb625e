//! Work that must not wait, beside work that takes long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::compute::compute;
use super::{Headline, Spec, Stage, Workload};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Need, Receiver, Runtime, Sender};

/// Tasks that compute, per thread.
pub(super) const BUSY: usize = 4;
/// Steps from one yield to the next: about 50 us.
const STEPS: u64 = 40_000;

pub(super) struct BesideCompute;

impl Workload for BesideCompute {
    const SPEC: Spec = Spec {
        headline: Headline::P99,
        needs: &[Need::Yield],
        stretch: 2,
        ..Spec::new(
            "mixed",
            "latency_beside_compute",
            "round trip",
            "Two tasks send each other a number through channels, and yield after each round trip, \
             while four tasks per thread compute for about 50 us from one yield to the next. \
             Measured is how long a round trip takes; how much was computed meanwhile stands \
             beside it, because a scheduler may buy one with the other.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let done = Arc::new(AtomicBool::new(false));
            let chunks = Arc::new(AtomicU64::new(0));
            // One task per thread brings the others along: not every runtime takes work from other
            // threads while tasks of its own yield.
            let busy: Vec<_> = (0..runtime.threads())
                .map(|number| {
                    let task = crew(runtime.clone(), Arc::clone(&done), Arc::clone(&chunks));
                    runtime.spread(number, task)
                })
                .collect();
            // The others must have begun.
            while chunks.load(Ordering::Relaxed) < (BUSY * runtime.threads()) as u64 {
                runtime.yield_now().await;
            }
            let (ask, mut asked) = R::channel::<u64>(Some(1));
            let (answer, mut answers) = R::channel::<u64>(Some(1));
            let before = chunks.load(Ordering::Relaxed);
            let meter = Meter::start();
            let partner = runtime.spawn(async move {
                while let Some(number) = asked.receive().await {
                    answer.send(number);
                }
            });
            let mut latencies = Latencies::of_all();
            let mut right = 0;
            for number in 0..times {
                let lap = latencies.start();
                ask.send(number);
                right += u64::from(answers.receive().await == Some(number));
                latencies.end(lap);
                runtime.yield_now().await;
            }
            let slice = meter.stop(times).with_latencies(latencies);
            let computed = chunks.load(Ordering::Relaxed) - before;
            done.store(true, Ordering::Relaxed);
            drop(ask);
            partner.await;
            let mut wrong = 0;
            for join in busy {
                wrong += join.await;
            }
            Wrong::unless_equal("right answers", right, times)?;
            Wrong::unless_equal("tasks that computed something else", wrong, 0)?;
            let per_ms = computed as f64 / slice.wall.as_secs_f64() / 1e3;
            Ok(slice.with_note("chunks/ms", per_ms))
        })
    }
}

/// Spawns the tasks of one thread; says how many computed something wrong.
pub(super) async fn crew<R: Runtime>(
    runtime: R,
    done: Arc<AtomicBool>,
    chunks: Arc<AtomicU64>,
) -> u64 {
    let joins: Vec<_> = (0..BUSY)
        .map(|_| runtime.spawn(busy(runtime.clone(), Arc::clone(&done), Arc::clone(&chunks))))
        .collect();
    let mut wrong = 0;
    for join in joins {
        wrong += u64::from(!join.await);
    }
    wrong
}

/// Computes and yields until it is done; whether all results were the same.
async fn busy<R: Runtime>(runtime: R, done: Arc<AtomicBool>, chunks: Arc<AtomicU64>) -> bool {
    let expected = compute(1, STEPS);
    let mut right = true;
    while !done.load(Ordering::Relaxed) {
        right &= compute(1, STEPS) == expected;
        chunks.fetch_add(1, Ordering::Relaxed);
        runtime.yield_now().await;
    }
    right
}
