//! Frames of 4 KiB there and back, many at a time, over one connection.

use super::by_hand::{self, Pair};
use super::client::Windows;
use super::pattern::Pattern;
use super::server::{Place, Server};
use super::{FRAME, Floor, READ, Spec, Stage, WINDOW, Workload, failed};
use crate::measure::{Meter, Slice, Wrong};
use crate::runtimes::{Runtime, Setup};

/// One connection, always busy.
pub(crate) struct Throughput;

impl Workload for Throughput {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_stream_throughput_4k_window32",
        "frame of 4 KiB, there and back",
        "A client writes windows of 32 frames of 4 KiB, one frame after the other, and reads them \
         at the same time, as two halves of one task; the next window begins when this one is \
         back. The server reads up to 16 KiB and writes them back. The tasks can be stolen, or are \
         on two threads where nobody steals. Each byte is checked. Floor: both ends on one \
         thread, blocking calls for 4 frames after another, which never have to wait.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let server = Server::start(&runtime, Place::Turn(1), READ).await?;
            let stream = runtime.connect(server.addr).await.map_err(failed("connect"))?;
            let mut client = Windows::new(stream, Pattern::of(0), FRAME, WINDOW);
            client.run(1, |_| ()).await?;
            let meter = Meter::start();
            client.run(times, |_| ()).await?;
            let slice = meter.stop(times);
            let bytes = client.bytes();
            drop(client);
            Wrong::unless_equal("bytes at the server", server.end().await?, bytes)?;
            Ok(slice)
        })
    }

    const FLOOR: Option<Floor> = Some(in_bursts);
}

/// Frames that a server reads at a time.
const BURST: usize = READ / FRAME;

/// The window is not used up: the fewer bytes are under way, the more of them are in the caches.
fn in_bursts(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let mut pair = [Pair::new(0, FRAME, BURST)?];
    let bursts = times.div_ceil(BURST as u64);
    let meter = Meter::start();
    for _ in 0..bursts {
        by_hand::round(&mut pair, BURST)?;
    }
    Ok(meter.stop(bursts * BURST as u64))
}
