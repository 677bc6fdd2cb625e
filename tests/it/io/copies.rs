//! Copies, between things that are slow and break.

use std::io::ErrorKind;

use spargio::io::{copy, copy_bidirectional, join};

use super::run;
use super::torture::{Basin, Dice, Drip, Trickle};

#[test]
fn a_copy_has_every_byte_in_its_place_and_is_flushed() {
    for seed in 0..200 {
        let bytes = Dice::new(seed).bytes(300);
        let basin = Basin::default();
        let (mut from, mut to) = (Trickle::new(&bytes, seed), Drip::new(&basin, seed));
        assert_eq!(run(copy(&mut from, &mut to)).unwrap(), 300);
        assert_eq!((basin.bytes(), basin.flushed()), (bytes, 300), "seed {seed}");
        assert_eq!(basin.shutdowns(), 0);
    }
}

#[test]
fn a_copy_that_breaks_has_written_what_came_before() {
    for seed in 0..200 {
        let bytes = Dice::new(seed).bytes(300);
        let at = Dice::new(seed).below(300);
        let basin = Basin::default();
        let mut from = Trickle::new(&bytes, seed).failing_at(at);
        let mut to = Drip::new(&basin, seed);
        let error = run(copy(&mut from, &mut to)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(basin.bytes(), bytes[..at], "seed {seed}");

        let basin = Basin::default();
        let mut from = Trickle::new(&bytes, seed);
        let mut to = Drip::new(&basin, seed).failing_at(at);
        run(copy(&mut from, &mut to)).unwrap_err();
        assert_eq!(basin.bytes(), bytes[..at], "seed {seed}");
    }
}

#[test]
fn copies_both_ways_end_each_for_itself_and_are_counted() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let (there, back) = (dice.below(300), dice.below(300));
        let (there, back) = (dice.bytes(there), dice.bytes(back));
        let (at_b, at_a) = (Basin::default(), Basin::default());
        let mut a = join(Trickle::new(&there, seed), Drip::new(&at_a, seed));
        let mut b = join(Trickle::new(&back, seed + 1), Drip::new(&at_b, seed + 1));
        let counts = run(copy_bidirectional(&mut a, &mut b)).unwrap();
        assert_eq!(counts, (there.len() as u64, back.len() as u64));
        assert_eq!((at_b.bytes(), at_a.bytes()), (there, back), "seed {seed}");
        assert_eq!((at_b.shutdowns(), at_a.shutdowns()), (1, 1));
    }
}

#[test]
fn an_error_of_one_way_ends_both() {
    for seed in 0..50 {
        let basin = Basin::default();
        let mut a = join(Trickle::new(b"bytes", seed).failing_at(3), Drip::new(&basin, seed));
        let mut b = join(Endless, Drip::new(&basin, seed));
        let error = run(copy_bidirectional(&mut a, &mut b)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

/// Nothing ever comes.
struct Endless;

impl spargio::io::AsyncRead for Endless {
    async fn read<B: spargio::IoBufMut>(&mut self, _: B) -> spargio::BufResult<usize, B> {
        std::future::pending().await
    }
}
