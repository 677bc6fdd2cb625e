//! The guess against files that always, sometimes and never answer.

use crate::op::Inline;
use crate::op::predict::Predictor;

#[test]
fn direct_reads_are_tried_as_long_as_they_work() {
    let predictor = Predictor::default();
    for round in 0..1_000 {
        assert_eq!(predictor.next(), Inline::Try, "round {round}");
        // Three misses of four are still worth the try.
        predictor.note(round % 4 == 0);
    }
}

#[test]
fn direct_reads_that_always_miss_become_rare() {
    let predictor = Predictor::default();
    let mut tries = 0;
    for _ in 0..10_000 {
        if predictor.next() == Inline::Try {
            tries += 1;
            predictor.note(false);
        }
    }
    // 4 at once, 5 with growing rests, then one in 249.
    assert!((40..=52).contains(&tries), "{tries} tries");
}

#[test]
fn a_hit_ends_the_rests() {
    let predictor = Predictor::default();
    for _ in 0..1_000 {
        if predictor.next() == Inline::Try {
            predictor.note(false);
        }
    }
    let waited = (0..).find(|_| predictor.next() == Inline::Try).unwrap();
    assert!(waited <= 248, "{waited} reads before the next try");
    predictor.note(true);
    assert_eq!(predictor.next(), Inline::Try);
    predictor.note(false);
    assert_eq!(predictor.next(), Inline::Try);
}
