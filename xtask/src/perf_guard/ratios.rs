//! The looser gate: times beside those of tokio, measured by turns in one run.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Wish, read_limits};
use crate::program::{Result, build};

/// The limits.
pub(super) const LIMITS: &str = "xtask/perf-guard/ratios.toml";

/// How cargo builds the comparison.
const COMPARE: [&str; 4] = ["build", "--release", "--package", "spargio-bench"];

/// Who is measured.
const RUNTIMES: &str = "spargio,tokio,tokio-local";
/// What our numbers are divided by: those of the first one that can do the workload. The second is
/// a runtime of tokio on each thread, for tasks that stay where they are.
const PEERS: [&str; 2] = ["tokio", "tokio-local"];

/// How long, for a first look, and for a second one.
const SHORT: [&str; 4] = ["--samples", "5", "--slice", "30"];
const LONG: [&str; 4] = ["--samples", "15", "--slice", "80"];

/// Nanoseconds, by workload and runtime, of what the workload is ranked by.
pub(super) type Times = HashMap<(String, String), f64>;

/// Measures all workloads that have a limit in short, and those beyond theirs once more at length:
/// others may have used the machine meanwhile.
///
/// # Errors
///
/// What kept it from measuring.
pub(super) fn run(root: &Path, wish: &Wish) -> Result<bool> {
    let limits = read_limits(root, LIMITS)?;
    let wanted: Vec<(&str, f64)> = limits.numbers().filter(|(name, _)| wish.wants(name)).collect();
    if wanted.is_empty() {
        return Err(format!("{LIMITS} has no workload that is called {:?}", wish.only).into());
    }
    println!("building spargio-bench, which takes minutes if it was not built before");
    let compare = build(root, &COMPARE)?;
    let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
    let mut times = measure(root, &compare, &names, &SHORT)?;
    let again: Vec<&str> = beyond(&times, &wanted)?.into_iter().map(|(name, _)| name).collect();
    if !again.is_empty() {
        println!("\nonce more, at length: {}\n", again.join(", "));
        times.extend(measure(root, &compare, &again, &LONG)?);
    }
    println!("\n{:<48} {:>6} {:>6}", "spargio to tokio", "limit", "now");
    for &(name, limit) in &wanted {
        let ratio = ratio(&times, name)?;
        let remark = if ratio > limit { "  MORE" } else { "" };
        println!("{name:<48} {limit:>6.2} {ratio:>6.2}{remark}");
    }
    Ok(beyond(&times, &wanted)?.is_empty())
}

/// The workloads that are beyond their limits, with what they are.
///
/// # Errors
///
/// One of them was not measured.
pub(super) fn beyond<'n>(times: &Times, limits: &[(&'n str, f64)]) -> Result<Vec<(&'n str, f64)>> {
    let mut found = Vec::new();
    for &(name, limit) in limits {
        let ratio = ratio(times, name)?;
        if ratio > limit {
            found.push((name, ratio));
        }
    }
    Ok(found)
}

fn ratio(times: &Times, workload: &str) -> Result<f64> {
    let of = |runtime: &str| times.get(&(workload.to_owned(), runtime.to_owned()));
    let ours = of("spargio").ok_or_else(|| format!("no time of spargio in {workload:?}"))?;
    let peers = PEERS.into_iter().find_map(of);
    Ok(ours / peers.ok_or_else(|| format!("no time of tokio in {workload:?}"))?)
}

fn measure(root: &Path, compare: &Path, names: &[&str], length: &[&str]) -> Result<Times> {
    let file = root.join("target/perf-guard/compare.tsv");
    fs::create_dir_all(root.join("target/perf-guard"))?;
    let only = format!("/({})$", names.join("|"));
    let mut command = Command::new(compare);
    command.current_dir(root).args(["compare", "--runtimes", RUNTIMES, "--only", &only]);
    let status = command.args(length).arg("--tsv").arg(&file).status()?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    read(&fs::read_to_string(file)?)
}

/// Reads lines of workload, runtime, what it is ranked by, and more.
///
/// # Errors
///
/// A line is something else.
pub(super) fn read(lines: &str) -> Result<Times> {
    let mut times = Times::new();
    for line in lines.lines() {
        let mut fields = line.split('\t');
        let (Some(workload), Some(runtime), Some(time)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(format!("not a line of times: {line:?}").into());
        };
        times.insert((workload.to_owned(), runtime.to_owned()), time.parse()?);
    }
    Ok(times)
}
