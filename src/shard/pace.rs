//! How long polls take: learned from turns that are timed now and then, because reading the clock
//! may cost as much as a poll.

use std::time::{Duration, Instant};

/// How many nanoseconds of polls there should be between two looks at the ring and the clock. What
/// completes meanwhile waits for the next look, once on each side of a connection.
const BETWEEN: u64 = 32_000;
/// The most polls between two looks: short ones may become long without notice.
const STRIDE: u32 = 16;
/// One turn of so many is timed from its first poll on. Odd, because turns often alternate.
const TIMED: u32 = 7;
/// What is believed before anything was measured, in nanoseconds.
const FIRST: u64 = 1_000;

/// The length of a poll, learned.
#[derive(Debug)]
pub(super) struct Pace {
    poll_nanos: u64,
    /// Turns that go by before one is timed from its first poll on.
    untimed: u32,
}

/// The polls of one turn.
#[derive(Debug)]
pub(super) struct Lap {
    polls: u32,
    /// Polls between two looks.
    stride: u32,
    /// Polls until the next look.
    left: u32,
    is_timed: bool,
    /// When the clock was read first, and after how many polls.
    start: Option<(Instant, u32)>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { poll_nanos: FIRST, untimed: 0 }
    }

    /// The length of a poll, in nanoseconds.
    pub(super) fn poll_nanos(&self) -> u64 {
        self.poll_nanos
    }

    /// The next turn is timed from its first poll on.
    pub(super) fn time_next_turn(&mut self) {
        self.untimed = 0;
    }

    /// The polls of a turn begin.
    pub(super) fn begin(&self) -> Lap {
        let most = u64::from(STRIDE);
        let stride = (BETWEEN / self.poll_nanos.max(1)).clamp(1, most) as u32;
        // Where polls are that long the clock costs nothing beside them.
        let is_timed = stride < STRIDE || self.untimed == 0;
        Lap { polls: 0, stride, left: stride, is_timed, start: None }
    }

    /// The polls of a turn are over. Reads the clock, and says what it showed, if anything is to be
    /// learned.
    pub(super) fn end(&mut self, lap: &Lap, now: impl FnOnce() -> Instant) -> Option<Instant> {
        if lap.polls == 0 {
            return None;
        }
        self.untimed = self.untimed.checked_sub(1).unwrap_or(TIMED - 1);
        let (start, before) = lap.start?;
        if lap.polls == before {
            return None;
        }
        let now = now();
        let each = nanos(now - start) / u64::from(lap.polls - before);
        // An average that gives the last lap a weight of an eighth.
        self.poll_nanos = self.poll_nanos.saturating_mul(7).saturating_add(each) / 8;
        Some(now)
    }
}

impl Lap {
    /// Whether the clock was read since the turn began.
    pub(super) fn is_measured(&self) -> bool {
        self.start.is_some()
    }

    /// How many polls there were.
    pub(super) fn polls(&self) -> u32 {
        self.polls
    }

    /// Before a poll.
    pub(super) fn poll(&mut self, now: impl FnOnce() -> Instant) {
        if self.is_timed && self.polls == 0 {
            self.start = Some((now(), 0));
        }
        self.polls += 1;
    }

    /// After a poll: whether it is time to look at the ring and the clock.
    pub(super) fn is_look_due(&mut self) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        self.left = self.stride;
        true
    }

    /// At a look: how long the lap has lasted, as far as it was timed.
    pub(super) fn elapsed(&mut self, now: Instant) -> Duration {
        let (start, _) = *self.start.get_or_insert((now, self.polls));
        now - start
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{BETWEEN, FIRST, Lap, Pace, STRIDE, TIMED};

    /// A turn of so many polls of this length. How often it read the clock.
    fn turn(pace: &mut Pace, clock: &mut Instant, polls: u32, each: Duration) -> u32 {
        let mut reads = 0;
        let mut lap: Lap = pace.begin();
        for _ in 0..polls {
            lap.poll(|| {
                reads += 1;
                *clock
            });
            *clock += each;
            if lap.is_look_due() {
                reads += 1;
                lap.elapsed(*clock);
            }
        }
        pace.end(&lap, || {
            reads += 1;
            *clock
        });
        reads
    }

    #[test]
    fn short_turns_read_the_clock_once_in_a_while() {
        let mut pace = Pace::new();
        let mut clock = Instant::now();
        let mut reads = 0;
        for _ in 0..4 * TIMED {
            reads += turn(&mut pace, &mut clock, 1, Duration::from_nanos(100));
        }
        assert_eq!(reads, 2 * 4);
    }

    #[test]
    fn the_length_of_short_turns_is_learned_all_the_same() {
        let mut pace = Pace::new();
        let mut clock = Instant::now();
        for _ in 0..64 * TIMED {
            turn(&mut pace, &mut clock, 1, Duration::from_nanos(100));
        }
        assert!((100..150).contains(&pace.poll_nanos()), "{}", pace.poll_nanos());
        assert!(pace.poll_nanos() < FIRST);
    }

    #[test]
    fn long_polls_are_looked_at_one_by_one() {
        let mut pace = Pace::new();
        let mut clock = Instant::now();
        let long = Duration::from_nanos(100 * BETWEEN);
        turn(&mut pace, &mut clock, 1, long);
        assert!(pace.poll_nanos() > BETWEEN);
        let reads = turn(&mut pace, &mut clock, 10, long);
        assert_eq!(reads, 1 + 10 + 1);
    }

    #[test]
    fn a_mix_of_short_and_long_polls_is_looked_at_in_time() {
        let mut pace = Pace::new();
        let mut clock = Instant::now();
        for _ in 0..100 {
            turn(&mut pace, &mut clock, 2, Duration::from_micros(2));
            turn(&mut pace, &mut clock, 1, Duration::from_micros(50));
        }
        let mut lap = pace.begin();
        let mut between = Duration::ZERO;
        loop {
            lap.poll(|| clock);
            between += Duration::from_micros(50);
            if lap.is_look_due() {
                break;
            }
        }
        assert!(between <= Duration::from_micros(150), "{between:?}");
    }

    #[test]
    fn a_turn_that_becomes_long_is_noticed_after_a_stride() {
        let mut pace = Pace::new();
        let mut clock = Instant::now();
        turn(&mut pace, &mut clock, 1, Duration::from_nanos(100));
        let mut lap = pace.begin();
        for _ in 0..2 * STRIDE {
            lap.poll(|| unreachable!("the turn is not timed from its first poll on"));
            clock += Duration::from_millis(1);
            if lap.is_look_due() {
                lap.elapsed(clock);
            }
        }
        assert_eq!(lap.elapsed(clock), STRIDE * Duration::from_millis(1));
        pace.end(&lap, || clock);
        assert!(pace.poll_nanos() > BETWEEN);
    }

    #[test]
    fn a_turn_without_polls_says_nothing() {
        let mut pace = Pace::new();
        let lap = pace.begin();
        pace.end(&lap, || unreachable!("there is nothing to measure"));
        assert_eq!(pace.poll_nanos(), FIRST);
    }
}
