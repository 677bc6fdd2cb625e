//! What the numbers were measured on and with.

use std::fs;
use std::process::Command;
use std::thread;

/// Some lines that name the machine, the system, the tools and the time.
pub(crate) fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown CPU", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cpus = thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    format!(
        "{model}, {cpus} CPUs, Linux {}, load {}\n{}, spargio {} at {}, {}, {}",
        kernel.trim(),
        load.join(" "),
        output_of("rustc", &["--version"]),
        env!("CARGO_PKG_VERSION"),
        output_of("git", &["describe", "--always", "--dirty"]),
        tokio_version(),
        output_of("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
    )
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    if text.trim().is_empty() { format!("{program}: unknown") } else { text.trim().to_owned() }
}

/// As the lock file has it.
fn tokio_version() -> String {
    let lock = include_str!("../../Cargo.lock");
    let version = lock.split("[[package]]").find_map(|package| {
        let after = package.trim_start().strip_prefix("name = \"tokio\"\nversion = \"")?;
        after.split('"').next()
    });
    format!("tokio {}", version.unwrap_or("of unknown version"))
}
