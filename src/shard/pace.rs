//! How long polls take: learned from turns that are timed now and then, because reading the clock
//! may cost as much as a poll. The clock is read as nanoseconds.

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
    /// Looks until the ring is looked at too.
    ring_left: u32,
    ring_stride: u32,
    /// The clock is read before the next poll.
    is_timed: bool,
    /// And before each one after that.
    is_exact: bool,
    /// When the clock was read first, and after how many polls.
    start: Option<(u64, u32)>,
    /// When the last look was that submits, or the first one.
    submitted: Option<u64>,
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

    /// The polls of a turn begin. `is_exact`: each is timed by itself.
    pub(super) fn begin(&self, is_exact: bool) -> Lap {
        let most = u64::from(STRIDE);
        let stride = (BETWEEN / self.poll_nanos.max(1)).clamp(1, most) as u32;
        // Where polls are that long the clock costs nothing beside them.
        let is_timed = is_exact || stride < STRIDE || self.untimed == 0;
        let (stride, ring_stride) = if is_exact { (1, stride) } else { (stride, 1) };
        let (left, ring_left) = (stride, ring_stride);
        let (polls, start, submitted) = (0, None, None);
        Lap { polls, stride, left, ring_left, ring_stride, is_timed, is_exact, start, submitted }
    }

    /// The polls of a turn are over. Reads the clock, and says what it showed, if anything is to be
    /// learned.
    pub(super) fn end(&mut self, lap: &Lap, now: impl FnOnce() -> u64) -> Option<u64> {
        if lap.polls == 0 {
            return None;
        }
        self.untimed = self.untimed.checked_sub(1).unwrap_or(TIMED - 1);
        let (start, before) = lap.start?;
        if lap.polls == before {
            return None;
        }
        let now = now();
        let each = now.saturating_sub(start) / u64::from(lap.polls - before);
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
    #[inline]
    pub(super) fn poll(&mut self, now: impl FnOnce() -> u64) {
        if self.is_timed {
            let now = now();
            self.start.get_or_insert((now, self.polls));
            self.is_timed = self.is_exact;
        }
        self.polls += 1;
    }

    /// After a poll: whether it is time to look at the clock, and at the ring if it
    /// [is due](Self::is_ring_due).
    #[inline]
    pub(super) fn is_look_due(&mut self) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        self.left = self.stride;
        true
    }

    /// At a look: whether it is one at the ring too, as each is unless every poll is timed.
    pub(super) fn is_ring_due(&mut self) -> bool {
        self.ring_left -= 1;
        if self.ring_left > 0 {
            return false;
        }
        self.ring_left = self.ring_stride;
        true
    }

    /// At a look: whether what is to go to the ring has waited for long enough. Where polls are
    /// short a look comes sooner, and a submission for each would cost more than it gives.
    pub(super) fn is_submission_due(&mut self, now: u64) -> bool {
        let since = *self.submitted.get_or_insert(self.start.map_or(now, |(start, _)| start));
        let is_due = now.saturating_sub(since) >= BETWEEN;
        if is_due {
            self.submitted = Some(now);
        }
        is_due
    }

    /// At a look: how long the lap has lasted, as far as it was timed.
    pub(super) fn elapsed(&mut self, now: u64) -> u64 {
        let (start, _) = *self.start.get_or_insert((now, self.polls));
        now.saturating_sub(start)
    }
}

#[cfg(test)]
mod tests {
    use super::{BETWEEN, FIRST, Lap, Pace, STRIDE, TIMED};

    /// A turn of so many polls of this length. How often it read the clock.
    fn turn(pace: &mut Pace, clock: &mut u64, polls: u32, each: u64) -> u32 {
        let mut reads = 0;
        let mut lap: Lap = pace.begin(false);
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
        let mut clock = 0;
        let mut reads = 0;
        for _ in 0..4 * TIMED {
            reads += turn(&mut pace, &mut clock, 1, 100);
        }
        assert_eq!(reads, 2 * 4);
    }

    #[test]
    fn the_length_of_short_turns_is_learned_all_the_same() {
        let mut pace = Pace::new();
        let mut clock = 0;
        for _ in 0..64 * TIMED {
            turn(&mut pace, &mut clock, 1, 100);
        }
        assert!((100..150).contains(&pace.poll_nanos()), "{}", pace.poll_nanos());
        assert!(pace.poll_nanos() < FIRST);
    }

    #[test]
    fn long_polls_are_looked_at_one_by_one() {
        let mut pace = Pace::new();
        let mut clock = 0;
        let long = 100 * BETWEEN;
        turn(&mut pace, &mut clock, 1, long);
        assert!(pace.poll_nanos() > BETWEEN);
        let reads = turn(&mut pace, &mut clock, 10, long);
        assert_eq!(reads, 1 + 10 + 1);
    }

    #[test]
    fn a_mix_of_short_and_long_polls_is_looked_at_in_time() {
        let mut pace = Pace::new();
        let mut clock = 0;
        for _ in 0..100 {
            turn(&mut pace, &mut clock, 2, 2_000);
            turn(&mut pace, &mut clock, 1, 50_000);
        }
        let mut lap = pace.begin(false);
        let mut between = 0;
        loop {
            lap.poll(|| clock);
            between += 50_000;
            if lap.is_look_due() {
                break;
            }
        }
        assert!(between <= 150_000, "{between:?}");
    }

    #[test]
    fn a_turn_that_becomes_long_is_noticed_after_a_stride() {
        let mut pace = Pace::new();
        let mut clock = 0;
        turn(&mut pace, &mut clock, 1, 100);
        let mut lap = pace.begin(false);
        for _ in 0..2 * STRIDE {
            lap.poll(|| unreachable!("the turn is not timed from its first poll on"));
            clock += 1_000_000;
            if lap.is_look_due() {
                lap.elapsed(clock);
            }
        }
        assert_eq!(lap.elapsed(clock), u64::from(STRIDE) * 1_000_000);
        pace.end(&lap, || clock);
        assert!(pace.poll_nanos() > BETWEEN);
    }

    #[test]
    fn looks_that_come_sooner_submit_as_often_as_others() {
        let mut lap = Pace::new().begin(false);
        let between = BETWEEN / 4;
        let due: Vec<_> = (1..=9).filter(|look| lap.is_submission_due(look * between)).collect();
        assert_eq!(due, [5, 9], "the first look begins to count");
        let mut lap = Pace::new().begin(false);
        lap.poll(|| 0);
        assert!(lap.is_submission_due(BETWEEN), "a timed lap counts from its beginning on");
        assert!(!lap.is_submission_due(BETWEEN + 1));
    }

    #[test]
    fn a_turn_without_polls_says_nothing() {
        let mut pace = Pace::new();
        let lap = pace.begin(false);
        pace.end(&lap, || unreachable!("there is nothing to measure"));
        assert_eq!(pace.poll_nanos(), FIRST);
    }
}
