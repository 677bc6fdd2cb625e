//! The wheel at its edges: cascades, wear, and times that go nowhere.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::timer::Wheel;
use crate::timer::place::{LEVELS, SLOT_BITS, TICK_SHIFT};

const TICK: u64 = 1 << TICK_SHIFT;
const SECOND: u64 = 1_000_000_000;

fn fired<W>(wheel: &mut Wheel<W>, now_ns: u64) -> Vec<W> {
    let mut out = Vec::new();
    wheel.advance(now_ns, |payload| out.push(payload));
    out
}

#[test]
fn a_timer_fires_at_its_exact_nanosecond_and_once() {
    for deadline in [1, TICK - 1, TICK, TICK + 1, 256 * TICK - 1, 256 * TICK, SECOND + 7] {
        let mut wheel = Wheel::new(0, 8);
        wheel.insert(deadline, 'a').unwrap();
        assert_eq!(fired(&mut wheel, deadline - 1), []);
        assert_eq!(wheel.next_deadline(), Some(deadline));
        assert_eq!(fired(&mut wheel, deadline), ['a']);
        assert_eq!(fired(&mut wheel, u64::MAX), []);
        assert!(wheel.is_empty());
        assert_eq!(wheel.next_deadline(), None);
    }
}

#[test]
fn timers_on_both_sides_of_every_cascade_boundary_fire_in_order() {
    for level in 1..LEVELS as u32 {
        let boundary = 1u64 << (TICK_SHIFT + SLOT_BITS * level);
        for origin in [0, 1, boundary / 2, boundary - TICK, boundary - 1] {
            let mut wheel = Wheel::new(origin, 8);
            for deadline in [boundary + TICK, boundary, boundary - 1, boundary + 1] {
                wheel.insert(deadline, deadline).unwrap();
            }
            assert_eq!(fired(&mut wheel, boundary - 1), [boundary - 1]);
            assert_eq!(fired(&mut wheel, boundary), [boundary]);
            assert_eq!(fired(&mut wheel, boundary + TICK), [boundary + 1, boundary + TICK]);
        }
    }
}

#[test]
fn within_a_tick_the_first_come_is_the_first_served() {
    let mut wheel = Wheel::new(0, 8);
    let tick = 5000 * TICK;
    wheel.insert(tick + 9, 'a').unwrap();
    wheel.insert(tick + 1, 'b').unwrap();
    let c = wheel.insert(tick + 2, 'c').unwrap();
    fired(&mut wheel, tick - 1);
    wheel.insert(tick, 'd').unwrap();
    assert!(wheel.reset(c, tick + 3));
    assert_eq!(fired(&mut wheel, tick + TICK), ['a', 'b', 'd', 'c']);
}

#[test]
fn a_lone_far_timer_costs_one_wake_up() {
    let mut wheel = Wheel::new(12_345, 8);
    let deadline = 60 * SECOND;
    wheel.insert(deadline, ()).unwrap();
    assert_eq!(wheel.next_deadline(), Some(deadline));
    assert_eq!(fired(&mut wheel, deadline).len(), 1);
}

#[test]
fn removing_the_earliest_timer_costs_at_most_one_wake_up() {
    let mut wheel = Wheel::new(0, 8);
    // Both in one slot.
    let early = wheel.insert(58 * SECOND, 'e').unwrap();
    wheel.insert(59 * SECOND, 'l').unwrap();
    assert_eq!(wheel.remove(early), Some('e'));
    let bound = wheel.next_deadline().unwrap();
    assert!(bound <= 59 * SECOND);
    assert_eq!(fired(&mut wheel, bound), []);
    assert_eq!(wheel.next_deadline(), Some(59 * SECOND));
}

#[test]
fn the_last_nanosecond_has_a_place() {
    for origin in [0, SECOND, u64::MAX - TICK, u64::MAX - 1, u64::MAX] {
        let mut wheel = Wheel::new(origin, 8);
        wheel.insert(u64::MAX, 'z').unwrap();
        assert_eq!(wheel.next_deadline(), Some(u64::MAX));
        if origin < u64::MAX {
            assert_eq!(fired(&mut wheel, u64::MAX - 1), []);
            assert_eq!(wheel.next_deadline(), Some(u64::MAX));
        }
        assert_eq!(fired(&mut wheel, u64::MAX), ['z']);
        wheel.insert(u64::MAX, 'y').unwrap();
        wheel.insert(0, 'x').unwrap();
        assert_eq!(fired(&mut wheel, u64::MAX), ['y', 'x']);
    }
}

#[test]
fn a_past_deadline_fires_at_the_next_advance_whatever_its_time() {
    let mut wheel = Wheel::new(0, 8);
    fired(&mut wheel, SECOND);
    wheel.insert(SECOND - 1, 'a').unwrap();
    assert_eq!(wheel.next_deadline(), Some(SECOND - 1));
    assert_eq!(fired(&mut wheel, 3), ['a']);
}

