//! Checks and chores of the spargio repository: `cargo xtask tidy`.

mod tidy;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy [ROOT]

  tidy    check the layer rule, module docs, SAFETY comments, file lengths and a few habits
          of this repository, or of another working tree of it";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => run_tidy(
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root"),
        ),
        ["tidy", root] => run_tidy(Path::new(root)),
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
