//! The same jobs on spargio, on tokio and by hand, measured by turns and printed as one table.
//!
//! `cargo bench --bench compare -- [--quick] [--list] [--only CONTENDER] [--tsv FILE] [FILTER]..`:
//! all workloads, or those whose name or group contains one of the filters; with `--only`, one
//! contender, for a profiler; with `--tsv`, the medians also as lines for another program. One
//! contender lives at a time; each sample opens it anew, warms it up, and measures wall and CPU
//! time around one call.

mod report;
mod workloads;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use crate::report::machine;
use crate::report::measure::{Plan, sample};
use crate::report::table::{Outcome, print_head};
use crate::workloads::Workload;

const USAGE: &str = "usage: cargo bench --bench compare -- [--quick] [--list] [--only CONTENDER] \
    [--tsv FILE] [FILTER]..";

/// What the command line asks for.
#[derive(Debug)]
struct Wish {
    plan: Plan,
    list: bool,
    only: Option<String>,
    tsv: Option<PathBuf>,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let wish = match Wish::parse(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut workloads = workloads::all();
    workloads.retain_mut(|workload| wish.wants(workload) && wish.narrows(workload));
    if workloads.is_empty() {
        eprintln!("nothing is called {:?} in workloads called {:?}", wish.only, wish.filters);
        return ExitCode::from(2);
    }
    if wish.list {
        workloads.iter().for_each(|workload| println!("{}: {}", workload.group, workload.name));
        return ExitCode::SUCCESS;
    }
    println!("{}", machine::describe());
    println!(
        "medians of {} samples of about {:?}, contenders by turns\n",
        wish.plan.samples, wish.plan.length
    );
    print_head();
    let mut lines = String::new();
    for workload in &workloads {
        let outcome = run(workload, wish.plan);
        outcome.print();
        lines.push_str(&outcome.tsv());
    }
    if let Some(path) = &wish.tsv
        && let Err(error) = fs::write(path, lines)
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Round after round, one sample of each contender in turn.
fn run(workload: &Workload, plan: Plan) -> Outcome {
    let plan = Plan { length: plan.length * workload.stretch, ..plan };
    let mut samples = vec![Vec::with_capacity(plan.samples); workload.contenders.len()];
    for round in 0..plan.samples {
        for place in 0..samples.len() {
            // Each round begins with another one, so that nobody always follows the same.
            let turn = (round + place) % samples.len();
            samples[turn].push(sample(workload.contenders[turn].open, plan));
            thread::sleep(workload.settle);
        }
    }
    Outcome::new(workload, &samples)
}

impl Wish {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (only, tsv, filters) = (None, None, Vec::new());
        let mut wish = Self { plan: Plan::FULL, list: false, only, tsv, filters };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => wish.plan = Plan::QUICK,
                "--list" => wish.list = true,
                "--only" => {
                    let name = arguments.next().ok_or("--only needs the name of a contender")?;
                    wish.only = Some(name);
                }
                "--tsv" => {
                    let path = arguments.next().ok_or("--tsv needs the path of a file")?;
                    wish.tsv = Some(PathBuf::from(path));
                }
                // Cargo says it to every benchmark.
                "--bench" => {}
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option}"));
                }
                filter => wish.filters.push(filter.to_owned()),
            }
        }
        Ok(wish)
    }

    fn wants(&self, workload: &Workload) -> bool {
        self.filters.is_empty()
            || self.filters.iter().any(|filter| {
                workload.name.contains(filter.as_str()) || workload.group.contains(filter.as_str())
            })
    }

    /// Leaves one contender, if one is wished for. Whether any is left.
    fn narrows(&self, workload: &mut Workload) -> bool {
        if let Some(only) = &self.only {
            workload.contenders.retain(|contender| contender.name == only);
        }
        !workload.contenders.is_empty()
    }
}
