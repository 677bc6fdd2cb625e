//! The looser gate: times beside those of tokio, measured by turns in one run.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::program::{Result, build_bench};
use super::{Wish, read_limits};

/// The limits.
const LIMITS: &str = "xtask/perf-guard/ratios.toml";

/// Wall times per job in nanoseconds, by workload and contender.
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
    let compare = build_bench(root, "compare")?;
    let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
    let mut times = measure(root, &compare, &names, true)?;
    let again: Vec<&str> = beyond(&times, &wanted)?.into_iter().map(|(name, _)| name).collect();
    if !again.is_empty() {
        println!("\nonce more, at length: {}\n", again.join("; "));
        times.extend(measure(root, &compare, &again, false)?);
    }
    println!("\n{:<48} {:>6} {:>6}", "wall time, spargio to tokio", "limit", "now");
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
    let of = |contender: &str| {
        let time = times.get(&(workload.to_owned(), contender.to_owned()));
        time.ok_or_else(|| format!("no time of {contender} in the workload {workload:?}"))
    };
    Ok(of("spargio")? / of("tokio")?)
}

fn measure(root: &Path, compare: &Path, names: &[&str], quick: bool) -> Result<Times> {
    let file = root.join("target/perf-guard/compare.tsv");
    fs::create_dir_all(root.join("target/perf-guard"))?;
    let mut command = Command::new(compare);
    command.current_dir(root).arg("--tsv").arg(&file).args(names);
    if quick {
        command.arg("--quick");
    }
    let status = command.status()?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    read(&fs::read_to_string(file)?)
}

/// Reads lines of workload, contender, wall and CPU time.
///
/// # Errors
///
/// A line is something else.
pub(super) fn read(lines: &str) -> Result<Times> {
    let mut times = Times::new();
    for line in lines.lines() {
        let mut fields = line.split('\t');
        let (Some(workload), Some(contender), Some(wall)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(format!("not a line of times: {line:?}").into());
        };
        times.insert((workload.to_owned(), contender.to_owned()), wall.parse()?);
    }
    Ok(times)
}
