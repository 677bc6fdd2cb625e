//! Getting off a CPU that another shard wants as well, when there is a free one.
//!
//! The kernel likes to wake a thread on the CPU of whoever wakes it. Two shards that answer each
//! other by turns may then share one CPU for good, however idle the others are: neither is ready
//! while the other runs, so there is no imbalance that the kernel would even out. A shard that
//! would spin for its partner, but for the shared CPU, moves away instead: it binds itself to a
//! free CPU, which moves it there, and takes the binding back, so that the kernel is as free as
//! before.

use std::time::{Duration, Instant};

/// The shortest time between two moves of a shard: a move takes some microseconds.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest, after moves that did not last.
const LONGEST: Duration = Duration::from_millis(256);
/// A move that was not asked for again for so many pauses has lasted.
const LASTED: u32 = 16;

/// When a shard may move again.
#[derive(Debug)]
pub(super) struct Spread {
    moved: Option<Instant>,
    pause: Duration,
}

impl Spread {
    pub(super) fn new() -> Self {
        Self { moved: None, pause: SHORTEST }
    }

    /// Whether the shard may move now. If so, it counts as moved.
    pub(super) fn may_move(&mut self, now: Instant) -> bool {
        if let Some(moved) = self.moved {
            let since = now.saturating_duration_since(moved);
            if since < self.pause {
                return false;
            }
            self.pause = match since > self.pause * LASTED {
                true => SHORTEST,
                false => (self.pause * 2).min(LONGEST),
            };
        }
        self.moved = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{LASTED, LONGEST, SHORTEST, Spread};

    /// How often a shard moves that would like to at every step.
    fn moves(spread: &mut Spread, from: Instant, length: Duration, step: Duration) -> u32 {
        let steps = u32::try_from(length.as_nanos() / step.as_nanos()).unwrap();
        (0..steps).map(|at| u32::from(spread.may_move(from + step * at))).sum()
    }

    #[test]
    fn the_first_move_is_free() {
        assert!(Spread::new().may_move(Instant::now()));
    }

    #[test]
    fn moves_that_do_not_last_get_rare() {
        let mut spread = Spread::new();
        let start = Instant::now();
        let step = Duration::from_micros(10);
        let first = moves(&mut spread, start, Duration::from_millis(64), step);
        assert!((5..=8).contains(&first), "{first}");
        let later = start + Duration::from_secs(2);
        let rare = moves(&mut spread, later, LONGEST, step);
        assert!(rare <= 3, "{rare}");
    }

    #[test]
    fn a_move_that_lasted_makes_the_next_one_easy() {
        let mut spread = Spread::new();
        let start = Instant::now();
        moves(&mut spread, start, Duration::from_millis(64), SHORTEST);
        let later = start + LONGEST * LASTED * 2;
        assert!(spread.may_move(later));
        assert!(!spread.may_move(later + SHORTEST / 2));
        assert!(spread.may_move(later + SHORTEST));
    }
}
