//! Eight connections of which one has more to do than the others: always the same, or by turns.

use std::hint::black_box;

use super::by_hand::{self, Pair};
use super::crew::Order;
use super::steps::{self, CONNECTIONS, Lanes, Layout, hot};
use super::{FRAME, Floor, Spec, Stage, WINDOW, Workload};
use crate::measure::{Meter, Slice, Wrong};
use crate::runtimes::Runtime;
use crate::workloads::compute::compute;

const APART: Layout = Layout { frame: FRAME, window: WINDOW, is_paired: false };
const PAIRED: Layout = Layout { is_paired: true, ..APART };

/// The first of eight connections has 16 times as much to do as each other one.
pub(crate) struct Imbalanced;

impl Workload for Imbalanced {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_stream_imbalanced_4k_hot1_light7",
        "frame of 4 KiB, there and back",
        "Eight connections as in net_stream_throughput_4k_window32, of which one moves 16 frames \
         while each other one moves one; all begin together, and the time ends with the last. \
         Where nobody steals, connections go to the threads by turns, and the two ends of each \
         are on different threads.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| imbalanced(runtime, APART, times))
    }
}

/// The same with both ends of a connection on one thread, where that is to be said.
pub(crate) struct ImbalancedPaired;

impl Workload for ImbalancedPaired {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_stream_imbalanced_4k_paired",
        "frame of 4 KiB, there and back",
        "As net_stream_imbalanced_4k_hot1_light7, but where nobody steals, both ends of a \
         connection are on the same thread, so that one thread has most of the work.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| imbalanced(runtime, PAIRED, times))
    }
}

const LEAN: u64 = 16;

async fn imbalanced<R: Runtime>(runtime: R, layout: Layout, times: u64) -> Result<Slice, Wrong> {
    let of_a_round = LEAN + CONNECTIONS as u64 - 1;
    let rounds = times.div_ceil(of_a_round);
    let mut lanes = Lanes::connect(&runtime, layout, |_: &[u8], _| ()).await?;
    let meter = Meter::start();
    let share = |connection| Order::frames(if connection == 0 { LEAN * rounds } else { rounds });
    lanes.crew.perform(share).await?;
    let slice = meter.stop(rounds * of_a_round);
    lanes.end().await?;
    Ok(slice)
}

/// Another one is busy in each step.
pub(crate) struct Rotation;

impl Workload for Rotation {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_stream_hotspot_rotation_4k",
        "step",
        "Eight connections go on in steps: in each, one moves 32 frames of 4 KiB and the others 2, \
         and the next step, in which the next connection is the busy one, begins when all are \
         done. Latencies are those of steps.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| {
            let plan = |step, connection| {
                Order::frames(if hot(step, 1) == connection { WINDOW } else { 2 })
            };
            steps::go(runtime, APART, |_: &[u8], _| (), times, plan)
        })
    }
}

/// One stays busy for ten steps, then it is the next one's turn.
pub(crate) struct BurstFlip;

impl Workload for BurstFlip {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_burst_flip_imbalance_4k",
        "step",
        "As net_stream_hotspot_rotation_4k, but the busy connection moves 96 frames, and stays the \
         busy one for ten steps.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| {
            let plan = |step, connection| {
                Order::frames(if hot(step, 10) == connection { 3 * WINDOW } else { 2 })
            };
            steps::go(runtime, APART, |_: &[u8], _| (), times, plan)
        })
    }
}

/// Work after each frame, most of it on one connection.
pub(crate) struct Pipeline;

impl Workload for Pipeline {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_pipeline_hotspot_rotation_4k_window32",
        "step",
        "Eight connections move a window of 32 frames of 4 KiB each, in steps. After each frame \
         that came back, the client computes for about 0.2 us; on one connection, another in each \
         step, for about 5 us.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| {
            let plan = |step, connection| Order {
                frames: WINDOW,
                work: if hot(step, 1) == connection { 4_000 } else { 150 },
            };
            let each = |frame: &[u8], work| {
                black_box(compute(u64::from(frame[0]), work));
            };
            steps::go(runtime, APART, each, times, plan)
        })
    }
}

/// Bytes of a frame of the barrier's, and how many there are in a round.
const SMALL: usize = 1024;
const FRAMES: u64 = 4;

/// All do the same, but wait for each other.
pub(crate) struct Barrier;

impl Workload for Barrier {
    const SPEC: Spec = Spec::new(
        "net_api",
        "fanin_barrier_rounds_1k",
        "round",
        "Eight connections move 4 frames of 1 KiB each, at once, and wait for each other before \
         the next round. Latencies are those of rounds. Floor: all of them on one thread, blocking \
         calls for one end after the other, which never have to wait.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let layout = Layout { frame: SMALL, window: FRAMES, is_paired: false };
        let plan = |_, _| Order::frames(FRAMES);
        stage.inside(move |runtime| steps::go(runtime, layout, |_: &[u8], _| (), times, plan))
    }

    const FLOOR: Option<Floor> = Some(|_setup, times| {
        let frames = FRAMES as usize;
        let pairs = (0..CONNECTIONS).map(|number| Pair::new(number, SMALL, frames));
        let mut pairs: Vec<Pair> = pairs.collect::<Result<_, _>>()?;
        by_hand::rounds(&mut pairs, frames, times)
    });
}
