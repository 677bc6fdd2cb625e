//! What earns a spin, and what ends it.

use std::time::Duration;

use super::{MOST, RAREST, Spin};
use crate::options::SpinOptions;

const LIMIT: Duration = Duration::from_micros(20);
const LONG: Duration = Duration::from_millis(10);

fn spin() -> Spin {
    Spin::new(SpinOptions { limit: LIMIT })
}

fn exhaust(spin: &mut Spin) {
    for _ in 0..MOST {
        spin.miss();
        spin.slept(LONG);
    }
}

#[test]
fn long_idle_times_end_spinning() {
    let mut spin = spin();
    assert_eq!(spin.window(), LIMIT);
    exhaust(&mut spin);
    for _ in 0..1000 {
        assert_eq!(spin.window(), Duration::ZERO);
        spin.slept(LONG);
    }
}

#[test]
fn spins_that_pay_go_on() {
    let mut spin = spin();
    for round in 0..100 {
        assert_eq!(spin.window(), LIMIT, "round {round}");
        if round % 3 == 0 { spin.miss() } else { spin.hit() }
    }
}

#[test]
fn a_short_sleep_grants_a_probe_and_a_hit_brings_spinning_back() {
    let mut spin = spin();
    exhaust(&mut spin);
    spin.slept(LIMIT * 2);
    assert_eq!(spin.window(), LIMIT * 3);
    spin.hit();
    assert_eq!(spin.window(), LIMIT);
}

#[test]
fn probes_in_vain_become_rare() {
    let mut spin = spin();
    exhaust(&mut spin);
    let mut probes = 0;
    for _ in 0..10_000 {
        spin.slept(LIMIT * 2);
        if !spin.window().is_zero() {
            probes += 1;
            spin.miss();
        }
    }
    assert!(probes <= 10_000 / RAREST + 8, "{probes} probes");
    assert!(probes >= 10_000 / RAREST, "{probes} probes");
}

#[test]
fn a_limit_of_zero_never_spins() {
    let mut spin = Spin::new(SpinOptions { limit: Duration::ZERO });
    for _ in 0..100 {
        assert_eq!(spin.window(), Duration::ZERO);
        spin.slept(Duration::ZERO);
    }
}
