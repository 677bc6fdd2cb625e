//! Tests of the hints.

use super::{RecvHint, SendHint};
use crate::op::Inline;

fn skipped(hint: &RecvHint) -> u32 {
    (0..).take_while(|_| hint.predict() == Inline::Never).count() as u32
}

#[test]
fn a_fresh_stream_is_tried() {
    assert_eq!(RecvHint::default().predict(), Inline::Try);
    assert_eq!(SendHint::default().predict(), Inline::Try);
}

#[test]
fn failures_in_a_row_are_followed_by_ever_more_untried_receives_up_to_the_limit() {
    let hint = RecvHint::default();
    let mut counts = Vec::new();
    for _ in 0..6 {
        hint.found_nothing();
        counts.push(skipped(&hint));
    }
    assert_eq!(counts, [1, 3, 7, 15, 15, 15]);
    assert_eq!(counts[5], u32::from(RecvHint::MOST_SKIPPED));
}

#[test]
fn more_that_waits_is_tried_at_once_but_forgives_nothing() {
    let hint = RecvHint::default();
    hint.found_nothing();
    hint.found_nothing();
    hint.more_waits();
    assert_eq!(hint.predict(), Inline::Try);
    hint.found_nothing();
    assert_eq!(skipped(&hint), 7);
}

#[test]
fn a_find_starts_over() {
    let hint = RecvHint::default();
    hint.found_nothing();
    hint.found_nothing();
    hint.found_some();
    assert_eq!(hint.predict(), Inline::Try);
    hint.found_nothing();
    assert_eq!(skipped(&hint), 1);
}

#[test]
fn a_send_that_did_not_fit_sends_the_next_one_to_the_ring() {
    let hint = SendHint::default();
    hint.note(true);
    assert_eq!(hint.predict(), Inline::Never);
    hint.note(false);
    assert_eq!(hint.predict(), Inline::Try);
}
