//! Notes which compiler builds the benchmark, for the report.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(compiler).arg("--version").output();
    let text = answer.ok().and_then(|answer| String::from_utf8(answer.stdout).ok());
    println!("cargo:rustc-env=BENCH_RUSTC={}", text.unwrap_or_default().trim());
}
