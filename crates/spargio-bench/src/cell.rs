//! One measurement in a process of its own: a workload on a runtime, warmed up, once.
//!
//! A process of its own gives each runtime a fresh heap, so that its memory can be told, takes its
//! threads away when it is done, and keeps the others going when one of them hangs or aborts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::{Slice, Wrong, resident};
use crate::runtimes::{Runtime, RuntimeId, Setup, Visitor, visit};
use crate::workloads::{Entry, Refusal, Session};

/// What the process is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) threads: usize,
    /// How long the measured slice should take.
    pub(crate) slice: Duration,
    /// How many operations took about that long before; 0 if nobody knows.
    pub(crate) hint: u64,
}

/// What it answers, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Measured(Measured),
    /// The runtime could not be started.
    Refused(String),
    /// The workload's result was not what it must be.
    Wrong(String),
}

/// One slice, as numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) ops: u64,
    pub(crate) wall_nanos: u64,
    pub(crate) cpu_nanos: u64,
    pub(crate) sleeps: u64,
    pub(crate) preemptions: u64,
    /// Bytes, at most, of the whole process.
    pub(crate) resident: u64,
    /// Times in nanoseconds, and how often each.
    pub(crate) latencies: Vec<(u64, u64)>,
    /// What the runtime counted during the slice.
    pub(crate) counters: Vec<(String, u64)>,
    pub(crate) notes: Vec<(String, f64)>,
}

/// The measured slice is preceded by one of this share of its length at least.
const WARM_UP: f64 = 1.0 / 3.0;
/// From one try to the next, at most so many times as many operations are done.
const STEP: f64 = 8.0;

/// Measures, and hands the answer on while the runtime still runs: how long it takes to end, or
/// whether it does, is not the question here.
pub(crate) fn measure<T>(
    entry: &Entry,
    id: &RuntimeId,
    order: &Order,
    then: impl FnOnce(Answer) -> T,
) -> T {
    let setup = Setup { threads: order.threads, variant: id.variant };
    match (entry.open)(id, setup) {
        Ok(mut session) => {
            let answer = match slice(&mut session, order) {
                Ok(measured) => Answer::Measured(measured),
                Err(Wrong(what)) => Answer::Wrong(what),
            };
            then(answer)
        }
        Err(Refusal(reason)) => then(Answer::Refused(reason)),
    }
}

fn slice(session: &mut Session, order: &Order) -> Result<Measured, Wrong> {
    let wanted = order.slice.as_secs_f64();
    // With a hint the first try is the warm-up; without one, tries grow until one is long enough.
    let mut times = ((order.hint as f64 * WARM_UP) as u64).max(1);
    let times = loop {
        let slice = (session.run)(times)?;
        let wall = slice.wall.as_secs_f64().max(1e-9);
        let ahead = wanted / wall;
        if wall >= wanted * WARM_UP / 2.0 {
            break ((times as f64 * ahead).ceil() as u64).max(1);
        }
        times = (times as f64 * ahead.clamp(1.1, STEP)).ceil() as u64;
    };
    let before = (session.counters)();
    let slice = (session.run)(times)?;
    let after = (session.counters)();
    let counters = before
        .iter()
        .zip(&after)
        .map(|(&(name, before), &(_, after))| (name.to_owned(), after - before));
    Ok(Measured::new(slice, counters.collect()))
}

impl Measured {
    fn new(slice: Slice, counters: Vec<(String, u64)>) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            ops: slice.ops,
            wall_nanos: nanos(slice.wall),
            cpu_nanos: nanos(slice.cpu),
            sleeps: slice.sleeps,
            preemptions: slice.preemptions,
            resident: resident(),
            latencies: slice.latencies.map_or_else(Vec::new, |latencies| latencies.to_pairs()),
            counters,
            notes: slice.notes,
        }
    }
}

/// Does so many operations, as the workload rounds them; says how many those were.
///
/// # Errors
///
/// When the runtime does not start or the result is wrong, in words.
pub(crate) fn do_fixed(
    entry: &Entry,
    id: &RuntimeId,
    threads: usize,
    times: u64,
) -> Result<u64, String> {
    let setup = Setup { threads, variant: id.variant };
    let mut session = (entry.open)(id, setup).map_err(|Refusal(reason)| reason)?;
    let slice = (session.run)(times).map_err(|Wrong(what)| what)?;
    Ok(slice.ops)
}

/// Whether the runtime starts here and runs a task; if not, why.
pub(crate) fn probe(id: &RuntimeId, threads: usize) -> Result<(), String> {
    struct Probe(Setup);

    impl Visitor for Probe {
        type Output = Result<(), String>;

        fn visit<R: Runtime>(self) -> Self::Output {
            let (runtime, stop) = R::start(&self.0)?;
            let answer = runtime.block_on(async { runtime.spawn(async { 42 }).await });
            stop();
            if answer == 42 { Ok(()) } else { Err(format!("a task returned {answer}, not 42")) }
        }

        fn bare(self) -> Self::Output {
            Ok(())
        }
    }

    visit(id, Probe(Setup { threads, variant: id.variant }))
}
