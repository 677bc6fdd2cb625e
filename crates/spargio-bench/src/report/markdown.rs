//! The table for the README.

use crate::report::units::{ratio, time};
use crate::report::{Report, Row};
use crate::runtimes::Role;

/// One line per workload, one column per runtime: the headline, and how spargio compares.
pub(crate) fn table(report: &Report) -> String {
    let machine = &report.machine;
    let shown: Vec<usize> = (0..report.runtimes.len())
        .filter(|&place| {
            matches!(report.runtimes[place].role, Role::Subject | Role::Peer | Role::Floor)
        })
        .collect();
    let names: Vec<&str> = shown.iter().map(|&place| report.runtimes[place].name).collect();
    let mut text = format!(
        "Measured {}: {}, {} CPUs, Linux {}, {}; {}. {} worker threads each, medians of {} \
         samples of about {}, the middle half in brackets. Commit {}.\n\n| workload, per | {} | to the \
         best peer | CPU to the leanest |\n|---|{}\n",
        machine.date,
        machine.cpu,
        machine.cpus,
        machine.kernel,
        machine.rustc,
        machine.versions(),
        machine.threads,
        machine.samples,
        time(machine.slice_nanos as f64),
        machine.commit,
        names.join(" | "),
        "---|".repeat(names.len() + 2),
    );
    for row in &report.rows {
        text.push_str(&line(row, &shown));
    }
    text.push('\n');
    for id in &report.runtimes {
        text.push_str(&format!("- {}: {}\n", id.name, id.setup));
    }
    for reason in report.reasons() {
        text.push_str(&format!("- {reason}\n"));
    }
    text
}

fn line(row: &Row, shown: &[usize]) -> String {
    let best = row.best_peer();
    let mut text = format!("| `{}`, {}", row.name, row.unit);
    if row.headline.name() != "wall time" {
        text.push_str(&format!(" ({})", row.headline.name()));
    }
    for &place in shown {
        let cell = &row.cells[place];
        let Some(numbers) = cell.numbers() else {
            text.push_str(" | -");
            continue;
        };
        let headline = row.headline.of(numbers);
        let mut shown = time(headline.median);
        if cell.runtime.role == Role::Subject {
            shown = format!("{shown} [{} .. {}]", time(headline.low), time(headline.high));
        }
        let is_best = best.is_some_and(|(peer, _)| peer.name == cell.runtime.name);
        text.push_str(&if is_best { format!(" | **{shown}**") } else { format!(" | {shown}") });
    }
    let subject = row.cells.iter().find(|cell| cell.runtime.role == Role::Subject);
    let cpu = subject
        .and_then(|cell| cell.numbers())
        .map_or_else(|| "-".to_owned(), |numbers| ratio(numbers.cpu.median, row.leanest_peer()));
    let verdict = row.verdict().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    text.push_str(&format!(" | {verdict} | {cpu} |\n"));
    text
}
