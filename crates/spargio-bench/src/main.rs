//! spargio and its peers on the same workloads, by turns, as one table.
//!
//! `cargo run --release -p spargio-bench -- compare`; see `USAGE` in `options.rs`.

mod cell;
mod compare;
mod measure;
mod options;
mod report;
mod runtimes;
mod tied;
mod workloads;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{self, ExitCode};
use std::time::Duration;

use crate::cell::{Answer, Order};
use crate::options::{Compare, USAGE};
use crate::report::{Report, html, markdown};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some("compare") => Compare::parse(arguments).and_then(|wish| compare(&wish)),
        Some("list") => {
            list();
            Ok(ExitCode::SUCCESS)
        }
        // What `compare` starts for each measurement.
        Some("cell") => cell(&arguments.collect::<Vec<_>>()),
        Some("probe") => probe(&arguments.collect::<Vec<_>>()),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => Err(format!("unknown command {other}")),
        None => Err("a command is missing".to_owned()),
    };
    done.unwrap_or_else(|message| {
        eprintln!("{message}\n{USAGE}");
        ExitCode::from(2)
    })
}

fn compare(wish: &Compare) -> Result<ExitCode, String> {
    let report = compare::run(wish)?;
    let write = |path: &Option<_>, make: fn(&Report) -> String| {
        path.as_ref().map_or(Ok(()), |path: &std::path::PathBuf| write_to(path, &make(&report)))
    };
    write(&wish.json, report::json)?;
    write(&wish.html, html::page)?;
    write(&wish.markdown, markdown::table)?;
    Ok(if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write_to(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn list() {
    for entry in workloads::all() {
        println!("{}/{}: {}", entry.spec.group, entry.spec.name, entry.spec.about);
    }
    for id in runtimes::all() {
        println!("{}: {}", id.name, id.setup);
    }
}

fn cell(arguments: &[String]) -> Result<ExitCode, String> {
    let [workload, runtime, threads, slice, hint] = arguments else {
        return Err("cell WORKLOAD RUNTIME THREADS NANOSECONDS HINT".to_owned());
    };
    let workloads = workloads::all();
    let entry = workloads.iter().find(|entry| entry.spec.name == workload);
    let entry = entry.ok_or_else(|| format!("no workload {workload:?}"))?;
    let id = runtimes::find(runtime).ok_or_else(|| format!("no runtime {runtime:?}"))?;
    let order = Order {
        threads: number(threads)? as usize,
        slice: Duration::from_nanos(number(slice)?),
        hint: number(hint)?,
    };
    cell::measure(entry, id, &order, |answer: Answer| {
        let answer = serde_json::to_string(&answer).map_err(|error| error.to_string())?;
        println!("{answer}");
        process::exit(0);
    })
}

fn probe(arguments: &[String]) -> Result<ExitCode, String> {
    let [runtime, threads] = arguments else { return Err("probe RUNTIME THREADS".to_owned()) };
    let id = runtimes::find(runtime).ok_or_else(|| format!("no runtime {runtime:?}"))?;
    let answer = cell::probe(id, number(threads)? as usize);
    print!("{}", serde_json::to_string(&answer).map_err(|error| error.to_string())?);
    Ok(ExitCode::SUCCESS)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("not a number: {text:?}"))
}
