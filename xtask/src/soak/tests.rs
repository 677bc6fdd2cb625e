//! What the command line is taken for.

use super::{LEAST, SECONDS, Wish};

#[test]
fn without_arguments_it_takes_ten_minutes_with_any_seed() {
    assert_eq!(Wish::parse(&[]), Ok(Wish { seconds: SECONDS, seed: None }));
}

#[test]
fn time_and_seed_are_taken() {
    let wish = Wish::parse(&["--seed", "18446744073709551615", "--seconds", "30"]);
    assert_eq!(wish, Ok(Wish { seconds: LEAST, seed: Some(u64::MAX) }));
}

#[test]
fn what_is_too_short_or_no_number_is_refused() {
    for arguments in [&["--seconds", "29"][..], &["--seed"], &["--seed", "x"], &["--what"]] {
        Wish::parse(arguments).unwrap_err();
    }
}
