//! spargio and its peers on the same workloads, by turns, as one table.
//!
//! `cargo run --release -p spargio-bench -- compare`; see `USAGE` in `options.rs`.

mod cell;
mod compare;
mod contract;
mod measure;
mod options;
mod report;
mod runtimes;
mod syscalls;
mod tied;
mod workloads;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{self, ExitCode};
use std::time::Duration;

use serde::Serialize;

use crate::cell::{Answer, Order};
use crate::options::{Compare, USAGE};
use crate::report::{Report, html, markdown, tsv};

fn main() -> ExitCode {
    let is_help = |argument: &str| matches!(argument, "help" | "--help" | "-h");
    if env::args().skip(1).take(2).any(|argument| is_help(&argument)) {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let mut arguments = env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some("compare") => Compare::parse(arguments).and_then(|wish| compare(&wish)),
        Some("list") => {
            list();
            Ok(ExitCode::SUCCESS)
        }
        Some("check") => Compare::parse(arguments).map(|wish| check(&wish)),
        // What `compare` starts for each measurement.
        Some("cell") => cell(&arguments.collect::<Vec<_>>()),
        Some("contract") => contract(&arguments.collect::<Vec<_>>()),
        Some("fixed") => fixed(&arguments.collect::<Vec<_>>()),
        Some("probe") => probe(&arguments.collect::<Vec<_>>()),
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
    write(&wish.tsv, tsv::lines)?;
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

/// Holds each runtime to what the workloads count on, in a process of its own.
fn check(wish: &Compare) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for id in &wish.runtimes {
        match compare::check(id, wish.threads) {
            Ok(findings) if findings.is_empty() => println!("{}: as it should be", id.name),
            Ok(findings) => {
                findings.iter().for_each(|finding| println!("{}: {finding}", id.name));
                code = ExitCode::FAILURE;
            }
            Err(reason) => println!("{}: does not run here: {reason}", id.name),
        }
    }
    code
}

fn contract(arguments: &[String]) -> Result<ExitCode, String> {
    let [runtime, threads] = arguments else { return Err("contract RUNTIME THREADS".to_owned()) };
    let id = runtimes::find(runtime).ok_or_else(|| format!("no runtime {runtime:?}"))?;
    say(&contract::check(id, number(threads)? as usize))
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
        say(&answer)?;
        process::exit(0);
    })
}

/// So many operations, unmeasured; prints how many there were.
fn fixed(arguments: &[String]) -> Result<ExitCode, String> {
    let [workload, runtime, threads, times] = arguments else {
        return Err("fixed WORKLOAD RUNTIME THREADS TIMES".to_owned());
    };
    let workloads = workloads::all();
    let entry = workloads.iter().find(|entry| entry.spec.name == workload);
    let entry = entry.ok_or_else(|| format!("no workload {workload:?}"))?;
    let id = runtimes::find(runtime).ok_or_else(|| format!("no runtime {runtime:?}"))?;
    let ops = cell::do_fixed(entry, id, number(threads)? as usize, number(times)?)?;
    println!("{ops}");
    process::exit(0);
}

fn probe(arguments: &[String]) -> Result<ExitCode, String> {
    let [runtime, threads] = arguments else { return Err("probe RUNTIME THREADS".to_owned()) };
    let id = runtimes::find(runtime).ok_or_else(|| format!("no runtime {runtime:?}"))?;
    say(&cell::probe(id, number(threads)? as usize))
}

/// Answers the process that started this one.
fn say(answer: &impl Serialize) -> Result<ExitCode, String> {
    println!("{}", serde_json::to_string(answer).map_err(|error| error.to_string())?);
    Ok(ExitCode::SUCCESS)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("not a number: {text:?}"))
}
