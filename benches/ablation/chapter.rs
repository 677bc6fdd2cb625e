//! The tables as Markdown, and their place in the book.

use std::fmt::Write as _;
use std::fs;
use std::io;

use crate::choices::{Bell, Choices, Job, Queue, Ring};
use crate::measure::Sample;
use crate::report::spread::Spread;
use crate::report::units::time;

const CHAPTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/book/src/ablation.md");
const BEGIN: &str = "<!-- ablation -->\n";
const END: &str = "<!-- /ablation -->\n";

/// What one combination came to on one workload, per job.
#[derive(Debug)]
pub(crate) struct Cell {
    wall: Spread,
    cpu: f64,
}

impl Cell {
    pub(crate) fn new(samples: &[Sample]) -> Self {
        Self {
            wall: Spread::of(samples.iter().map(|sample| sample.wall)),
            cpu: Spread::of(samples.iter().map(|sample| sample.cpu)).median,
        }
    }

    /// Wall and CPU time as multiples of another's; equal wall times are marked.
    fn beside(&self, other: &Self) -> String {
        let overlap = self.wall.low <= other.wall.high && other.wall.low <= self.wall.high;
        let mark = if overlap { "~ " } else { "" };
        let wall = self.wall.median / other.wall.median;
        format!("{mark}{wall:.2} ({:.2})", self.cpu / other.cpu)
    }

    fn absolute(&self) -> String {
        let Spread { low, median, high } = self.wall;
        let half = (high - low) / 2.0 / median * 100.0;
        format!("{} ±{half:.0} % ({})", time(median), time(self.cpu))
    }
}

/// A change of one choice, from that of the default.
type Change = (&'static str, fn(&mut Choices));

const CHANGES: [Change; 5] = [
    ("`MutexQueue` for `ChaseLev`", |choices| choices.queue = Queue::Mutex),
    ("`EventFd` for `MsgRing`", |choices| choices.bell = Bell::EventFd),
    ("`COOP_TASKRUN` for `DEFER_TASKRUN`", |choices| choices.ring = Ring::Cooperative),
    ("`SQPOLL` for `DEFER_TASKRUN`", |choices| choices.ring = Ring::Polled),
    ("no spin", |choices| choices.spins = false),
];

/// All tables; `table` has a column of cells, in the order of the rows, for each job.
pub(crate) fn tables(head: &str, rows: &[Choices], table: &[Vec<Cell>]) -> String {
    let mut text = format!("```text\n{head}\n```\n\n");
    one_change(&mut text, rows, table);
    on_average(&mut text, rows, table);
    everything(&mut text, rows, table);
    text
}

fn one_change(text: &mut String, rows: &[Choices], table: &[Vec<Cell>]) {
    text.push_str("### One choice changed from the default\n\n");
    heading(text, &["changed"]);
    let at = |choices: Choices| rows.iter().position(|&row| row == choices);
    let Some(default) = at(Choices::DEFAULT) else { return };
    line(text, &["nothing"], table.iter().map(|column| column[default].absolute()));
    for (name, change) in CHANGES {
        let mut choices = Choices::DEFAULT;
        change(&mut choices);
        let Some(row) = at(choices) else { continue };
        line(text, &[name], table.iter().map(|column| column[row].beside(&column[default])));
    }
    text.push('\n');
}

/// The geometric mean over all that the other choices can be.
fn on_average(text: &mut String, rows: &[Choices], table: &[Vec<Cell>]) {
    text.push_str("### The same change, averaged over all other choices\n\n");
    heading(text, &["changed"]);
    for (name, change) in CHANGES {
        let mut of_default = Choices::DEFAULT;
        change(&mut of_default);
        let pairs: Vec<(usize, usize)> = rows
            .iter()
            .enumerate()
            .filter_map(|(before, &row)| {
                let mut changed = row;
                change(&mut changed);
                let from_default = changed != row && differs_as(row, changed, of_default);
                let after = rows.iter().position(|&other| other == changed);
                after.filter(|_| from_default).map(|after| (before, after))
            })
            .collect();
        if pairs.is_empty() {
            continue;
        }
        let cells = table.iter().map(|column| {
            let mean = |of: fn(&Cell) -> f64| {
                let ratios =
                    pairs.iter().map(|&(before, after)| of(&column[after]) / of(&column[before]));
                (ratios.map(f64::ln).sum::<f64>() / pairs.len() as f64).exp()
            };
            format!("{:.2} ({:.2})", mean(|cell| cell.wall.median), mean(|cell| cell.cpu))
        });
        line(text, &[name], cells);
    }
    text.push('\n');
}

/// Whether what changes between the two is what changes between the default and `of_default`.
fn differs_as(before: Choices, after: Choices, of_default: Choices) -> bool {
    let names = [before.names(), after.names(), Choices::DEFAULT.names(), of_default.names()];
    (0..4).all(|choice| {
        let [before, after, default, changed] = names.map(|names| names[choice]);
        before == after || (before == default && after == changed)
    })
}

fn everything(text: &mut String, rows: &[Choices], table: &[Vec<Cell>]) {
    text.push_str("### Every combination\n\n");
    heading(text, &["queue", "doorbell", "ring", "spin"]);
    for (row, choices) in rows.iter().enumerate() {
        line(text, &choices.names(), table.iter().map(|column| column[row].absolute()));
    }
}

fn heading(text: &mut String, names: &[&str]) {
    line(text, names, Job::ALL.map(|job| job.name().to_owned()));
    text.push_str(&"|---".repeat(names.len() + Job::ALL.len()));
    text.push_str("|\n");
}

fn line(text: &mut String, names: &[&str], cells: impl IntoIterator<Item = String>) {
    for name in names {
        write!(text, "| {name} ").expect("a string takes everything");
    }
    for cell in cells {
        write!(text, "| {cell} ").expect("a string takes everything");
    }
    text.push_str("|\n");
}

/// Puts the tables between the markers of the chapter.
///
/// # Errors
///
/// The chapter cannot be read or written, or has no markers.
pub(crate) fn write(tables: &str) -> io::Result<()> {
    let chapter = fs::read_to_string(CHAPTER)?;
    let parts = chapter.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        return Err(io::Error::other(format!("{CHAPTER} has no {BEGIN}and {END}")));
    };
    fs::write(CHAPTER, format!("{before}{BEGIN}{tables}{END}{after}"))
}
