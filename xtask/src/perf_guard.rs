//! Whether the runtime got slower: instruction counts against a baseline, ratios against limits.

mod callgrind;
mod limits;
mod ratios;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use self::callgrind::{Callgrind, Count};
use self::limits::Limits;
use crate::program::{self, Result, output_of};

/// How cargo builds the kernels.
const GUARD: [&str; 6] = ["bench", "--no-run", "--package", "spargio", "--bench", "guard"];

/// The counts to compare with.
const BASELINE: &str = "xtask/perf-guard/baseline.toml";

/// Each kernel runs so many times, and then so many: the difference is without the start.
const TIMES: [u32; 2] = [1_000, 11_000];

/// A kernel may have so many percent more than its baseline, if the file does not say.
const TOLERANCE: f64 = 2.0;

/// What the command line asks for.
#[derive(Default)]
pub(crate) struct Wish {
    update: bool,
    ratios: bool,
    only: Option<String>,
}

impl Wish {
    /// # Errors
    ///
    /// What is wrong with the arguments.
    pub(crate) fn parse(arguments: &[&str]) -> std::result::Result<Self, String> {
        let mut wish = Self::default();
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            match argument {
                "--update" => wish.update = true,
                "--ratios" => wish.ratios = true,
                "--only" => {
                    let name = arguments.next().ok_or("--only needs a name")?;
                    wish.only = Some((*name).to_owned());
                }
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        if wish.update && wish.ratios {
            return Err("limits of ratios are set by hand: no --update with --ratios".to_owned());
        }
        Ok(wish)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

/// Measures and prints. Whether everything is within its limits.
///
/// # Errors
///
/// What kept it from measuring.
pub(crate) fn run(root: &Path, wish: &Wish) -> Result<bool> {
    if wish.ratios { ratios::run(root, wish) } else { count(root, wish) }
}

/// One kernel, counted.
struct Row {
    kernel: String,
    baseline: Option<f64>,
    now: Count,
}

/// What a count is beside its baseline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Within,
    Less,
    More,
    New,
}

impl Row {
    fn verdict(&self, tolerance: f64) -> Verdict {
        let Some(baseline) = self.baseline else { return Verdict::New };
        let percent = (self.now.ours / baseline - 1.0) * 100.0;
        if percent > tolerance {
            Verdict::More
        } else if percent < -tolerance {
            Verdict::Less
        } else {
            Verdict::Within
        }
    }
}

fn count(root: &Path, wish: &Wish) -> Result<bool> {
    let mut baseline = read_limits(root, BASELINE)?;
    let callgrind = Callgrind::find(root)?;
    let guard = program::build(root, &GUARD)?;
    let kernels = output_of(&guard, &["--list"])?;
    let kernels: Vec<&str> = kernels.lines().filter(|name| wish.wants(name)).collect();
    if kernels.is_empty() {
        return Err(format!("no kernel is called {:?}", wish.only).into());
    }
    let tolerance = baseline.number("tolerance_percent").unwrap_or(TOLERANCE);
    println!(
        "instructions per operation, from {} and {} of them; more than {tolerance} % fails\n",
        TIMES[0], TIMES[1]
    );
    println!("{:<24} {:>9} {:>9} {:>7} {:>10}", "kernel", "baseline", "now", "ratio", "with libc");
    let mut rows = Vec::new();
    for kernel in kernels {
        let now = callgrind.per_operation(&guard, kernel, TIMES)?;
        let row = Row { kernel: kernel.to_owned(), baseline: baseline.number(kernel), now };
        print_row(&row, tolerance);
        rows.push(row);
    }
    println!("\nprofiles for callgrind_annotate: {}", callgrind.directory().display());
    let here = [("rustc", rustc(root)?), ("arch", std::env::consts::ARCH.to_owned())];
    if wish.update {
        for (key, value) in here {
            baseline.set_text(key, &value);
        }
        baseline.set_text("valgrind", callgrind.version());
        for row in &rows {
            baseline.set_number(&row.kernel, row.now.ours);
        }
        fs::write(root.join(BASELINE), baseline.to_string())?;
        println!("written to {BASELINE}");
        return Ok(true);
    }
    for (key, value) in here {
        let made_with = baseline.text(key).unwrap_or("nothing");
        if made_with != value {
            println!("NOT JUDGED: the baseline is of {key} {made_with}, and this is {value}");
            return Ok(true);
        }
    }
    let count = |wanted| rows.iter().filter(|row| row.verdict(tolerance) == wanted).count();
    let bad = count(Verdict::More) + count(Verdict::New);
    if bad > 0 {
        println!(
            "{bad} of {} beyond the baseline or without one; if that is wanted, say why in the \
             commit that brings the new baseline: cargo xtask perf-guard --update",
            rows.len()
        );
    } else if count(Verdict::Less) > 0 {
        println!("some got cheaper: keep it by cargo xtask perf-guard --update");
    }
    Ok(bad == 0)
}

fn print_row(row: &Row, tolerance: f64) {
    let baseline = row.baseline.map_or("-".to_owned(), |number| format!("{number:.1}"));
    let ratio = row.baseline.map_or("-".to_owned(), |base| format!("{:.3}", row.now.ours / base));
    let remark = match row.verdict(tolerance) {
        Verdict::Within => "",
        Verdict::Less => "  less",
        Verdict::More => "  MORE",
        Verdict::New => "  NEW",
    };
    println!(
        "{:<24} {baseline:>9} {:>9.1} {ratio:>7} {:>10.1}{remark}",
        row.kernel, row.now.ours, row.now.all
    );
}

fn read_limits(root: &Path, path: &str) -> Result<Limits> {
    let text = fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
    Limits::parse(&text).map_err(|message| format!("{path}: {message}").into())
}

/// The compiler's version number.
fn rustc(root: &Path) -> Result<String> {
    let version = program::output_in(root, "rustc".as_ref(), &["--version"])?;
    let number = version.split_whitespace().nth(1).ok_or("rustc does not say its version")?;
    Ok(number.to_owned())
}
