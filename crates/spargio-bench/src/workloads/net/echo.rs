//! A frame of 256 bytes there and back, one at a time.

use super::by_hand::{self, Pair};
use super::client::RoundTrips;
use super::pattern::Pattern;
use super::server::{Place, Server};
use super::{Floor, Spec, Stage, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Need, Runtime, Setup, Stream};

pub(super) const SIZE: usize = 256;

/// Two tasks wherever the runtime puts them, on two threads where nobody steals.
pub(crate) struct Apart;

impl Workload for Apart {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_echo_rtt_256b",
        "round trip",
        "A client task writes 256 B over loopback TCP and reads them back; a server task reads and \
         writes. The tasks can be stolen, or are on two threads where nobody steals. Each byte is \
         checked. Floor: both ends on one thread, four blocking calls per round trip, which never \
         have to wait.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| round_trips(runtime, Place::Turn(1), times))
    }

    const FLOOR: Option<Floor> = Some(direct);
}

/// Two tasks of one thread.
pub(crate) struct OneThread;

impl Workload for OneThread {
    const SPEC: Spec = Spec {
        needs: &[Need::Placement],
        ..Spec::new(
            "net_api",
            "net_echo_rtt_256b_one_thread",
            "round trip",
            "As net_echo_rtt_256b, with both tasks bound to the same thread. Floor: as there.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let bound = runtime.clone();
            runtime.spawn_on(0, round_trips(bound, Place::Thread(0), times)).await
        })
    }

    const FLOOR: Option<Floor> = Some(direct);
}

async fn round_trips<R: Runtime>(runtime: R, server: Place, times: u64) -> Result<Slice, Wrong> {
    let server = Server::start(&runtime, server, SIZE).await?;
    let stream = runtime.connect(server.addr).await.map_err(failed("connect"))?;
    measured(server, stream, times).await
}

/// So many round trips over a connection to a server.
pub(super) async fn measured<R: Runtime, A: Send + 'static>(
    server: Server<R, A>,
    stream: impl Stream,
    times: u64,
) -> Result<Slice, Wrong> {
    let mut client = RoundTrips::new(stream, Pattern::of(0), SIZE);
    // With this, the server has accepted, too.
    client.one().await?;
    let mut latencies = Latencies::of_all();
    let meter = Meter::start();
    for _ in 0..times {
        let lap = latencies.start();
        client.one().await?;
        latencies.end(lap);
    }
    let slice = meter.stop(times).with_latencies(latencies);
    let bytes = client.bytes();
    drop(client);
    Wrong::unless_equal("bytes at the server", server.end().await?, bytes)?;
    Ok(slice)
}

fn direct(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    by_hand::rounds(&mut [Pair::new(0, SIZE, 1)?], 1, times)
}
