//! When tasks look out.

use super::{Lookout, MOST_SKIPPED};

/// Waits until one looks out, while every idle look ends with a message: how many did not.
fn waits_before_a_look_out(lookout: &Lookout) -> Option<u32> {
    (0..1_000).find(|_| {
        lookout.glanced(true);
        lookout.is_due()
    })
}

#[test]
fn looks_out_in_vain_get_rarer_whatever_idle_looks_find() {
    let lookout = Lookout::default();
    let mut waits = Vec::new();
    for _ in 0..9 {
        waits.extend(waits_before_a_look_out(&lookout));
        lookout.looked_out(false);
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 64]);
    assert_eq!(waits.last(), Some(&MOST_SKIPPED));
}

#[test]
fn a_look_out_that_pays_is_followed_by_the_next() {
    let lookout = Lookout::default();
    for _ in 0..5 {
        lookout.looked_out(false);
    }
    assert_eq!(waits_before_a_look_out(&lookout), Some(16));
    lookout.looked_out(true);
    assert!(lookout.is_due());
    lookout.looked_out(false);
    assert_eq!(waits_before_a_look_out(&lookout), Some(1));
}

#[test]
fn nobody_looks_out_before_a_message_has_come_quickly_or_after_one_has_not() {
    let lookout = Lookout::default();
    assert!(!lookout.is_due());
    lookout.glanced(true);
    assert!(lookout.is_due());
    lookout.glanced(false);
    assert!(!lookout.is_due());
}
