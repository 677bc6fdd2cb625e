//! A round trip now and then.

use std::time::Duration;

use super::client::RoundTrips;
use super::pattern::Pattern;
use super::server::{Place, Server};
use super::{Headline, Spec, Stage, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::Runtime;

const SIZE: usize = 64;
const PAUSE: Duration = Duration::from_micros(50);

/// A pause before each.
pub(crate) struct Sparse;

impl Workload for Sparse {
    const SPEC: Spec = Spec {
        headline: Headline::P50,
        ..Spec::new(
            "net_api",
            "wakeup_sparse_event_rtt_64b",
            "round trip after a pause",
            "A client sleeps for 50 us with the runtime's timer, then sends 64 B and waits for \
             them to come back. Ranked by the time from sending to receiving; the time on the \
             clock contains the pauses, which are longer where timers are coarse.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let server = Server::start(&runtime, Place::Turn(1), SIZE).await?;
            let stream = runtime.connect(server.addr).await.map_err(failed("connect"))?;
            let mut client = RoundTrips::new(stream, Pattern::of(0), SIZE);
            client.one().await?;
            let mut latencies = Latencies::of_all();
            let meter = Meter::start();
            for _ in 0..times {
                runtime.sleep(PAUSE).await;
                let lap = latencies.start();
                client.one().await?;
                latencies.end(lap);
            }
            let slice = meter.stop(times).with_latencies(latencies);
            let bytes = client.bytes();
            drop(client);
            Wrong::unless_equal("bytes at the server", server.end().await?, bytes)?;
            Ok(slice)
        })
    }
}
