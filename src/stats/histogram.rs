//! Times in buckets of fixed bounds: what a shard fills, and what users read.

use std::time::Duration;

use crate::stats::Counter;

/// Buckets: the bound of each is twice that of the one before, and the last has none.
const BUCKETS: usize = 28;
/// The bound of the first bucket is 128 ns; that of the last but one then is 8.6 s.
const FIRST_BITS: u32 = 7;

/// The bucket that a time falls into, whose bound it does not exceed.
#[inline]
fn bucket_of(nanos: u64) -> usize {
    let above = nanos.saturating_sub(1) >> FIRST_BITS;
    ((u64::BITS - above.leading_zeros()) as usize).min(BUCKETS - 1)
}

/// The bound of a bucket.
fn bound_of(bucket: usize) -> Option<Duration> {
    (bucket < BUCKETS - 1).then(|| Duration::from_nanos(1 << (FIRST_BITS as usize + bucket)))
}

/// Times that one thread counts and every thread reads. Nothing is allocated.
#[derive(Debug, Default)]
pub(crate) struct Distribution {
    buckets: [Counter; BUCKETS],
    sum_nanos: Counter,
}

impl Distribution {
    /// Counts so many events that took so long together, each with their mean.
    pub(crate) fn add(&self, events: u64, nanos: u64) {
        if let Some(mean) = nanos.checked_div(events) {
            self.buckets[bucket_of(mean)].add(events);
            self.sum_nanos.add(nanos);
        }
    }

    /// Reads it.
    pub(crate) fn snapshot(&self) -> Histogram {
        let mut buckets = [0; BUCKETS];
        for (value, counter) in buckets.iter_mut().zip(&self.buckets) {
            *value = counter.get();
        }
        Histogram { buckets, sum_nanos: self.sum_nanos.get() }
    }
}

/// How often which times were seen, in buckets that double from 128 ns to 8.6 s.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = spargio::Runtime::builder().shards(1).poll_histograms(true).build()?;
/// runtime.block_on(runtime.handle().spawn_stealable(async {})?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    sum_nanos: u64,
}

impl Histogram {
    /// How many events were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, &count| sum.wrapping_add(count))
    }

    /// How long they took together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanos)
    }

    /// How long one took on average; `None` if there was none.
    pub fn mean(&self) -> Option<Duration> {
        self.sum_nanos.checked_div(self.count()).map(Duration::from_nanos)
    }

    /// What the given share of the events did not exceed, as the bound of its bucket, which is less
    /// than twice too high. A share beyond 0 to 1 counts as the nearer of them. `None` if there was
    /// no event; [`Duration::MAX`] for a bucket without a bound, beyond 8.6 s.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        // A cast from a float stays within the integer's range.
        let rank = ((share.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        for (bound, events) in self.buckets() {
            seen += events;
            if seen >= rank {
                return Some(bound.unwrap_or(Duration::MAX));
            }
        }
        Some(Duration::MAX)
    }

    /// Every bucket: its bound, which belongs to it, and how many events lie between the bound
    /// before and this one. The last has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        self.buckets.iter().enumerate().map(|(index, &count)| (bound_of(index), count))
    }

    /// Adds the events of another one.
    pub(super) fn join(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(other.buckets) {
            *sum = sum.wrapping_add(count);
        }
        self.sum_nanos = self.sum_nanos.wrapping_add(other.sum_nanos);
    }
}
