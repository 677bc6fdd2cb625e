//! What an interval does about the ticks that it was too late for.

use std::time::{Duration, Instant};

use crate::time::later;

#[cfg(test)]
mod tests;

/// When the next tick of an [`Interval`](super::Interval) is due, after one that was taken late.
///
/// With a period of 10 ms, and a tick that was due at 20 and is taken at 47:
///
/// | | the ticks that follow |
/// |---|---|
/// | `Burst` | 30, 40, both at once, then 50, 60, .. |
/// | `Delay` | 57, 67, .. |
/// | `Skip` | 50, 60, .. |
///
/// A tick that is taken when it is due is followed by the next one a period later in each case.
/// Each costs O(1), however late the tick is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum MissedTickBehavior {
    /// One period after the tick was due: what was missed is made up for at once, so that the
    /// number of ticks is right, and so is the time of each when the interval has caught up.
    #[default]
    Burst,
    /// One period after the tick was taken: at least a period lies between two ticks, and the
    /// schedule moves.
    Delay,
    /// At the first instant of the schedule that is still to come: what was missed is left out, and
    /// the schedule stays.
    Skip,
}

impl MissedTickBehavior {
    /// When the next tick is due, if this one was due at `due` and is taken at `now`, which is not
    /// before. The period is not 0.
    pub(super) fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            Self::Burst => later(due, period),
            Self::Delay => later(now, period),
            Self::Skip => later(now, period - beyond(now.saturating_duration_since(due), period)),
        }
    }
}

/// By how much a span goes beyond the last whole period in it; less than a period.
fn beyond(span: Duration, period: Duration) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    let nanos = span.as_nanos() % period.as_nanos();
    let seconds = u64::try_from(nanos / SECOND).expect("a part of a duration has as few seconds");
    let below = u32::try_from(nanos % SECOND).expect("less than a second has few nanoseconds");
    Duration::new(seconds, below)
}
