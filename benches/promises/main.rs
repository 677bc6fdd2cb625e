//! What stealing promises, measured: a burst spreads, nothing waits behind a shard that is stuck, a
//! task that has run is taken like a new one, a load that comes and goes is spread and gathered in
//! time; and what each knob of stealing is worth.
//!
//! `cargo bench --bench promises -- [--write] [PART..]`: prints the tables of the book's chapter,
//! all or those named, and with `--write` puts them there. All of it takes about two minutes, and
//! wants a machine that does nothing else.

mod cpu;
mod fan_out;
mod knobs;
mod spread;
mod steps;
mod stuck;
mod watch;

#[path = "../steal/load.rs"]
mod load;
#[path = "../report/mod.rs"]
mod report;
#[path = "../steal/table.rs"]
mod table;

use std::process::ExitCode;
use std::time::Instant;

use crate::report::machine;
use crate::table::Table;

/// What is measured, under the name of its place in the chapter.
const PARTS: [(&str, Measure); 8] = [
    ("spread", spread::table),
    ("outside", stuck::from_outside),
    ("inside", stuck::from_inside),
    ("slot", stuck::in_the_slot),
    ("each-queue", stuck::each_queue),
    ("watch", watch::table),
    ("steps", steps::table),
    ("knobs", knobs::table),
];

type Measure = fn() -> Table;

fn main() -> ExitCode {
    let mut write = false;
    let mut wanted = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--write" => write = true,
            // Cargo says it to every benchmark.
            "--bench" => {}
            name if PARTS.iter().any(|(part, _)| *part == name) => wanted.push(name.to_owned()),
            other => {
                eprintln!("{other} is none of {:?}", PARTS.map(|(part, _)| part));
                return ExitCode::from(2);
            }
        }
    }
    for (name, measure) in PARTS {
        if !wanted.is_empty() && !wanted.iter().any(|part| part == name) {
            continue;
        }
        let began = Instant::now();
        let head = machine::describe();
        let mut text = format!("```text\n{head}\n```\n\n");
        text.push_str(&measure().markdown());
        println!("{text}");
        eprintln!("{name} took {:.1?}", began.elapsed());
        if write && let Err(error) = table::write(name, &text) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
