//! System calls per operation, counted by strace in processes of their own.
//!
//! Being traced changes what happens: a call takes many times as long, so that whoever spins for a
//! while gives up more often, and batches have other sizes. So these runs are not timed, and the
//! counts are to be read as such.

use std::env;
use std::fs;
use std::process::{self, Command, Stdio};

use crate::runtimes::RuntimeId;

/// The second count is of so many times as many operations as the first; what is set up once falls
/// out of the difference.
const FACTOR: u64 = 3;

/// Whether there is a strace that may trace.
///
/// # Errors
///
/// Why not, in words.
pub(crate) fn probe() -> Result<(), String> {
    let status = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("--syscalls needs strace, which ends with {status}")),
        Err(error) => Err(format!("--syscalls needs strace: {error}")),
    }
}

/// Counts; `None` if a process did not end as it should.
pub(crate) fn per_op(workload: &str, id: &RuntimeId, threads: usize, times: u64) -> Option<f64> {
    let (few, few_ops) = count(workload, id, threads, times)?;
    let (many, many_ops) = count(workload, id, threads, times * FACTOR)?;
    let ops = many_ops.checked_sub(few_ops).filter(|&ops| ops > 0)?;
    Some(many.saturating_sub(few) as f64 / ops as f64)
}

/// Calls and operations of one process.
fn count(workload: &str, id: &RuntimeId, threads: usize, times: u64) -> Option<(u64, u64)> {
    let table = env::temp_dir().join(format!("spargio-bench-strace-{}", process::id()));
    let output = Command::new("timeout")
        .args(["60", "strace", "-f", "-c", "-o"])
        .arg(&table)
        .arg(env::current_exe().ok()?)
        .args(["fixed", workload, id.name, &threads.to_string(), &times.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = fs::read_to_string(&table).ok()?;
    fs::remove_file(&table).ok()?;
    let ops = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    Some((calls_of(&text)?, ops))
}

/// The sum in a table of `strace -c`.
fn calls_of(table: &str) -> Option<u64> {
    let total = table.lines().find(|line| line.ends_with("total"))?;
    total.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests;
