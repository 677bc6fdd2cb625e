//! The table for the terminal.

use std::fmt::Write;

use crate::report::units::{count, memory, ratio, time};
use crate::report::{Cell, Machine, Report, Row, State};

/// What stands above everything.
pub(crate) fn head(machine: &Machine) -> String {
    format!(
        "{date}: {cpu}, {cpus} CPUs, Linux {kernel}, load {load}\n\
         {rustc}, commit {commit}; {versions}\n\
         {threads} worker threads each; medians of {samples} samples of about {slice}, each in a process \
         of its own, one of every cell in each pass, runtimes by turns\n\n",
        date = machine.date,
        cpu = machine.cpu,
        cpus = machine.cpus,
        kernel = machine.kernel,
        load = machine.load,
        rustc = machine.rustc,
        commit = machine.commit,
        versions = machine.versions(),
        threads = machine.threads,
        samples = machine.samples,
        slice = time(machine.slice_nanos as f64),
    )
}

/// One workload.
pub(crate) fn row(row: &Row) -> String {
    let verdict = match (row.verdict(), row.best_peer()) {
        (Some(ratio), Some((peer, _))) => format!("; spargio is at {ratio:.2} of {}", peer.name),
        _ => String::new(),
    };
    let mut text = format!(
        "{}/{}, per {}, ranked by {}{verdict}\n  {:<16} {:>8} {:>20} {:>8} {:>7} {:>7} {:>7} {:>6} \
         {:>6} {:>6} {:>8} {:>8} {:>8} {:>9}\n",
        row.group,
        row.name,
        row.unit,
        row.headline.name(),
        "",
        "wall",
        "middle half",
        "cpu",
        "sleeps",
        "preempt",
        "calls",
        "/peer",
        "/floor",
        "cpu/pe",
        "p50",
        "p99",
        "p99.9",
        "memory",
    );
    for cell in &row.cells {
        line(&mut text, row, cell).expect("a string takes everything");
    }
    text.push('\n');
    text
}

fn line(text: &mut String, row: &Row, cell: &Cell) -> std::fmt::Result {
    let name = cell.runtime.name;
    let Some(numbers) = cell.numbers() else {
        let word = match &cell.state {
            State::Wrong(what) => format!("WRONG: {what}"),
            State::Failed(what) => format!("FAILED: {what}"),
            _ => "-".to_owned(),
        };
        return writeln!(text, "  {name:<16} {word:>8}");
    };
    let headline = row.headline.of(numbers).median;
    let best = row.best_peer().map(|(_, nanos)| nanos);
    let latency = |of: fn(&super::Latency) -> u64| {
        numbers.latency.as_ref().map_or_else(|| "-".to_owned(), |some| time(of(some) as f64))
    };
    write!(
        text,
        "  {name:<16} {:>8} {:>20} {:>8} {:>7} {:>7} {:>7} {:>6} {:>6} {:>6} {:>8} {:>8} {:>8} {:>9}",
        time(numbers.wall.median),
        format!("{} .. {}", time(numbers.wall.low), time(numbers.wall.high)),
        time(numbers.cpu.median),
        count(numbers.sleeps.median),
        count(numbers.preemptions.median),
        numbers.syscalls.map_or_else(|| "-".to_owned(), count),
        ratio(headline, best),
        ratio(headline, row.floor()),
        ratio(numbers.cpu.median, row.leanest_peer()),
        latency(|some| some.p50),
        latency(|some| some.p99),
        latency(|some| some.p999),
        memory(numbers.resident.median),
    )?;
    for (name, value) in numbers.notes.iter().chain(&numbers.counters) {
        if *value == 0.0 {
            continue;
        }
        write!(text, " {name} {}", count(*value))?;
    }
    writeln!(text)
}

/// What stands below everything.
pub(crate) fn footnotes(report: &Report) -> String {
    let mut text = String::new();
    for id in &report.runtimes {
        writeln!(text, "{}: {}", id.name, id.setup).expect("a string takes everything");
    }
    text.push('\n');
    for reason in report.reasons() {
        text.push_str("- ");
        text.push_str(&reason);
        text.push('\n');
    }
    text
}
