//! How long operations took, one by one, from inside of a workload.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Times of operations in nanoseconds, to two digits: with three, the histogram itself would push
/// the workload out of the caches.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
    every: u32,
    left: u32,
}

/// Longer times count as this: a minute.
const LONGEST: u64 = 60_000_000_000;

/// An operation that is being timed, or one that is not.
#[derive(Clone, Copy, Debug)]
#[must_use = "a lap that is not ended is not recorded"]
pub(crate) struct Lap(Option<Instant>);

impl Latencies {
    /// Times each operation: for those that take a microsecond or more, beside which reading the
    /// clock twice (about 50 ns) does not count.
    pub(crate) fn of_all() -> Self {
        Self::of_one_in(1)
    }

    /// Times one in so many operations.
    pub(crate) fn of_one_in(every: u32) -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST, 2);
        let histogram = histogram.expect("the bounds are those of a histogram");
        Self { histogram, every: every.max(1), left: 0 }
    }

    /// Before an operation.
    pub(crate) fn start(&mut self) -> Lap {
        if self.left == 0 {
            self.left = self.every - 1;
            return Lap(Some(Instant::now()));
        }
        self.left -= 1;
        Lap(None)
    }

    /// After it.
    pub(crate) fn end(&mut self, lap: Lap) {
        if let Lap(Some(start)) = lap {
            self.record(start.elapsed());
        }
    }

    /// Records a time that was measured otherwise.
    pub(crate) fn record(&mut self, time: Duration) {
        self.histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds those of another task.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
    }

    /// Whether nothing was recorded.
    pub(crate) fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// How many were recorded.
    pub(crate) fn len(&self) -> u64 {
        self.histogram.len()
    }

    /// The time in nanoseconds that this share of the operations did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share)
    }

    /// As pairs of a time and how often it was recorded.
    pub(crate) fn to_pairs(&self) -> Vec<(u64, u64)> {
        self.histogram
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect()
    }

    /// From such pairs.
    pub(crate) fn from_pairs(pairs: &[(u64, u64)]) -> Self {
        let mut latencies = Self::of_all();
        for &(nanos, count) in pairs {
            latencies.histogram.saturating_record_n(nanos, count);
        }
        latencies
    }
}

#[cfg(test)]
mod tests;
