//! Fixed kernels for an instruction counter: `cargo xtask perf-guard` runs them and judges.
//!
//! `guard --list` names the kernels; `guard KERNEL TIMES` runs one so many times. Whoever counts
//! runs a kernel with two numbers of times and takes the difference, so that the start of the
//! process and of the runtime cancels out.

mod kernels;
mod metronome;

#[path = "../workloads/baton.rs"]
mod baton;

use std::process::ExitCode;

use crate::kernels::KERNELS;

const USAGE: &str = "usage: guard --list | guard KERNEL TIMES\n\
    the numbers are instruction counts: run `cargo xtask perf-guard`";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => {
            KERNELS.iter().for_each(|kernel| println!("{}", kernel.name));
            ExitCode::SUCCESS
        }
        // A plain `cargo bench` or `cargo test --benches` has nothing to measure here.
        [] | ["--bench"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        [name, times] => {
            let kernel = KERNELS.iter().find(|kernel| kernel.name == name);
            let (Some(kernel), Ok(times)) = (kernel, times.parse()) else {
                eprintln!("no kernel {name:?}, or {times:?} is no number\n{USAGE}");
                return ExitCode::from(2);
            };
            (kernel.run)(times);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
