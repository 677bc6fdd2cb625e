//! Checks and chores of the spargio repository: `cargo xtask tidy`, `perf-guard`, `fuzz`, `soak`
//! and `repeat`.

mod fuzz;
mod perf_guard;
mod program;
mod repeat;
mod soak;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy [ROOT]
       cargo xtask perf-guard [--update] [--only NAME]
       cargo xtask perf-guard --ratios [--only NAME]
       cargo xtask fuzz [--seconds N] [--only NAME] [--address]
       cargo xtask soak [--seconds N] [--seed N]
       cargo xtask repeat [--times N] [--filter NAME] [--load N]

  tidy        check the layer rule, module docs, SAFETY comments, file lengths and a few habits
              of this repository, or of another working tree of it
  perf-guard  count the instructions of fixed kernels and compare them with the baseline; with
              --update the counts become the baseline; with --only the kernels whose names
              contain NAME
    --ratios  measure the workloads beside tokio and compare the ratios with their limits
  fuzz        build and run the fuzz targets, each for N seconds (60); what reaches new code goes
              into fuzz/corpus; with --address under AddressSanitizer, which needs nightly
  soak        connections, files, timers, cancellations, panics and jobs at random for N seconds
              (600, at least 30), from a seed (drawn and printed if none is given); fails if
              anything is lost, left behind or grows
  repeat      run the tests whose names contain NAME (checklist) N times (200) in a row, beside N
              busy threads (none); stops at the first failure and shows it";

/// Whether all was well.
type Found = program::Result<bool>;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => run_tidy(root),
        ["tidy", root] => run_tidy(Path::new(root)),
        ["perf-guard", ref rest @ ..] => run_perf_guard(root, rest),
        ["fuzz", ref rest @ ..] => run_fuzz(root, rest),
        ["soak", ref rest @ ..] => run_soak(root, rest),
        ["repeat", ref rest @ ..] => run_repeat(root, rest),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run_perf_guard(root: &Path, arguments: &[&str]) -> ExitCode {
    run("perf-guard", perf_guard::Wish::parse(arguments), |wish| perf_guard::run(root, wish))
}

fn run_fuzz(root: &Path, arguments: &[&str]) -> ExitCode {
    run("fuzz", fuzz::Wish::parse(arguments), |wish| fuzz::run(root, wish))
}

fn run_soak(root: &Path, arguments: &[&str]) -> ExitCode {
    run("soak", soak::Wish::parse(arguments), |wish| soak::run(root, wish))
}

fn run_repeat(root: &Path, arguments: &[&str]) -> ExitCode {
    run("repeat", repeat::Wish::parse(arguments), |wish| repeat::run(root, wish))
}

/// Does what was wished for; says 1 if that found something, and 2 if it could not be done.
fn run<W>(name: &str, wish: Result<W, String>, chore: impl FnOnce(&W) -> Found) -> ExitCode {
    let wish = match wish {
        Ok(wish) => wish,
        Err(message) => {
            eprintln!("{name}: {message} (`cargo xtask help` lists all arguments)");
            return ExitCode::from(2);
        }
    };
    match chore(&wish) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run_tidy(root: &Path) -> ExitCode {
    match tidy::check(root) {
        Ok(outcome) if outcome.findings.is_empty() => {
            println!("tidy: {} files, nothing to do", outcome.files);
            ExitCode::SUCCESS
        }
        Ok(outcome) => {
            for finding in &outcome.findings {
                println!("{finding}");
            }
            println!("tidy: {} files, {} findings", outcome.files, outcome.findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tidy: cannot read the tree: {error}");
            ExitCode::from(2)
        }
    }
}
