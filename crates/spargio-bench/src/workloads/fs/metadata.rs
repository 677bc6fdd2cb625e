//! The length of a file, from its metadata.

use std::fs;

use super::{Blocks, Floor, Spec, Stage, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Need, Runtime, Setup};

/// One after the other.
pub(crate) struct RoundTrip;

impl Workload for RoundTrip {
    const SPEC: Spec = Spec {
        needs: &[Need::Metadata],
        ..Spec::new(
            "fs_api",
            "fs_metadata_rtt",
            "path asked for",
            "One task asks for the metadata of a path, again and again. Floor: statx on one \
             thread, as std calls it.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let blocks = Blocks::prepare()?;
        stage.inside(move |runtime| async move {
            let mut latencies = Latencies::of_all();
            let meter = Meter::start();
            for _ in 0..times {
                let lap = latencies.start();
                let length = runtime.metadata(blocks.path()).await;
                latencies.end(lap);
                Wrong::unless_equal("length", length.map_err(failed("stat"))?, blocks.length())?;
            }
            Ok(meter.stop(times).with_latencies(latencies))
        })
    }

    const FLOOR: Option<Floor> = Some(direct);
}

fn direct(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let blocks = Blocks::prepare()?;
    let mut latencies = Latencies::of_all();
    let meter = Meter::start();
    for _ in 0..times {
        let lap = latencies.start();
        let metadata = fs::metadata(blocks.path());
        latencies.end(lap);
        Wrong::unless_equal("length", metadata.map_err(failed("stat"))?.len(), blocks.length())?;
    }
    Ok(meter.stop(times).with_latencies(latencies))
}
