//! Counts instructions: runs a program under callgrind, and reads what that wrote.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Result, capture, output_of};

const HOW_TO_INSTALL: &str = "valgrind is not installed, and instructions are counted under it; \
    install it (Debian, Ubuntu: apt-get install valgrind; Fedora: dnf install valgrind)";

/// How many times each count is taken.
const RUNS: usize = 2;

/// A number of instructions.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Count {
    /// In the program itself, the standard library included. It depends on the compiler alone.
    pub(super) ours: f64,
    /// With the C library, whose allocator differs from system to system.
    pub(super) all: f64,
}

/// The tool, and where it leaves its profiles.
pub(super) struct Callgrind {
    directory: PathBuf,
    version: String,
}

impl Callgrind {
    /// # Errors
    ///
    /// There is no valgrind.
    pub(super) fn find(root: &Path) -> Result<Self> {
        let version =
            output_of("valgrind".as_ref(), &["--version"]).map_err(|_error| HOW_TO_INSTALL)?;
        let version = version.trim().trim_start_matches("valgrind-").to_owned();
        let directory = root.join("target/perf-guard");
        fs::create_dir_all(&directory)?;
        Ok(Self { directory, version })
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The instructions of one operation of a kernel: the difference of two runs of the guard.
    ///
    /// # Errors
    ///
    /// A run fails.
    pub(super) fn per_operation(
        &self,
        guard: &Path,
        kernel: &str,
        times: [u32; 2],
    ) -> Result<Count> {
        let [few, many] = times;
        let start = self.least(guard, kernel, few)?;
        let end = self.least(guard, kernel, many)?;
        let per = |start: f64, end: f64| (end - start) / f64::from(many - few);
        Ok(Count { ours: per(start.ours, end.ours), all: per(start.all, end.all) })
    }

    /// The cheapest of some runs: what differs is how long threads waited awake for each other.
    fn least(&self, guard: &Path, kernel: &str, times: u32) -> Result<Count> {
        let mut least = self.run(guard, kernel, times)?;
        for _ in 1..RUNS {
            let next = self.run(guard, kernel, times)?;
            if next.ours < least.ours {
                least = next;
            }
        }
        Ok(least)
    }

    fn run(&self, guard: &Path, kernel: &str, times: u32) -> Result<Count> {
        let profile = self.directory.join(format!("{kernel}.{times}.callgrind"));
        let mut command = Command::new("valgrind");
        command
            .args(["--quiet", "--tool=callgrind"])
            // Threads take turns in the order in which they wait, so that runs are alike.
            .arg("--fair-sched=try")
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(guard)
            .args([kernel, &times.to_string()]);
        capture(&mut command)?;
        let text = fs::read_to_string(&profile)?;
        read(&text, &guard.to_string_lossy())
            .ok_or_else(|| format!("{} cannot be understood", profile.display()).into())
    }
}

/// The instructions in a profile: those of one object, and all.
///
/// The format is that of the chapter "Callgrind Format Specification" of valgrind's manual: lines
/// that name what follows, and lines of a position and a cost. A `calls` line is followed by the
/// cost of the callee, which is counted where the callee is.
pub(super) fn read(profile: &str, ours: &str) -> Option<Count> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut is_ours = false;
    let mut is_callee = false;
    let mut count = Count { ours: 0.0, all: 0.0 };
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=").or_else(|| line.strip_prefix("cob=")) {
            // A name is written out once, with a number that stands for it from then on.
            let (number, name) = object.split_once(' ').unwrap_or((object, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            if line.starts_with('o') {
                is_ours = names.get(number).copied().unwrap_or(number) == ours;
            }
        } else if line.starts_with("calls=") {
            is_callee = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost: f64 = line.split(' ').nth(1)?.parse().ok()?;
            if !std::mem::take(&mut is_callee) {
                count.all += cost;
                if is_ours {
                    count.ours += cost;
                }
            }
        }
    }
    (count.ours > 0.0).then_some(count)
}
