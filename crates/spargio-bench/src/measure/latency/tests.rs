//! Tests of the times of single operations.

use std::time::Duration;

use super::Latencies;

fn of(nanos: impl IntoIterator<Item = u64>) -> Latencies {
    let mut latencies = Latencies::of_all();
    nanos.into_iter().for_each(|time| latencies.record(Duration::from_nanos(time)));
    latencies
}

/// Two digits are kept.
fn about(found: u64, expected: u64) -> bool {
    found.abs_diff(expected) * 50 <= expected
}

#[test]
fn quantiles_are_those_of_what_was_recorded() {
    let latencies = of((1..=1_000).map(|number| number * 1_000));
    assert!(about(latencies.quantile(0.5), 500_000));
    assert!(about(latencies.quantile(0.99), 990_000));
    assert_eq!(latencies.len(), 1_000);
}

#[test]
fn long_times_are_kept_and_those_beyond_a_minute_count_as_one() {
    assert!(about(of([5_000_000_000]).quantile(1.0), 5_000_000_000));
    let capped = of([600_000_000_000]).quantile(1.0);
    assert!((60_000_000_000..120_000_000_000).contains(&capped), "{capped}");
}

#[test]
fn pairs_carry_everything() {
    let latencies = of((1..500).map(|number| number * 777));
    let copy = Latencies::from_pairs(&latencies.to_pairs());
    assert_eq!(copy.len(), latencies.len());
    for share in [0.0, 0.5, 0.99, 1.0] {
        assert!(about(copy.quantile(share), latencies.quantile(share)));
    }
}

#[test]
fn merging_adds() {
    let mut one = of([100; 10]);
    one.merge(&of([10_000; 30]));
    assert_eq!(one.len(), 40);
    assert!(about(one.quantile(0.2), 100));
    assert!(about(one.quantile(0.5), 10_000));
}

#[test]
fn one_in_so_many_is_timed_beginning_with_the_first() {
    let mut latencies = Latencies::of_one_in(4);
    for _ in 0..9 {
        let lap = latencies.start();
        latencies.end(lap);
    }
    assert_eq!(latencies.len(), 3);
    assert!(!latencies.is_empty());
}
