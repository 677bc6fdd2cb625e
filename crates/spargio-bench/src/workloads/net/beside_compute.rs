//! Round trips that must not wait, beside tasks that compute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::client::RoundTrips;
use super::pattern::Pattern;
use super::server::{Place, Server};
use super::{Headline, Spec, Stage, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Need, Runtime};
use crate::workloads::mixed;

const SIZE: usize = 256;

/// All threads are busy.
pub(crate) struct BesideCompute;

impl Workload for BesideCompute {
    const SPEC: Spec = Spec {
        headline: Headline::P99,
        needs: &[Need::Yield],
        stretch: 2,
        ..Spec::new(
            "net_api",
            "net_echo_rtt_beside_compute",
            "round trip",
            "Round trips as in net_echo_rtt_256b, with a yield after each, while four tasks per \
             thread compute for about 50 us from one yield to the next. Measured is how long a \
             round trip takes; how much was computed meanwhile stands beside it.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let server = Server::start(&runtime, Place::Turn(1), SIZE).await?;
            let stream = runtime.connect(server.addr).await.map_err(failed("connect"))?;
            let mut client = RoundTrips::new(stream, Pattern::of(0), SIZE);
            client.one().await?;
            let done = Arc::new(AtomicBool::new(false));
            let chunks = Arc::new(AtomicU64::new(0));
            let busy: Vec<_> = (0..runtime.threads())
                .map(|number| {
                    let crew = mixed::crew(runtime.clone(), Arc::clone(&done), Arc::clone(&chunks));
                    runtime.spread(number, crew)
                })
                .collect();
            let all = (mixed::BUSY * runtime.threads()) as u64;
            while chunks.load(Ordering::Relaxed) < all {
                runtime.yield_now().await;
            }
            let before = chunks.load(Ordering::Relaxed);
            let mut latencies = Latencies::of_all();
            let mut result = Ok(());
            let meter = Meter::start();
            for _ in 0..times {
                let lap = latencies.start();
                result = client.one().await;
                latencies.end(lap);
                if result.is_err() {
                    break;
                }
                runtime.yield_now().await;
            }
            let slice = meter.stop(times).with_latencies(latencies);
            let computed = chunks.load(Ordering::Relaxed) - before;
            done.store(true, Ordering::Relaxed);
            let mut wrong = 0;
            for join in busy {
                wrong += join.await;
            }
            result?;
            let bytes = client.bytes();
            drop(client);
            Wrong::unless_equal("bytes at the server", server.end().await?, bytes)?;
            Wrong::unless_equal("tasks that computed something else", wrong, 0)?;
            let per_ms = computed as f64 / slice.wall.as_secs_f64() / 1e3;
            Ok(slice.with_note("chunks/ms", per_ms))
        })
    }
}