#[test]
fn an_earlier_time_fires_nothing_that_is_not_due() {
    let mut wheel = Wheel::new(SECOND, 8);
    wheel.insert(SECOND + 1, 'a').unwrap();
    assert_eq!(fired(&mut wheel, 0), []);
    assert_eq!(fired(&mut wheel, SECOND), []);
    assert_eq!(fired(&mut wheel, SECOND), []);
    assert_eq!(fired(&mut wheel, SECOND + 1), ['a']);
}

#[test]
fn the_limit_is_kept_and_the_payload_comes_back() {
    let mut wheel = Wheel::new(0, 2);
    let first = wheel.insert(1, 'a').unwrap();
    wheel.insert(2, 'b').unwrap();
    let full = wheel.insert(3, 'c').unwrap_err();
    assert_eq!((full.payload, full.limit), ('c', 2));
    assert_eq!(full.to_string(), "the shard already holds 2 timers, its limit");
    assert_eq!(wheel.len(), 2);
    assert_eq!(wheel.remove(first), Some('a'));
    wheel.insert(3, 'c').unwrap();
    assert_eq!(fired(&mut wheel, 3), ['b', 'c']);
    assert!(Wheel::new(0, 0).insert(1, ()).is_err());
}

#[test]
fn a_stale_key_names_nothing_after_its_entry_is_used_again() {
    let mut wheel = Wheel::new(0, 8);
    let old = wheel.insert(1, 'a').unwrap();
    assert_eq!(wheel.remove(old), Some('a'));
    assert_eq!(wheel.remove(old), None);
    let new = wheel.insert(2, 'b').unwrap();
    assert_eq!(old.index, new.index);
    assert_eq!(wheel.remove(old), None);
    assert_eq!(wheel.get_mut(old), None);
    assert!(!wheel.reset(old, 9));
    assert_eq!(wheel.get_mut(new), Some(&mut 'b'));
    assert_eq!(fired(&mut wheel, 2), ['b']);
    assert_eq!(wheel.remove(new), None);
    assert!(!wheel.reset(new, 9));
}

#[test]
fn an_entry_whose_generations_are_used_up_is_retired() {
    let mut wheel = Wheel::new(0, 1);
    let key = wheel.insert(1, 'a').unwrap();
    let last = wheel.wear_out(key);
    assert_eq!(fired(&mut wheel, 1), ['a']);
    assert_eq!(wheel.remove(last), None);
    assert_eq!(wheel.get_mut(last), None);
    let next = wheel.insert(2, 'b').unwrap();
    assert_ne!(next.index, last.index);
    assert_eq!(wheel.len(), 1);
}

#[test]
fn entries_are_used_again_instead_of_allocated() {
    let mut wheel = Wheel::new(0, 100);
    for round in 0..1_000u64 {
        let kept = wheel.insert(round * 7 * TICK + SECOND, round).unwrap();
        wheel.insert(round, round).unwrap();
        fired(&mut wheel, round);
        assert_eq!(wheel.remove(kept), Some(round));
    }
    assert_eq!(wheel.allocated(), 2);
}

#[test]
fn a_look_shows_what_waits_and_nothing_that_fired_or_was_removed() {
    let mut wheel = Wheel::new(0, 8);
    let removed = wheel.insert(1, 'r').unwrap();
    let moved = wheel.insert(2, 'm').unwrap();
    wheel.insert(3, 'f').unwrap();
    wheel.insert(u64::MAX, 'z').unwrap();
    assert_eq!(wheel.remove(removed), Some('r'));
    assert!(wheel.reset(moved, SECOND));
    assert_eq!(fired(&mut wheel, 3), ['f']);
    wheel.insert(1, 'p').unwrap();
    let mut seen = Vec::new();
    wheel.for_each(|deadline, payload| seen.push((deadline, *payload)));
    seen.sort_unstable();
    assert_eq!(seen, [(1, 'p'), (SECOND, 'm'), (u64::MAX, 'z')]);
}

#[test]
fn the_end_of_time_empties_the_wheel() {
    let mut wheel = Wheel::new(0, 1_000);
    for exponent in 0..64 {
        wheel.insert(1 << exponent, exponent).unwrap();
    }
    assert_eq!(fired(&mut wheel, u64::MAX), (0..64).collect::<Vec<_>>());
    assert!(wheel.is_empty());
}

#[test]
fn a_sink_that_panics_loses_only_the_timer_it_was_given() {
    let mut wheel = Wheel::new(0, 8);
    for (deadline, payload) in [(5, 'a'), (6, 'b'), (7, 'c'), (SECOND, 'd')] {
        wheel.insert(deadline, payload).unwrap();
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        wheel.advance(2 * SECOND, |payload| assert_ne!(payload, 'b', "on purpose"));
    }));
    assert!(outcome.is_err());
    assert_eq!(wheel.len(), 2);
    assert_eq!(fired(&mut wheel, 2 * SECOND), ['c', 'd']);
}
