//! What the command line is taken for, and what is read out of a log.

use super::{SECONDS, Wish, summary};

#[test]
fn without_arguments_all_targets_run_for_a_minute() {
    let wish = Wish::parse(&[]).unwrap();
    assert_eq!(wish, Wish { seconds: SECONDS, only: None, address: false });
    assert!(wish.wants("demux"));
}

#[test]
fn a_name_chooses_the_targets_that_contain_it() {
    let wish = Wish::parse(&["--only", "wheel", "--seconds", "5", "--address"]).unwrap();
    assert_eq!((wish.seconds, wish.address), (5, true));
    assert!(wish.wants("timer_wheel"));
    assert!(!wish.wants("demux"));
}

#[test]
fn what_is_no_time_and_no_argument_is_refused() {
    for arguments in [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "x"], &["--what"]] {
        Wish::parse(arguments).unwrap_err();
    }
}

#[test]
fn the_last_line_on_coverage_is_the_summary() {
    let log = "INFO: x\n#2\tINITED cov: 3 ft: 4\n#9\tDONE   cov: 5 ft: 6 corp: 1/1b\nDone 9 runs\n";
    assert_eq!(summary(log), "  #9 DONE cov: 5 ft: 6 corp: 1/1b");
    assert_eq!(summary(""), "  nothing was run");
}
