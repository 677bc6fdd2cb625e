//! Tests of what is said about the versions.

use super::version;
use crate::runtimes;

#[test]
fn every_runtime_has_a_version_in_the_lock_file() {
    for id in runtimes::all() {
        assert!(version(id.package).starts_with(|first: char| first.is_ascii_digit()), "{id:?}");
    }
}

#[test]
fn the_two_spargios_are_told_apart() {
    assert_eq!(version("spargio-published"), "0.5.13");
    assert_eq!(version("spargio"), env!("CARGO_PKG_VERSION"));
}
