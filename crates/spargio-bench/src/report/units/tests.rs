//! Tests of how numbers are written.

use super::{count, memory, ratio, time};

#[test]
fn times_have_three_digits_and_a_unit() {
    assert_eq!(time(0.0), "0.00 ns");
    assert_eq!(time(9.994), "9.99 ns");
    assert_eq!(time(1_234.0), "1.23 us");
    assert_eq!(time(45_678.0), "45.7 us");
    assert_eq!(time(999_400.0), "999 us");
    assert_eq!(time(2.5e9), "2.50 s");
}

#[test]
fn counts_show_how_small_they_are() {
    assert_eq!(count(0.0), "0");
    assert_eq!(count(0.0004), "4e-4");
    assert_eq!(count(1.5), "1.50");
}

#[test]
fn a_ratio_to_nothing_is_a_dash() {
    assert_eq!(ratio(3.0, Some(2.0)), "1.50");
    assert_eq!(ratio(3.0, Some(0.0)), "-");
    assert_eq!(ratio(3.0, None), "-");
}

#[test]
fn memory_is_in_mebibytes() {
    assert_eq!(memory(3.0 * 1024.0 * 1024.0), "3.0 MiB");
}
