//! Tests of what is made of the samples.

use std::time::Duration;

use super::{Cell, Machine, Report, Row, State, html, json, markdown, text, tsv};
use crate::cell::Measured;
use crate::options::Compare;
use crate::runtimes::find;
use crate::workloads::{Headline, Spec};

fn sample(ops: u64, wall_nanos: u64, cpu_nanos: u64) -> Measured {
    Measured {
        ops,
        wall_nanos,
        cpu_nanos,
        sleeps: ops / 2,
        preemptions: 0,
        resident: 5 << 20,
        latencies: vec![(100, ops)],
        counters: vec![("io_uring_enter".to_owned(), ops * 2)],
        notes: vec![("chunks/ms".to_owned(), 7.0)],
    }
}

fn cell(runtime: &str, wall_nanos: u64, cpu_nanos: u64) -> Cell {
    let samples: Vec<Measured> =
        [9, 10, 11].iter().map(|tenths| sample(100, wall_nanos * tenths, cpu_nanos * 10)).collect();
    Cell { runtime: find(runtime).unwrap(), state: State::measured(&samples, Some(1.5)) }
}

fn without(runtime: &str, state: State) -> Cell {
    Cell { runtime: find(runtime).unwrap(), state }
}

fn row(headline: Headline, cells: Vec<Cell>) -> Row {
    let spec = Spec { headline, ..Spec::new("group", "workload", "thing", "What <it> does.") };
    Row::new(&spec, cells)
}

fn report(rows: Vec<Row>) -> Report {
    let wish =
        Compare::parse(["--runtimes", "spargio,tokio,smol,bare"].map(str::to_owned).into_iter());
    let wish = wish.unwrap();
    let machine = Machine::look(&wish, Duration::from_millis(50));
    Report { machine, runtimes: wish.runtimes, rows }
}

#[test]
fn numbers_are_per_operation_and_the_median_of_samples() {
    let cell = cell("spargio", 200, 50);
    let numbers = cell.numbers().unwrap();
    assert_eq!(numbers.wall.median, 20.0);
    assert_eq!((numbers.wall.low, numbers.wall.high), (19.0, 21.0));
    assert_eq!(numbers.cpu.median, 5.0);
    assert_eq!(numbers.counters[0].1, 2.0);
    assert_eq!(numbers.notes[0].1, 7.0);
    assert_eq!(numbers.latency.unwrap().count, 300);
}

#[test]
fn the_best_peer_is_neither_a_variant_nor_the_floor() {
    let row = row(
        Headline::Wall,
        vec![
            cell("spargio", 200, 90),
            cell("spargio-pinned", 10, 10),
            cell("tokio", 400, 20),
            cell("smol", 100, 80),
            cell("bare", 50, 5),
        ],
    );
    let (peer, nanos) = row.best_peer().unwrap();
    assert_eq!((peer.name, nanos), ("smol", 10.0));
    assert_eq!(row.verdict(), Some(2.0));
    assert_eq!(row.floor(), Some(5.0));
    assert_eq!(row.leanest_peer(), Some(2.0));
}

#[test]
fn another_headline_ranks_otherwise() {
    let row = row(Headline::Cpu, vec![cell("spargio", 200, 90), cell("tokio", 400, 20)]);
    assert_eq!(row.verdict(), Some(4.5));
}

#[test]
fn what_has_no_numbers_has_a_reason_said_once() {
    let lacking = || State::Lacking("cannot do it".to_owned());
    let rows = vec![
        row(Headline::Wall, vec![cell("spargio", 1, 1), without("tokio", lacking())]),
        row(Headline::Wall, vec![cell("spargio", 1, 1), without("tokio", lacking())]),
    ];
    let report = report(rows);
    assert_eq!(report.reasons(), ["tokio cannot do it (workload, workload)"]);
    assert!(!report.has_failures());
}

#[test]
fn a_wrong_result_is_a_failure_with_the_name_of_the_runtime() {
    let wrong = without("smol", State::Wrong("3 instead of 4".to_owned()));
    let report = report(vec![row(Headline::Wall, vec![cell("spargio", 1, 1), wrong])]);
    assert!(report.has_failures());
    assert!(report.reasons()[0].contains("smol gave a WRONG result: 3 instead of 4"));
    assert!(text::row(&report.rows[0]).contains("WRONG: 3 instead of 4"));
}

#[test]
fn every_form_of_the_report_has_every_runtime_and_workload() {
    let refused = without("smol", State::Refused("no <ring>".to_owned()));
    let report = report(vec![row(
        Headline::P99,
        vec![cell("spargio", 300, 10), cell("tokio", 400, 20), refused, cell("bare", 10, 1)],
    )]);
    let text = text::row(&report.rows[0]) + &text::footnotes(&report);
    for form in [text, json(&report), html::page(&report), markdown::table(&report)] {
        for word in ["workload", "spargio", "tokio", "smol", "bare"] {
            assert!(form.contains(word), "{word} is not in {form}");
        }
    }
    assert!(html::page(&report).contains("no &lt;ring&gt;"));
    assert!(serde_json::from_str::<serde_json::Value>(&json(&report)).is_ok());
}

#[test]
fn lines_for_programs_have_the_medians_of_those_that_were_measured() {
    let cells = vec![
        cell("spargio", 200, 90),
        without("tokio", State::Lacking("cannot".to_owned())),
        cell("smol", 100, 80),
    ];
    let report = report(vec![row(Headline::P50, cells)]);
    assert_eq!(
        tsv::lines(&report),
        "workload\tspargio\t100.0\t20.0\t9.0\nworkload\tsmol\t100.0\t10.0\t8.0\n"
    );
}
