//! What each part and flag is worth: four workloads on every combination of steal queue, doorbell,
//! ring flags and spin, by turns in one process.
//!
//! `cargo bench --bench ablation -- [--quick] [--write]`: prints the tables of the book's chapter,
//! and with `--write` puts them there.

mod chapter;
mod choices;
mod measure;

#[path = "../report/mod.rs"]
mod report;
#[expect(dead_code, reason = "the statistics use more of it")]
#[path = "../workloads/mod.rs"]
mod workloads;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::chapter::Cell;
use crate::choices::{Choices, Job, Ring};
use crate::measure::{Plan, sample};
use crate::report::machine;

const USAGE: &str = "usage: cargo bench --bench ablation -- [--quick] [--write]";

/// For the book. All of it takes between two and three minutes.
const FULL: Plan = Plan { samples: 7, length: Duration::from_millis(50) };
/// For a look.
const QUICK: Plan = Plan { samples: 3, length: Duration::from_millis(10) };

fn main() -> ExitCode {
    let (mut plan, mut write) = (FULL, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => plan = QUICK,
            "--write" => write = true,
            // Cargo says it to every benchmark.
            "--bench" => {}
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let began = Instant::now();
    let (rings, refused): (Vec<Ring>, Vec<Ring>) =
        Ring::ALL.into_iter().partition(|ring| ring.is_what_the_kernel_gives());
    let rows: Vec<Choices> = Choices::all(&rings);
    let table: Vec<Vec<Cell>> = Job::ALL.map(|job| measure(job, &rows, plan)).into();
    let mut head = machine::describe();
    head.push_str(&format!(
        "\nmedians of {} samples of about {:?}, combinations by turns",
        plan.samples, plan.length
    ));
    for ring in refused {
        head.push_str(&format!("\nnot on this kernel: {}", ring.name()));
    }
    let text = chapter::tables(&head, &rows, &table);
    println!("{text}");
    eprintln!("took {:.0?}", began.elapsed());
    if write && let Err(error) = chapter::write(&text) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A cell for each combination.
fn measure(job: Job, rows: &[Choices], plan: Plan) -> Vec<Cell> {
    let mut samples = vec![Vec::with_capacity(plan.samples); rows.len()];
    for round in 0..plan.samples {
        eprintln!("{}: round {} of {}", job.name(), round + 1, plan.samples);
        for place in 0..rows.len() {
            // Each round begins with another one, so that nobody always follows the same.
            let turn = (round * 5 + place) % rows.len();
            samples[turn].push(sample(|| rows[turn].open(job), plan));
        }
    }
    samples.iter().map(|samples| Cell::new(samples)).collect()
}
