//! Frames whose records go to the tasks that own their keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::crew::Order;
use super::steps::{Lanes, Layout, hot};
use super::{FRAME, Spec, Stage, WINDOW, Workload};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Receiver, Runtime, Sender};

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
        stage.inside(move |runtime| keyed(runtime, times))
    }
}

async fn keyed<R: Runtime>(runtime: R, steps: u64) -> Result<Slice, Wrong> {
    let (flushed, mut flushes) = R::channel::<()>();
    let mut owners = Vec::new();
    let mut tasks = Vec::new();
    for turn in 0..runtime.threads() {
        let (owner, messages) = R::channel::<Message>();
        owners.push(owner);
        tasks.push(runtime.spread(turn, own::<R>(messages, flushed.clone())));
    }
    let parsed = Arc::new(AtomicU64::new(0));
    let each = {
        let (owners, parsed) = (owners.clone(), Arc::clone(&parsed));
        move |frame: &[u8], _| {
            parsed.fetch_add(dispatch::<R>(frame, &owners), Ordering::Relaxed);
        }
    };
    let layout = Layout { frame: FRAME, window: WINDOW, is_paired: false };
    let mut lanes = Lanes::connect(&runtime, layout, each).await?;
    let plan =
        |step, connection| Order::frames(if hot(step, 1) == connection { WINDOW } else { 2 });
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
    let (mut count, mut sum) = (0, 0u64);
    for task in tasks {
        let (messages, added) = task.await;
        count += messages;
        sum = sum.wrapping_add(added);
    }
    let frames = WINDOW + 7 * 2;
    Wrong::unless_equal("records", count, steps * frames * RECORDS)?;
    Wrong::unless_equal("sum of the records", sum, parsed.load(Ordering::Relaxed))?;
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

/// Adds up what comes; how many records, and the sum of all keys.
async fn own<R: Runtime>(mut messages: R::Receiver<Message>, flushed: R::Sender<()>) -> (u64, u64) {
    let mut sums = [0u64; KEYS];
    let mut count = 0;
    while let Some(message) = messages.receive().await {
        match message {
            Message::Add { key, value } => {
                let sum = &mut sums[key as usize % KEYS];
                *sum = sum.wrapping_add(value);
                count += 1;
            }
            Message::Flush => flushed.send(()),
        }
    }
    (count, sums.iter().fold(0, |all, &sum| all.wrapping_add(sum)))
}
