//! Whether tests pass each time: runs them in a row, on a machine that is busy with other things.

#[cfg(test)]
mod tests;

use std::hint::spin_loop;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::program::{IT, Result, build};

/// How often, if nobody says.
const TIMES: u32 = 200;
/// Which tests, if nobody says.
const FILTER: &str = "checklist";
/// More busy threads than this are a mistake.
const MOST_LOAD: u32 = 1_024;

/// What the command line asks for.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    times: u32,
    filter: String,
    load: u32,
}

impl Wish {
    /// # Errors
    ///
    /// What is wrong with the arguments.
    pub(crate) fn parse(arguments: &[&str]) -> std::result::Result<Self, String> {
        let mut wish = Self { times: TIMES, filter: FILTER.to_owned(), load: 0 };
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            let number = |text: &&str| {
                text.parse::<u32>().map_err(|error| format!("{argument} {text:?}: {error}"))
            };
            match argument {
                "--times" => wish.times = value().and_then(number)?,
                "--filter" => wish.filter = (*value()?).to_owned(),
                "--load" => wish.load = value().and_then(number)?,
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        if wish.times == 0 {
            return Err("--times is at least 1, not 0".to_owned());
        }
        if wish.load > MOST_LOAD {
            return Err(format!("--load is at most {MOST_LOAD}, not {}", wish.load));
        }
        Ok(wish)
    }
}

/// Builds the tests and runs them so often. Whether they passed each time.
///
/// # Errors
///
/// What kept it from running them.
pub(crate) fn run(root: &Path, wish: &Wish) -> Result<bool> {
    let program = build(root, &IT)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..wish.load {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    spin_loop();
                }
            });
        }
        let passed = run_often(root, &program, wish);
        done.store(true, Ordering::Relaxed);
        passed
    })
}

fn run_often(root: &Path, program: &Path, wish: &Wish) -> Result<bool> {
    for run in 1..=wish.times {
        let began = Instant::now();
        let mut command = Command::new(program);
        let output = command.arg(&wish.filter).current_dir(root).output();
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        let Output { status, stdout, stderr } = output;
        let said = String::from_utf8_lossy(&stdout);
        let seconds = began.elapsed().as_secs_f64();
        if !status.success() {
            println!("{said}\n{}", String::from_utf8_lossy(&stderr));
            println!("repeat: run {run} of {} ended with {status}, in {seconds:.1} s", wish.times);
            return Ok(false);
        }
        let passed = passed(&said).ok_or("the tests do not say how many passed")?;
        if passed == 0 {
            return Err(format!("no test has {:?} in its name", wish.filter).into());
        }
        println!("repeat: run {run} of {}: {passed} passed in {seconds:.1} s", wish.times);
    }
    Ok(true)
}

/// How many tests passed, as the harness says it.
fn passed(said: &str) -> Option<u32> {
    let result = said.lines().rev().find(|line| line.starts_with("test result: "))?;
    let (before, _) = result.split_once(" passed")?;
    before.rsplit(' ').next()?.parse().ok()
}
