//! Tests of the middle half.

use super::Spread;

#[test]
fn one_number_is_its_own_middle() {
    let spread = Spread::of([3.0]);
    assert_eq!((spread.low, spread.median, spread.high), (3.0, 3.0, 3.0));
}

#[test]
fn the_order_of_the_numbers_does_not_matter() {
    let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]);
    assert_eq!((spread.low, spread.median, spread.high), (2.0, 3.0, 4.0));
}

#[test]
fn between_two_numbers_it_is_interpolated() {
    let spread = Spread::of([1.0, 2.0]);
    assert_eq!((spread.low, spread.median, spread.high), (1.25, 1.5, 1.75));
}
