//! The table: a line per contender, with ratios to tokio and to the floor, and the verdict.

use crate::report::measure::{Sample, Spread};
use crate::workloads::{Contender, Goal, Role, Workload};

/// The samples of one contender.
#[derive(Debug)]
struct Measured {
    contender: Contender,
    wall: Spread,
    cpu: Spread,
    sleeps: Spread,
}

/// What one workload came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    workload: Workload,
    lines: Vec<Measured>,
}

/// What was wanted, what it is, and whether that is enough. Numbers are times or ratios.
#[derive(Debug)]
struct Verdict {
    wanted: String,
    reached: bool,
}

impl Outcome {
    /// Of samples in the order of the workload's contenders.
    pub(crate) fn new(workload: &Workload, samples: &[Vec<Sample>]) -> Self {
        let lines = workload.contenders.iter().zip(samples).map(|(&contender, samples)| {
            let spread = |of: fn(&Sample) -> f64| Spread::of(samples.iter().map(of));
            Measured {
                contender,
                wall: spread(|sample| sample.wall),
                cpu: spread(|sample| sample.cpu),
                sleeps: spread(|sample| sample.sleeps),
            }
        });
        Self { lines: lines.collect(), workload: workload.clone() }
    }

    fn of(&self, role: Role) -> Option<&Measured> {
        let those = self.lines.iter().filter(|line| line.contender.role == role);
        those.min_by(|a, b| a.wall.median.total_cmp(&b.wall.median))
    }

    fn wall(&self, role: Role) -> Option<f64> {
        self.of(role).map(|line| line.wall.median)
    }

    fn cpu(&self, role: Role) -> Option<f64> {
        self.of(role).map(|line| line.cpu.median)
    }

    fn verdict(&self) -> Option<Verdict> {
        let spargio = self.of(Role::Spargio)?;
        let wall = spargio.wall.median;
        Some(match self.workload.goal {
            Goal::HalfWay => {
                let (tokio, floor) = (self.wall(Role::Tokio)?, self.wall(Role::Bare)?);
                // Where tokio is faster than the loop by hand, tokio is the one to reach.
                let limit = f64::midpoint(tokio, floor.min(tokio));
                Verdict { wanted: format!("<= {}", time(limit)), reached: wall <= limit }
            }
            Goal::AsTokio => {
                let limit = self.wall(Role::Tokio)?;
                Verdict { wanted: format!("<= {}", time(limit)), reached: wall <= limit }
            }
            Goal::OfFloor(factor) => {
                let limit = self.wall(Role::Bare)? * factor;
                Verdict {
                    wanted: format!("<= {} = {factor} x bare", time(limit)),
                    reached: wall <= limit,
                }
            }
            Goal::CpuOf(name, factor) => {
                let other = self.lines.iter().find(|line| line.contender.name == name)?;
                let limit = other.cpu.median * factor;
                Verdict {
                    wanted: format!("cpu <= {} = {factor} x {name}", time(limit)),
                    reached: spargio.cpu.median <= limit,
                }
            }
        })
    }

    /// A line per contender: workload, contender, and the medians of wall and CPU time per job in
    /// nanoseconds, with tabs between them.
    pub(crate) fn tsv(&self) -> String {
        let lines = self.lines.iter().map(|line| {
            let (name, contender) = (self.workload.name, line.contender.name);
            format!("{name}\t{contender}\t{:.1}\t{:.1}\n", line.wall.median, line.cpu.median)
        });
        lines.collect()
    }

    /// Prints the lines of this workload.
    pub(crate) fn print(&self) {
        let verdict = self.verdict().map_or_else(String::new, |verdict| {
            let word = if verdict.reached { "reached" } else { "MISSED" };
            format!("goal {}: {word}", verdict.wanted)
        });
        println!("{}, per {}; {verdict}", self.workload.name, self.workload.unit);
        for line in &self.lines {
            println!(
                "  {:<22} {:>8} {:>19} {:>8} {:>7}   {:>7} {:>7}   {:>7} {:>7}",
                line.contender.name,
                time(line.wall.median),
                format!("{} .. {}", time(line.wall.low), time(line.wall.high)),
                time(line.cpu.median),
                count(line.sleeps.median),
                ratio(line.wall.median, self.wall(Role::Tokio)),
                ratio(line.wall.median, self.wall(Role::Bare)),
                ratio(line.cpu.median, self.cpu(Role::Tokio)),
                ratio(line.cpu.median, self.cpu(Role::Bare)),
            );
        }
    }
}

/// Prints the names of the columns.
pub(crate) fn print_head() {
    println!(
        "  {:<22} {:>8} {:>19} {:>8} {:>7}   {:>7} {:>7}   {:>7} {:>7}",
        "", "wall", "middle half", "cpu", "sleeps", "/tokio", "/bare", "cpu/tok", "cpu/bar"
    );
}

fn ratio(value: f64, of: Option<f64>) -> String {
    of.map_or_else(|| "-".to_owned(), |of| format!("{:.2}", value / of))
}

/// Three digits and a unit.
pub(crate) fn time(nanos: f64) -> String {
    let (value, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        ..1e6 => (nanos / 1e3, "us"),
        _ => (nanos / 1e6, "ms"),
    };
    let digits =
        if value >= 100.0 { 0 } else { usize::from(value < 100.0) + usize::from(value < 10.0) };
    format!("{value:.digits$} {unit}")
}

/// A number of times per job.
fn count(number: f64) -> String {
    if number < 0.005 { "0".to_owned() } else { format!("{number:.2}") }
}
