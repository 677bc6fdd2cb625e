//! Frames whose records go to the tasks that own their keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::crew::Order;
use super::steps::{CONNECTIONS, Lanes, Layout, hot};
use super::{FRAME, Spec, Stage, WINDOW, Workload};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Receiver, Runtime, Sender};
use crate::workloads::compute::compute;

/// Records of a frame: one in 256 bytes.
const RECORDS: u64 = 16;
/// Keys that an owner has a sum of.
const KEYS: usize = 64;

/// What an owner is sent.
#[derive(Clone, Copy, Debug)]
enum Message {
    /// To be added to the sum of a key.
    Add { key: u64, value: u64 },
    /// To be answered when everything before it is done.
    Flush,
}

/// One busy connection by turns, as in the rotation.
pub(crate) struct Keyed;

impl Workload for Keyed {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_keyed_hotspot_rotation_4k",
        "step",
        "As net_stream_hotspot_rotation_4k; the clients also send 16 records of each frame that \
         came back to the owners of their keys, which add them up: a task per thread, reached \
         through channels (the runtime's own if it has one). The time ends when all sums are made.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let load = Load { window: WINDOW, hot: WINDOW, computes: false };
        stage.inside(move |runtime| keyed(runtime, load, times))
    }
}

/// The same with owners that compute.
pub(crate) struct Computing;

impl Workload for Computing {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_keyed_hotspot_rotation_4k_window64_cpu",
        "step",
        "As net_keyed_hotspot_rotation_4k, with 24 frames on the busy connection; the owners compute \
         for each record, for about 8 us if it is one of a sixteenth of the keys, else for about \
         0.3 us. So the owners, who must not lose the order of a key, have as much to do as the \
         connections.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let load = Load { window: 64, hot: 24, computes: true };
        stage.inside(move |runtime| keyed(runtime, load, times))
    }
}

/// What there is to do.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// Frames of a connection that are under way at the same time.
    window: u64,
    /// Frames of the busy connection in a step.
    hot: u64,
    /// Whether owners compute for each record.
    computes: bool,
}

/// Frames of the other connections in a step.
const OTHER: u64 = 2;
/// Keys whose records take long, if owners compute.
const LONG_KEYS: usize = KEYS / 16;
/// Steps for a record of these, and of others.
const LONG: u64 = 6_000;
const SHORT: u64 = 200;

async fn keyed<R: Runtime>(runtime: R, load: Load, steps: u64) -> Result<Slice, Wrong> {
    let (flushed, mut flushes) = R::channel::<()>(Some(runtime.threads()));
    let mut owners = Vec::new();
    let mut tasks = Vec::new();
    for turn in 0..runtime.threads() {
        let (owner, messages) = R::channel::<Message>(None);
        owners.push(owner);
        tasks.push(runtime.spread(turn, own::<R>(messages, flushed.clone(), load)));
    }
    let parsed = Arc::new(AtomicU64::new(0));
    let each = {
        let (owners, parsed) = (owners.clone(), Arc::clone(&parsed));
        move |frame: &[u8], _| {
            parsed.fetch_add(dispatch::<R>(frame, &owners), Ordering::Relaxed);
        }
    };
    let layout = Layout { frame: FRAME, window: load.window, is_paired: false };
    let mut lanes = Lanes::connect(&runtime, layout, each).await?;
    let plan =
        |step, connection| Order::frames(if hot(step, 1) == connection { load.hot } else { OTHER });
    let mut latencies = Latencies::of_all();
    let meter = Meter::start();
    for step in 0..steps {
        let lap = latencies.start();
        lanes.crew.perform(|connection| plan(step, connection)).await?;
        latencies.end(lap);
    }
    // The clients have reported, so all they sent is before this.
    for owner in &owners {
        owner.send(Message::Flush);
    }
    for _ in &owners {
        flushes.receive().await.ok_or_else(|| Wrong("an owner is gone".to_owned()))?;
    }
    let slice = meter.stop(steps).with_latencies(latencies);
    lanes.end().await?;
    drop(owners);
    let mut all = Owned::default();
    for task in tasks {
        let owned = task.await;
        all.records += owned.records;
        all.sum = all.sum.wrapping_add(owned.sum);
        all.wrong += owned.wrong;
    }
    let frames = load.hot + (CONNECTIONS as u64 - 1) * OTHER;
    Wrong::unless_equal("records", all.records, steps * frames * RECORDS)?;
    Wrong::unless_equal("sum of the records", all.sum, parsed.load(Ordering::Relaxed))?;
    Wrong::unless_equal("records with a wrong result", all.wrong, 0)?;
    Ok(slice)
}

/// Sends each record to the owner of its key; the sum of their values.
fn dispatch<R: Runtime>(frame: &[u8], owners: &[R::Sender<Message>]) -> u64 {
    let mut sum = 0u64;
    for record in frame.chunks_exact(FRAME / RECORDS as usize) {
        let (key, rest) = record.split_first_chunk::<8>().expect("a record is longer");
        let (value, _) = rest.split_first_chunk::<8>().expect("a record is longer");
        let (key, value) = (u64::from_le_bytes(*key), u64::from_le_bytes(*value));
        sum = sum.wrapping_add(value);
        // The upper bits: the lower ones count up from record to record.
        owners[(key >> 40) as usize % owners.len()].send(Message::Add { key, value });
    }
    sum
}

/// What an owner has done.
#[derive(Clone, Copy, Default, Debug)]
struct Owned {
    records: u64,
    /// The sum of all keys.
    sum: u64,
    /// Records for which it computed something else than for the others of their kind.
    wrong: u64,
}

/// Adds up what comes.
async fn own<R: Runtime>(
    mut messages: R::Receiver<Message>,
    flushed: R::Sender<()>,
    load: Load,
) -> Owned {
    let expected = [SHORT, LONG].map(|steps| compute(1, steps));
    let mut sums = [0u64; KEYS];
    let mut owned = Owned::default();
    while let Some(message) = messages.receive().await {
        match message {
            Message::Add { key, value } => {
                let key = key as usize % KEYS;
                sums[key] = sums[key].wrapping_add(value);
                owned.records += 1;
                if load.computes {
                    let is_long = key < LONG_KEYS;
                    let result = compute(1, if is_long { LONG } else { SHORT });
                    owned.wrong += u64::from(result != expected[usize::from(is_long)]);
                }
            }
            Message::Flush => flushed.send(()),
        }
    }
    owned.sum = sums.iter().fold(0, |all, &sum| all.wrapping_add(sum));
    owned
}
