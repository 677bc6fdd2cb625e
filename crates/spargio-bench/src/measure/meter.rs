//! One slice: a number of operations, and what they used.

use std::time::{Duration, Instant};

use crate::measure::latency::Latencies;
use crate::measure::usage::Usage;

/// A result that was not what it had to be, in words.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

impl Wrong {
    /// `Ok` if the numbers are the same.
    pub(crate) fn unless_equal(what: &str, found: u64, expected: u64) -> Result<(), Self> {
        if found == expected {
            return Ok(());
        }
        Err(Self(format!("{what}: {found} instead of {expected}")))
    }
}

/// Runs from the moment when a workload has set everything up.
#[derive(Debug)]
pub(crate) struct Meter {
    start: Instant,
    before: Usage,
}

impl Meter {
    /// Starts measuring.
    pub(crate) fn start() -> Self {
        let before = Usage::now();
        Self { start: Instant::now(), before }
    }

    /// Stops after so many operations.
    pub(crate) fn stop(self, ops: u64) -> Slice {
        let wall = self.start.elapsed();
        let after = Usage::now();
        Slice {
            ops,
            wall,
            cpu: Duration::from_nanos(after.cpu_nanos - self.before.cpu_nanos),
            sleeps: after.sleeps - self.before.sleeps,
            preemptions: after.preemptions - self.before.preemptions,
            latencies: None,
            notes: Vec::new(),
        }
    }
}

/// What a number of operations came to.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) ops: u64,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) sleeps: u64,
    pub(crate) preemptions: u64,
    pub(crate) latencies: Option<Latencies>,
    /// Numbers that only this workload has, by name; not per operation.
    pub(crate) notes: Vec<(String, f64)>,
}

impl Slice {
    /// With the times of single operations.
    pub(crate) fn with_latencies(mut self, latencies: Latencies) -> Self {
        self.latencies = (!latencies.is_empty()).then_some(latencies);
        self
    }

    /// With a number of its own.
    pub(crate) fn with_note(mut self, name: &str, value: f64) -> Self {
        self.notes.push((name.to_owned(), value));
        self
    }
}
