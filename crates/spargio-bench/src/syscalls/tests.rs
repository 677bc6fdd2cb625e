//! Tests of reading strace's table.

use super::calls_of;

#[test]
fn the_total_is_found_with_and_without_errors() {
    let head = "% time     seconds  usecs/call     calls    errors syscall\n";
    let with = format!(
        "{head} 54.92    0.016209    1350   12   futex\n100.00    0.029518          29      1009       246 total\n"
    );
    let without = format!("{head}100.00    0.000100           2        40           total\n");
    assert_eq!(calls_of(&with), Some(1009));
    assert_eq!(calls_of(&without), Some(40));
    assert_eq!(calls_of(head), None);
}
