//! What was measured, as numbers to print.

use serde::Serialize;

use crate::cell::Measured;
use crate::measure::{Latencies, Spread};
use crate::runtimes::{Role, RuntimeId};
use crate::workloads::{Headline, Spec};

mod chart;
pub(crate) mod html;
mod machine;
pub(crate) mod markdown;
pub(crate) mod text;
pub(crate) mod tsv;
mod units;

pub(crate) use machine::Machine;

/// The whole comparison.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) runtimes: Vec<&'static RuntimeId>,
    pub(crate) rows: Vec<Row>,
}

/// A workload.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) about: &'static str,
    pub(crate) headline: Headline,
    pub(crate) cells: Vec<Cell>,
}

/// A runtime in a workload.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    #[serde(serialize_with = "name_only")]
    pub(crate) runtime: &'static RuntimeId,
    pub(crate) state: State,
}

/// What became of it.
#[derive(Debug, Serialize)]
pub(crate) enum State {
    Measured(Box<Numbers>),
    /// The runtime has no way to express the workload.
    Lacking(String),
    /// The runtime does not run on this machine.
    Refused(String),
    /// The result was not what it must be.
    Wrong(String),
    /// The process died or hung.
    Failed(String),
}

/// Numbers per operation, over all samples.
#[derive(Debug, Serialize)]
pub(crate) struct Numbers {
    pub(crate) samples: usize,
    /// Operations of all samples together.
    pub(crate) ops: u64,
    /// Nanoseconds.
    pub(crate) wall: Spread,
    /// Nanoseconds.
    pub(crate) cpu: Spread,
    pub(crate) sleeps: Spread,
    pub(crate) preemptions: Spread,
    /// Bytes of the whole process.
    pub(crate) resident: Spread,
    pub(crate) latency: Option<Latency>,
    /// System calls, counted by strace in runs of their own.
    pub(crate) syscalls: Option<f64>,
    /// What the runtime counted, by name.
    pub(crate) counters: Vec<(String, f64)>,
    /// What the workload adds, by name; medians, not per operation.
    pub(crate) notes: Vec<(String, f64)>,
}

/// Times of single operations of all samples together, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
    /// The middle halves of the samples' own values.
    pub(crate) p50_spread: Spread,
    pub(crate) p99_spread: Spread,
}

fn name_only<S: serde::Serializer>(id: &RuntimeId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.name)
}

impl Report {
    /// Whether a result was wrong, or a process died.
    pub(crate) fn has_failures(&self) -> bool {
        let mut cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.any(|cell| matches!(cell.state, State::Wrong(_) | State::Failed(_)))
    }

    /// Why cells have no numbers: the reason, and where it applies.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
        for row in &self.rows {
            for cell in &row.cells {
                let reason = match &cell.state {
                    State::Measured(_) => continue,
                    State::Lacking(reason) if cell.runtime.role == Role::Floor => {
                        format!("no floor: {reason}")
                    }
                    State::Lacking(reason) => format!("{} {reason}", cell.runtime.name),
                    State::Refused(reason) => {
                        format!("{} does not run here: {reason}", cell.runtime.name)
                    }
                    State::Wrong(what) => {
                        format!("{} gave a WRONG result: {what}", cell.runtime.name)
                    }
                    State::Failed(what) => format!("{} FAILED: {what}", cell.runtime.name),
                };
                match reasons.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, rows)) => rows.push(row.name),
                    None => reasons.push((reason, vec![row.name])),
                }
            }
        }
        let line = |(reason, rows): (String, Vec<&str>)| format!("{reason} ({})", rows.join(", "));
        reasons.into_iter().map(line).collect()
    }
}

impl Row {
    pub(crate) fn new(spec: &Spec, cells: Vec<Cell>) -> Self {
        Self {
            group: spec.group,
            name: spec.name,
            unit: spec.unit,
            about: spec.about,
            headline: spec.headline,
            cells,
        }
    }

    fn measured(&self) -> impl Iterator<Item = (&'static RuntimeId, &Numbers)> {
        self.cells.iter().filter_map(|cell| Some((cell.runtime, cell.numbers()?)))
    }

