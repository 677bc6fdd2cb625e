//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use regex_lite::Regex;

use crate::runtimes::{self, RuntimeId};

pub(crate) const USAGE: &str = "\
usage: spargio-bench compare [--only RE] [--runtimes LIST] [--quick] [--threads N]
                             [--samples N] [--slice MS] [--syscalls]
                             [--json FILE] [--tsv FILE] [--html FILE] [--markdown FILE]
       spargio-bench check [--runtimes LIST] [--threads N]
       spargio-bench list

compare measures, everything in about 9 minutes and with --quick in less than 4; check holds each
runtime to what the workloads count on; list says what there is.

  --only RE        workloads whose group/name matches this regular expression
  --runtimes LIST  names with commas between them; see `list`
  --quick          a look, instead of numbers to quote: fewer and shorter samples
  --threads N      worker threads of each runtime, 2 or more (2)
  --samples N      samples of each runtime and workload (7; quick: 3)
  --slice MS       length of a sample; else what the time for the whole run allows, at most 200
                   (quick: 80), so that a few workloads take less time
  --syscalls       count system calls with strace, in runs of their own (takes as long again)
  --json, --html, --markdown FILE
                   write the results there too
  --tsv FILE       write there workload, runtime, the median that it is ranked by, and those of wall
                   and CPU time, in nanoseconds with tabs between them";

/// How much time there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// For everything.
    pub(crate) whole: Duration,
    pub(crate) samples: usize,
    /// A sample is at most so long, however few there are.
    pub(crate) longest: Duration,
}

impl Budget {
    /// Nine minutes, with some of it for the processes that take longer than foreseen.
    const FULL: Self =
        Self { whole: Duration::from_secs(520), samples: 7, longest: Duration::from_millis(200) };
    /// Less than four minutes, with more of it: who is late at the end cannot make up for it.
    const QUICK: Self =
        Self { whole: Duration::from_secs(215), samples: 3, longest: Duration::from_millis(80) };
}

/// A comparison, as wished for.
#[derive(Debug)]
pub(crate) struct Compare {
    pub(crate) only: Option<Regex>,
    pub(crate) runtimes: Vec<&'static RuntimeId>,
    pub(crate) quick: bool,
    pub(crate) budget: Budget,
    pub(crate) slice: Option<Duration>,
    pub(crate) threads: usize,
    pub(crate) syscalls: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) tsv: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
    pub(crate) markdown: Option<PathBuf>,
}

impl Compare {
    /// From the arguments after `compare`.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in words.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wish = Self {
            only: None,
            runtimes: runtimes::all().iter().collect(),
            quick: false,
            budget: Budget::FULL,
            slice: None,
            threads: 2,
            syscalls: false,
            json: None,
            tsv: None,
            html: None,
            markdown: None,
        };
        let mut samples = None;
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().ok_or_else(|| format!("{argument} needs a value behind it"));
            match argument.as_str() {
                "--quick" => wish.quick = true,
                "--syscalls" => wish.syscalls = true,
                "--only" => {
                    let pattern = value()?;
                    let regex = Regex::new(&pattern).map_err(|error| error.to_string())?;
                    wish.only = Some(regex);
                }
                "--runtimes" => wish.runtimes = named(&value()?)?,
                "--threads" => wish.threads = at_least(2, &argument, &value()?)?,
                "--samples" => samples = Some(at_least(1, &argument, &value()?)?),
                "--slice" => {
                    let millis = at_least(1, &argument, &value()?)?;
                    wish.slice = Some(Duration::from_millis(millis as u64));
                }
                "--json" => wish.json = Some(value()?.into()),
                "--tsv" => wish.tsv = Some(value()?.into()),
                "--html" => wish.html = Some(value()?.into()),
                "--markdown" => wish.markdown = Some(value()?.into()),
                _ => return Err(format!("unknown option {argument}")),
            }
        }
        if wish.quick {
            wish.budget = Budget::QUICK;
        }
        wish.budget.samples = samples.unwrap_or(wish.budget.samples);
        Ok(wish)
    }

    /// Whether this workload is wished for.
    pub(crate) fn wants(&self, group: &str, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(&format!("{group}/{name}")))
    }

    /// How long a sample is, if there are so many to go and so much time has passed; one of a
    /// workload that is stretched counts as several.
    pub(crate) fn slice(&self, samples: usize, passed: Duration) -> Duration {
        self.slice.unwrap_or_else(|| {
            let left = self.budget.whole.saturating_sub(passed);
            let each = left / samples.max(1) as u32;
            let slice = each.saturating_sub(OVERHEAD).mul_f64(1.0 / WITH_WARM_UP);
            slice.clamp(SHORTEST, self.budget.longest)
        })
    }
}

/// What a sample costs beside its slices: a process, a runtime, the first operations.
const OVERHEAD: Duration = Duration::from_millis(30);
/// A slice and its warm-up are so many times as long as the slice.
const WITH_WARM_UP: f64 = 1.4;
/// Below this, what happens at the ends shows.
const SHORTEST: Duration = Duration::from_millis(10);

fn named(list: &str) -> Result<Vec<&'static RuntimeId>, String> {
    let find = |name: &str| runtimes::find(name).ok_or_else(|| format!("no runtime {name:?}"));
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(find).collect()
}

fn at_least(least: usize, option: &str, value: &str) -> Result<usize, String> {
    value
        .parse()
        .ok()
        .filter(|&number| number >= least)
        .ok_or_else(|| format!("{option} needs a number from {least}, not {value:?}"))
}

#[cfg(test)]
mod tests;
