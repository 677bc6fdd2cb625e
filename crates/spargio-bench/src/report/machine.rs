//! What the numbers were measured on and with.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::options::Compare;

/// The machine, the system, the tools, and the time.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    /// Of the process that measures: the load averages before and after.
    pub(crate) load: String,
    pub(crate) load_after: String,
    pub(crate) rustc: &'static str,
    /// The commit, as `git describe` says it.
    pub(crate) commit: String,
    /// Packages and versions, from the lock file.
    pub(crate) versions: Vec<(&'static str, String)>,
    pub(crate) threads: usize,
    pub(crate) samples: usize,
    pub(crate) slice_nanos: u64,
    pub(crate) quick: bool,
    pub(crate) command: String,
}

impl Machine {
    /// Looks around.
    pub(crate) fn look(wish: &Compare, slice: Duration) -> Self {
        let mut packages: Vec<&'static str> = wish.runtimes.iter().map(|id| id.package).collect();
        packages.dedup();
        Self {
            date: output_of("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            cpu: cpu(),
            cpus: thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease"),
            load: load(),
            load_after: String::new(),
            rustc: env!("BENCH_RUSTC"),
            commit: output_of("git", &["describe", "--always", "--dirty"]),
            versions: packages.into_iter().map(|name| (name, version(name))).collect(),
            threads: wish.threads,
            samples: wish.budget.samples,
            slice_nanos: u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX),
            quick: wish.quick,
            command: env::args().skip(1).collect::<Vec<_>>().join(" "),
        }
    }

    /// Looks once more when everything is measured.
    pub(crate) fn end(&mut self) {
        self.load_after = load();
    }

    /// Versions in one line.
    pub(crate) fn versions(&self) -> String {
        let versions = self.versions.iter().map(|(name, version)| format!("{name} {version}"));
        versions.collect::<Vec<_>>().join(", ")
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn load() -> String {
    read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn cpu() -> String {
    let cpuinfo = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let virtual_machine = field("flags").is_some_and(|flags| flags.contains(" hypervisor"));
    if virtual_machine { format!("{model} (virtual machine)") } else { model }
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    if text.trim().is_empty() { format!("{program}: unknown") } else { text.trim().to_owned() }
}

/// As the lock file has it. Of spargio there are two: the published one is the older.
fn version(package: &str) -> String {
    const LOCK: &str = include_str!("../../../../Cargo.lock");
    let name = package.trim_end_matches("-published");
    let start = format!("name = \"{name}\"\nversion = \"");
    let mut versions: Vec<&str> = LOCK
        .split("[[package]]")
        .filter_map(|entry| entry.trim_start().strip_prefix(&start)?.split('"').next())
        .collect();
    versions.sort_unstable();
    let found = if name == package { versions.last() } else { versions.first() };
    (*found.unwrap_or(&"of unknown version")).to_owned()
}

#[cfg(test)]
mod tests;
