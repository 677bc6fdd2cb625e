//! Stealing: the queues by themselves and in a runtime, what its knobs are worth, and a load that
//! comes and goes.
//!
//! `cargo bench --bench steal -- [--write] [raw] [shards] [promises] [knobs] [steps]`: prints the
//! tables of the book's chapter, all or those named, and with `--write` puts them there. All of it
//! takes about two minutes.

mod knobs;
mod load;
mod promises;
mod raw;
mod shards;
mod steps;
mod table;

#[expect(dead_code, reason = "the comparison uses more of it")]
#[path = "../report/mod.rs"]
mod report;
#[expect(dead_code, reason = "the comparison uses more of it")]
#[path = "../workloads/mod.rs"]
mod workloads;

use std::process::ExitCode;
use std::time::Instant;

use crate::report::machine;
use crate::table::Table;

/// What is measured, under the name of its place in the chapter.
const PARTS: [(&str, fn() -> Vec<Table>); 5] = [
    ("raw", raw::tables),
    ("shards", shards::tables),
    ("promises", promises::tables),
    ("knobs", knobs::tables),
    ("steps", steps::tables),
];

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
        measure().iter().for_each(|table| text.push_str(&table.markdown()));
        println!("{text}");
        eprintln!("{name} took {:.1?}", began.elapsed());
        if write && let Err(error) = table::write(name, &text) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
