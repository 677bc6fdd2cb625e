//! Small control messages beside a busy stream.

use super::client::{RoundTrips, Windows};
use super::crew::{Crew, Order, Timed, Windowed, sum};
use super::pattern::Pattern;
use super::server::{Place, Server};
use super::{FRAME, READ, Spec, Stage, WINDOW, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::Runtime;

const SIZE: usize = 64;
/// Data frames for each control message.
const LEAN: u64 = 16;

/// Two connections.
pub(crate) struct Mixed;

impl Workload for Mixed {
    const SPEC: Spec = Spec::new(
        "net_api",
        "mixed_control_data_plane_4k_plus_64b",
        "control round trip and 16 data frames",
        "One connection moves frames of 4 KiB in windows of 32, another round trips of 64 B, one \
         for 16 frames, both at the same time until both are done. Latencies are those of the \
         round trips. Where nobody steals, the clients are on different threads, and each server \
         on the thread that its client is not on.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| mixed(runtime, times))
    }
}

async fn mixed<R: Runtime>(runtime: R, times: u64) -> Result<Slice, Wrong> {
    let data = Server::start(&runtime, Place::Turn(1), READ).await?;
    let control = Server::start(&runtime, Place::Turn(2), SIZE).await?;
    let mut crew = Crew::new();
    let (connecting, addr) = (runtime.clone(), data.addr);
    crew.add(&runtime, Place::Turn(0), async move {
        let stream = connecting.connect(addr).await.map_err(failed("connect"))?;
        let mut frames = Windows::new(stream, Pattern::of(0), FRAME, WINDOW);
        frames.run(1, |_| ()).await?;
        Ok(Windowed { frames, each: |_: &[u8], _| () })
    });
    let (connecting, addr) = (runtime.clone(), control.addr);
    crew.add(&runtime, Place::Turn(1), async move {
        let stream = connecting.connect(addr).await.map_err(failed("connect"))?;
        let mut trips = RoundTrips::new(stream, Pattern::of(1), SIZE);
        trips.one().await?;
        Ok(Timed { trips, latencies: Some(Latencies::of_all()) })
    });
    crew.connected(2).await?;
    let meter = Meter::start();
    crew.perform(|client| Order::frames(if client == 0 { LEAN * times } else { times })).await?;
    let slice = meter.stop(times);
    let (bytes, latencies) = sum(crew.end().await?);
    let echoed = data.end().await? + control.end().await?;
    Wrong::unless_equal("bytes at the servers", echoed, bytes)?;
    Ok(slice.with_latencies(latencies))
}
