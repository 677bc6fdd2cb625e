//! How long to stay awake without work: a competitive spin.
//!
//! Spinning for as long as falling asleep and being woken would cost is never worse than twice the
//! best choice (Karlin, Li, Manasse, Owicki, "Empirical studies of competitive spinning", SOSP
//! 1991). On top of that a shard spins only while it lately paid: an idle time that a spin covered
//! earns credit, one that it did not cover costs it, and a shard without credit sleeps at once.
//!
//! A shard without credit gets it back by a *probe*. Two shards that answer each other while both
//! sleep see idle times of several wake-ups, none of which a plain spin would cover: the partner's
//! wake-up is in them too. So after a sleep that was about that short the next spin is a long one.
//! If it is in vain as well, the next probes come ever more rarely.

use std::time::Duration;

use crate::options::SpinOptions;

/// The most credit there is; each unit is one spin in vain.
const MOST: u32 = 8;
/// What a spin that paid earns.
const EARN: u32 = 2;
/// A probe lasts this many times the limit, and a sleep of at most that length asks for one.
const PROBE: u32 = 3;
/// The most sleeps that ask for a probe in vain before one is granted.
const RAREST: u32 = 64;

/// Whether to spin, learned from how long idle times were.
#[derive(Debug)]
pub(super) struct Spin {
    limit: Duration,
    credit: u32,
    probe: Probe,
    /// Sleeps that must ask for a probe until one is granted.
    patience: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Probe {
    /// So many sleeps have asked.
    Asked(u32),
    /// The next spin is one.
    Granted,
}

impl Spin {
    pub(super) fn new(options: SpinOptions) -> Self {
        Self { limit: options.limit, credit: MOST / 2, probe: Probe::Asked(0), patience: 1 }
    }

    /// How long to spin now; zero means to sleep at once.
    pub(super) fn window(&self) -> Duration {
        match self.probe {
            Probe::Granted => self.limit * PROBE,
            Probe::Asked(_) if self.credit > 0 => self.limit,
            Probe::Asked(_) => Duration::ZERO,
        }
    }

    /// An idle time ended while spinning.
    pub(super) fn hit(&mut self) {
        self.credit = (self.credit + EARN).min(MOST);
        self.probe = Probe::Asked(0);
        self.patience = 1;
    }

    /// A spin ended in vain, and the shard falls asleep.
    pub(super) fn miss(&mut self) {
        match self.probe {
            Probe::Granted => {
                self.probe = Probe::Asked(0);
                self.patience = (self.patience * 2).min(RAREST);
            }
            Probe::Asked(_) => self.credit = self.credit.saturating_sub(1),
        }
    }

    /// A sleep was this long.
    pub(super) fn slept(&mut self, length: Duration) {
        if self.credit > 0 || length > self.limit * PROBE {
            return;
        }
        if let Probe::Asked(times) = self.probe {
            self.probe =
                if times + 1 >= self.patience { Probe::Granted } else { Probe::Asked(times + 1) };
        }
    }
}

#[cfg(test)]
mod tests;
