//! Tests of the command line.

use std::time::Duration;

use super::Compare;
use crate::workloads;

fn parse(line: &str) -> Result<Compare, String> {
    Compare::parse(line.split_whitespace().map(str::to_owned))
}

#[test]
fn without_options_everything_is_wanted() {
    let wish = parse("").unwrap();
    assert!(wish.wants("ping_pong", "steady_ping_pong_rtt"));
    assert_eq!(wish.runtimes.len(), crate::runtimes::all().len());
    assert_eq!(wish.threads, 2);
}

#[test]
fn a_pattern_is_matched_against_group_and_name() {
    let wish = parse("--only ^spawn/.*inside").unwrap();
    assert!(wish.wants("spawn", "spawn_join_inside"));
    assert!(!wish.wants("spawn", "spawn_join_outside"));
}

#[test]
fn runtimes_are_named_with_commas() {
    let wish = parse("--runtimes tokio,smol").unwrap();
    let names: Vec<_> = wish.runtimes.iter().map(|id| id.name).collect();
    assert_eq!(names, ["tokio", "smol"]);
}

#[test]
fn what_cannot_be_is_refused_with_its_name() {
    assert!(parse("--runtimes tokoi").unwrap_err().contains("tokoi"));
    assert!(parse("--threads 1").unwrap_err().contains("--threads"));
    assert!(parse("--json").unwrap_err().contains("--json"));
    assert!(parse("--fast").unwrap_err().contains("--fast"));
}

/// A sample costs what it did in a whole run of 5 samples of 50 ms: 1.4 times its length and 30 ms.
#[test]
fn all_workloads_on_all_runtimes_take_the_time_that_the_help_names() {
    for (line, minutes, shortest) in [("--quick", 3.0..4.0, 40), ("", 8.0..10.0, 50)] {
        let wish = parse(line).unwrap();
        let cells: usize = workloads::all().iter().map(|entry| entry.cells(&wish.runtimes)).sum();
        let samples = cells * wish.budget.samples;
        let slice = wish.slice(samples, Duration::ZERO);
        let sample = slice.mul_f64(1.4) + Duration::from_millis(30);
        let whole = (sample * samples as u32).as_secs_f64() / 60.0;
        assert!(minutes.contains(&whole), "{line:?}: {cells} cells take {whole} minutes");
        assert!(slice >= Duration::from_millis(shortest), "{line:?} has samples of {slice:?}");
    }
}

#[test]
fn few_cells_do_not_make_endless_samples() {
    assert_eq!(parse("").unwrap().slice(1, Duration::ZERO), Duration::from_millis(200));
    assert_eq!(parse("--slice 5").unwrap().slice(1, Duration::ZERO), Duration::from_millis(5));
}

#[test]
fn a_run_that_is_late_takes_shorter_samples() {
    let wish = parse("--quick").unwrap();
    let on_time = wish.slice(1_200, Duration::from_secs(20));
    let late = wish.slice(1_200, Duration::from_secs(120));
    let over = wish.slice(1_200, Duration::from_secs(1_000));
    assert!(late < on_time, "{late:?} instead of less than {on_time:?}");
    assert_eq!(over, Duration::from_millis(10));
}
