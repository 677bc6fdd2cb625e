//! What the measurements of stealing have in common: work of a known length, runtimes of a queue,
//! and how numbers are shown.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use spargio::doorbell::MsgRing;
use spargio::driver::Uring;
use spargio::placement::LeastLoaded;
use spargio::queue::StealQueue;
use spargio::{Assembled, Builder, Runtime, RuntimeOf};

use crate::report::spread::Spread;
use crate::report::units::time;

/// The default assembly with another queue.
pub(crate) type Made<Q> = Assembled<Uring, MsgRing, Q, LeastLoaded>;

/// A builder of the default parts but for the queue.
pub(crate) fn builder<Q: StealQueue>(shards: usize) -> Builder<Uring, MsgRing, Q, LeastLoaded> {
    Runtime::builder().steal_queue::<Q>().shards(shards)
}

/// A runtime of it.
pub(crate) fn runtime<Q: StealQueue>(shards: usize) -> RuntimeOf<Made<Q>> {
    builder::<Q>(shards).build().expect("io_uring is available")
}

/// Computes for about so long, on a CPU of its own: by counted steps, so that it takes longer on
/// one that it shares.
pub(crate) fn compute(length: Duration) {
    let steps = steps_per_us() * length.as_nanos() as u64 / 1_000;
    black_box(steps_of(steps));
}

// Compiled once, so that it takes as long here as there.
#[inline(never)]
fn steps_of(steps: u64) -> u64 {
    (0..steps).fold(1, |state: u64, _| black_box(state.wrapping_mul(6_364_136_223_846_793_005)))
}

fn steps_per_us() -> u64 {
    static STEPS: OnceLock<u64> = OnceLock::new();
    *STEPS.get_or_init(|| {
        const STEPS: u64 = 50_000;
        let one = |_| {
            let start = Instant::now();
            black_box(steps_of(STEPS));
            start.elapsed().as_nanos() as u64
        };
        // The fastest: others may use the machine.
        STEPS * 1_000 / (0..50).map(one).min().unwrap_or(1).max(1)
    })
}

/// A median with half of the middle half, in percent.
pub(crate) fn shown(spread: Spread) -> String {
    let half = (spread.high - spread.low) / 2.0 / spread.median * 100.0;
    format!("{} ±{half:.0} %", time(spread.median))
}
