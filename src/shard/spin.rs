//! How long to stay awake without work: a competitive spin.
//!
//! Spinning for as long as falling asleep and being woken would cost is never worse than twice the
//! best choice (Karlin, Li, Manasse, Owicki, "Empirical studies of competitive spinning", SOSP
//! 1991). On top of that a shard spins only while it recently would have paid: an idle time that
//! turns out short earns credit, a long one costs it, and a shard without credit sleeps at once.

use std::time::Duration;

use crate::options::SpinOptions;

/// What a short idle time earns.
const EARN: u32 = 2;
/// The most credit there is.
const MOST: u32 = 8;
/// A sleep that ended within this many spin limits shows that a spin would have paid; waking up
/// itself takes about one.
const NEAR: u32 = 2;

/// Whether to spin, learned from how long idle times were.
#[derive(Debug)]
pub(super) struct Spin {
    limit: Duration,
    credit: u32,
}

impl Spin {
    pub(super) fn new(options: SpinOptions, _shards: usize) -> Self {
        Self { limit: options.limit, credit: MOST / 2 }
    }

    /// How long to spin now; zero means to sleep at once.
    pub(super) fn window(&self) -> Duration {
        if self.credit > 0 { self.limit } else { Duration::ZERO }
    }

    /// An idle time ended while spinning.
    pub(super) fn hit(&mut self) {
        self.credit = (self.credit + EARN).min(MOST);
    }

    /// A spin ended in vain, and the shard falls asleep.
    pub(super) fn miss(&mut self) {
        self.credit = self.credit.saturating_sub(1);
    }

    /// A sleep was this long; a sleep that a spin would have spared earns credit.
    pub(super) fn slept(&mut self, length: Duration) {
        if length < self.limit * NEAR {
            self.credit = (self.credit + EARN).min(MOST);
        }
    }
}