    /// The peer with the best headline.
    pub(crate) fn best_peer(&self) -> Option<(&'static RuntimeId, f64)> {
        let peers = self.measured().filter(|(id, _)| id.role == Role::Peer);
        peers
            .map(|(id, numbers)| (id, self.headline.of(numbers).median))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The least CPU time of a peer.
    pub(crate) fn leanest_peer(&self) -> Option<f64> {
        let peers = self.measured().filter(|(id, _)| id.role == Role::Peer);
        peers.map(|(_, numbers)| numbers.cpu.median).min_by(f64::total_cmp)
    }

    /// The headline of the floor.
    pub(crate) fn floor(&self) -> Option<f64> {
        let (_, numbers) = self.measured().find(|(id, _)| id.role == Role::Floor)?;
        Some(self.headline.of(numbers).median)
    }

    /// The subject's headline against the best peer's, if there are both.
    pub(crate) fn verdict(&self) -> Option<f64> {
        let (_, numbers) = self.measured().find(|(id, _)| id.role == Role::Subject)?;
        Some(self.headline.of(numbers).median / self.best_peer()?.1)
    }
}

impl Cell {
    pub(crate) fn numbers(&self) -> Option<&Numbers> {
        match &self.state {
            State::Measured(numbers) => Some(numbers),
            _ => None,
        }
    }
}

impl Headline {
    /// The number itself, in nanoseconds.
    pub(crate) fn of(self, numbers: &Numbers) -> Spread {
        match self {
            Self::Wall => numbers.wall,
            Self::Cpu => numbers.cpu,
            Self::P50 => numbers.latency.map_or(numbers.wall, |latency| latency.p50_spread),
            Self::P99 => numbers.latency.map_or(numbers.wall, |latency| latency.p99_spread),
        }
    }

    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall time",
            Self::Cpu => "CPU time",
            Self::P50 => "median latency",
            Self::P99 => "p99 latency",
        }
    }
}

impl State {
    /// Of at least one sample.
    pub(crate) fn measured(samples: &[Measured], syscalls: Option<f64>) -> Self {
        if samples.is_empty() {
            return Self::Failed("no sample".to_owned());
        }
        let per_op = |of: fn(&Measured) -> u64| {
            Spread::of(samples.iter().map(|sample| of(sample) as f64 / sample.ops.max(1) as f64))
        };
        let counters = samples[0].counters.iter().enumerate().map(|(place, (name, _))| {
            let counts = samples.iter().filter_map(|sample| {
                Some(sample.counters.get(place)?.1 as f64 / sample.ops.max(1) as f64)
            });
            (name.clone(), Spread::of(counts).median)
        });
        let notes = samples[0].notes.iter().enumerate().map(|(place, (name, _))| {
            let values = samples.iter().filter_map(|sample| Some(sample.notes.get(place)?.1));
            (name.clone(), Spread::of(values).median)
        });
        Self::Measured(Box::new(Numbers {
            samples: samples.len(),
            ops: samples.iter().map(|sample| sample.ops).sum(),
            wall: per_op(|sample| sample.wall_nanos),
            cpu: per_op(|sample| sample.cpu_nanos),
            sleeps: per_op(|sample| sample.sleeps),
            preemptions: per_op(|sample| sample.preemptions),
            resident: Spread::of(samples.iter().map(|sample| sample.resident as f64)),
            latency: Latency::of(samples),
            syscalls,
            counters: counters.collect(),
            notes: notes.collect(),
        }))
    }
}

impl Latency {
    fn of(samples: &[Measured]) -> Option<Self> {
        let each: Vec<Latencies> = samples
            .iter()
            .map(|sample| Latencies::from_pairs(&sample.latencies))
            .filter(|latencies| !latencies.is_empty())
            .collect();
        let mut whole = each.first()?.clone();
        each[1..].iter().for_each(|latencies| whole.merge(latencies));
        let spread =
            |share: f64| Spread::of(each.iter().map(|latencies| latencies.quantile(share) as f64));
        Some(Self {
            count: whole.len(),
            p50: whole.quantile(0.5),
            p99: whole.quantile(0.99),
            p999: whole.quantile(0.999),
            max: whole.quantile(1.0),
            p50_spread: spread(0.5),
            p99_spread: spread(0.99),
        })
    }
}

/// Everything, for programs.
pub(crate) fn json(report: &Report) -> String {
    #[derive(Serialize)]
    struct Everything<'a> {
        machine: &'a Machine,
        rows: &'a [Row],
    }
    let everything = Everything { machine: &report.machine, rows: &report.rows };
    serde_json::to_string_pretty(&everything).expect("all keys are strings")
}

#[cfg(test)]
mod tests;
