//! The three behaviours against a model that counts up tick by tick.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::MissedTickBehavior::{self, Burst, Delay, Skip};

/// The schedule in plain numbers: nanoseconds since the first tick.
fn naive(behavior: MissedTickBehavior, due: u64, now: u64, period: u64) -> u64 {
    match behavior {
        Burst => due + period,
        Delay => now + period,
        Skip => {
            let mut next = due;
            while next <= now {
                next += period;
            }
            next
        }
    }
}

/// How late a tick is, in periods and a part of one.
fn lateness() -> impl Strategy<Value = (u64, u64)> {
    let periods = prop_oneof![4 => Just(0), 4 => 0_u64..4, 1 => 0_u64..2_000];
    let part = prop_oneof![Just(0), Just(1), any::<u64>()];
    (periods, part)
}

proptest! {
    #[test]
    fn a_schedule_is_that_of_the_model_however_late_its_ticks_are(
        period in prop_oneof![Just(1_u64), 1_u64..50, 1_u64..2_000_000_000],
        late in prop::collection::vec(lateness(), 1..50),
        behaviors in prop::collection::vec(prop_oneof![Just(Burst), Just(Delay), Just(Skip)], 50),
    ) {
        let start = Instant::now();
        let (mut due, mut now) = (0, 0);
        for ((periods, part), behavior) in late.into_iter().zip(behaviors) {
            // Nobody takes a tick before it is due, or before the last one.
            now = now.max(due) + periods * period + part % period;
            let next = behavior.next(
                start + Duration::from_nanos(due),
                start + Duration::from_nanos(now),
                Duration::from_nanos(period),
            );
            due = naive(behavior, due, now, period);
            prop_assert_eq!(next - start, Duration::from_nanos(due));
        }
    }

    #[test]
    fn skipping_keeps_to_the_schedule_and_looks_less_than_a_period_ahead(
        period in 1_u64..=u64::MAX,
        late in any::<u64>(),
    ) {
        let due = Instant::now();
        let (period, late) = (Duration::from_nanos(period), Duration::from_nanos(late));
        let next = Skip.next(due, due + late, period) - due;
        prop_assert!(next > late && next - late <= period);
        prop_assert_eq!(next.as_nanos() % period.as_nanos(), 0);
    }
}

#[test]
fn a_century_of_missed_nanoseconds_is_skipped_in_one_step() {
    let due = Instant::now();
    let late = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let tick = Duration::from_nanos(1);
    assert_eq!(Skip.next(due, due + late, tick), due + late + tick);
}

#[test]
fn a_period_that_no_clock_can_show_ends_in_decades() {
    let now = Instant::now();
    let decades = Duration::from_secs(20 * 365 * 24 * 60 * 60);
    for behavior in [Burst, Delay, Skip] {
        for late in [Duration::ZERO, Duration::from_secs(7)] {
            assert!(behavior.next(now, now + late, Duration::MAX) > now + decades, "{behavior:?}");
        }
    }
}
