//! Other programs: run them, and take what they print.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Or whatever kept something from being run.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How cargo builds the tests that run on real rings.
pub(crate) const IT: [&str; 5] = ["test", "--no-run", "--all-features", "--test", "it"];

/// What the program prints.
///
/// # Errors
///
/// It cannot be run, or fails.
pub(crate) fn output_of(program: &Path, arguments: &[&str]) -> Result<String> {
    capture(Command::new(program).args(arguments))
}

/// As [`output_of`], in a directory.
///
/// # Errors
///
/// As there.
pub(crate) fn output_in(directory: &Path, program: &Path, arguments: &[&str]) -> Result<String> {
    capture(Command::new(program).args(arguments).current_dir(directory))
}

/// Runs a command, which may complain on the terminal, to its end and takes what it prints.
///
/// # Errors
///
/// It cannot be run, or fails.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Builds a program as these arguments of cargo say, and answers where it is. Cargo tells on the
/// terminal how far it is, as that may take minutes.
///
/// # Errors
///
/// It does not compile.
pub(crate) fn build(root: &Path, arguments: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let format = "--message-format=json-render-diagnostics";
    let mut command = Command::new(cargo);
    let messages = capture(command.current_dir(root).args(arguments).arg(format))?;
    let path = messages.lines().filter_map(executable).next_back();
    path.ok_or_else(|| format!("cargo {} does not say where it put it", arguments.join(" ")).into())
}

/// The program that a message of cargo tells of. Paths with characters that JSON escapes are not
/// understood.
fn executable(message: &str) -> Option<PathBuf> {
    let (_, after) = message.split_once("\"executable\":\"")?;
    let (path, _) = after.split_once('"')?;
    Some(PathBuf::from(path))
}
