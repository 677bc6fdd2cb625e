//! Whether anything is lost, left behind or grows when everything is done at random for long.

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Command;

use crate::program::{IT, Result, build};

/// How long it takes if nobody says, in seconds, and at least: the stretches that are compared are
/// tenths of it.
const SECONDS: u32 = 600;
const LEAST: u32 = 30;

/// The test that does it.
const TEST: &str = "soak::for_long_nothing_grows";

/// What the command line asks for.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    seconds: u32,
    seed: Option<u64>,
}

impl Wish {
    /// # Errors
    ///
    /// What is wrong with the arguments.
    pub(crate) fn parse(arguments: &[&str]) -> std::result::Result<Self, String> {
        let mut wish = Self { seconds: SECONDS, seed: None };
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            let mut number = || {
                let text = arguments.next().ok_or(format!("{argument} needs a number"))?;
                text.parse::<u64>().map_err(|error| format!("{argument} {text:?}: {error}"))
            };
            match argument {
                "--seconds" => {
                    let seconds = number()?;
                    let enough = u32::try_from(seconds).ok().filter(|&seconds| seconds >= LEAST);
                    wish.seconds = enough
                        .ok_or_else(|| format!("--seconds is at least {LEAST}, not {seconds}"))?;
                }
                "--seed" => wish.seed = Some(number()?),
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        Ok(wish)
    }
}

/// Builds the tests and runs the one, which prints what it sees. Whether all was well.
///
/// # Errors
///
/// What kept it from running.
pub(crate) fn run(root: &Path, wish: &Wish) -> Result<bool> {
    let program = build(root, &IT)?;
    // As random as a map's first key.
    let seed = wish.seed.unwrap_or_else(|| RandomState::new().hash_one(TEST) >> 32);
    let status = Command::new(&program)
        .args(["--exact", TEST, "--ignored", "--nocapture"])
        .current_dir(root)
        .env("SPARGIO_SOAK_SECONDS", wish.seconds.to_string())
        .env("SPARGIO_SOAK_SEED", seed.to_string())
        .status()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if !status.success() {
        println!("soak: once more: cargo xtask soak --seconds {} --seed {seed}", wish.seconds);
    }
    Ok(status.success())
}
