//! Whether fuzzing finds something: builds the targets of `fuzz/`, runs them, keeps what is new.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long each target runs if nobody says, in seconds.
const SECONDS: u32 = 60;

/// What makes the compiler count edges and comparisons for libFuzzer; stable ones take it too.
const COVERAGE: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Inputs are programs of a few hundred steps at most, and long ones come late.
const SHAPE: [&str; 2] = ["-max_len=1024", "-len_control=20"];

/// Seconds after which an input counts as one that never ends, and for making a finding smaller.
const HANG: u32 = 30;
const SHRINK: u32 = 20;

/// What the command line asks for.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    seconds: u32,
    only: Option<String>,
    address: bool,
}

impl Wish {
    /// # Errors
    ///
    /// What is wrong with the arguments.
    pub(crate) fn parse(arguments: &[&str]) -> std::result::Result<Self, String> {
        let mut wish = Self { seconds: SECONDS, only: None, address: false };
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            match argument {
                "--seconds" => {
                    let number = arguments.next().ok_or("--seconds needs a number")?;
                    let seconds = number.parse().ok().filter(|&seconds| seconds > 0);
                    let wrong = || format!("--seconds takes a number from 1 on, not {number:?}");
                    wish.seconds = seconds.ok_or_else(wrong)?;
                }
                "--only" => {
                    let name = arguments.next().ok_or("--only needs a name")?;
                    wish.only = Some((*name).to_owned());
                }
                "--address" => wish.address = true,
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        Ok(wish)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

/// Builds and runs the targets, one after the other. Whether they found nothing.
///
/// # Errors
///
/// What kept it from running them.
pub(crate) fn run(root: &Path, wish: &Wish) -> Result<bool> {
    let fuzz = root.join("fuzz");
    let mut names = names(&fuzz)?;
    names.retain(|name| wish.wants(name));
    if names.is_empty() {
        return Err(format!("no target is called {:?}", wish.only).into());
    }
    let programs = build(&fuzz, wish.address)?;
    let mut clean = true;
    for name in names {
        clean &= Run { fuzz: &fuzz, program: programs.join(&name), name: &name }.fuzz(wish)?;
    }
    Ok(clean)
}

/// The targets: their sources lie in one directory.
fn names(fuzz: &Path) -> Result<Vec<String>> {
    let directory = fuzz.join("fuzz_targets");
    let mut names = Vec::new();
    for file in fs::read_dir(&directory).map_err(|error| format!("{directory:?}: {error}"))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Builds all targets; the directory in which they are.
fn build(fuzz: &Path, address: bool) -> Result<PathBuf> {
    let mut command = if address {
        // The shim of rustup, not the cargo that runs this.
        let mut command = Command::new("cargo");
        command.env("RUSTUP_TOOLCHAIN", "nightly").env_remove("CARGO").env_remove("RUSTC");
        command
    } else {
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    };
    let host = host()?;
    let target = fuzz.join(if address { "target/address" } else { "target" });
    let mut flags = COVERAGE.to_vec();
    if address {
        flags.push("-Zsanitizer=address");
    }
    // With the triple named, build scripts and macros are built without the flags.
    command
        .current_dir(fuzz)
        .args(["build", "--release", "--bins", "--target", &host, "--target-dir"])
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let status = command.status().map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err("the targets do not build (libFuzzer needs a C++ compiler)".into());
    }
    Ok(target.join(host).join("release"))
}

/// The triple of this machine.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not say what its host is")?.to_owned())
}

/// One target.
struct Run<'a> {
    fuzz: &'a Path,
    program: PathBuf,
    name: &'a str,
}

impl Run<'_> {
    /// Whether it found nothing.
    fn fuzz(&self, wish: &Wish) -> Result<bool> {
        println!("fuzz: {} for {} s", self.name, wish.seconds);
        // What is interesting to the fuzzer, which is far more than is kept.
        let all = self.directory("target/corpus")?;
        let kept = self.directory("corpus")?;
        let findings = self.directory("artifacts")?;
        let before = files(&findings)?;
        let mut command = self.command();
        command
            .args(SHAPE)
            .arg(format!("-max_total_time={}", wish.seconds))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .args(["-print_final_stats=1", "-verbosity=1", "-print_pcs=0"])
            .args([&all, &kept]);
        let log = self.fuzz.join("target").join(format!("{}.log", self.name));
        let status = logged(&mut command, &log)?;
        println!("{}", summary(&fs::read_to_string(&log)?));
        let found = files(&findings)?.into_iter().find(|file| !before.contains(file));
        match found {
            Some(file) => {
                self.report(&file, &log);
                Ok(false)
            }
            None if status.success() => {
                self.keep(&all, &kept)?;
                Ok(true)
            }
            None => Err(format!("{} ended with {status}; see {}", self.name, log.display()).into()),
        }
    }

    /// Adds to the corpus in the repository what reaches code that nothing there reaches.
    fn keep(&self, all: &Path, kept: &Path) -> Result<()> {
        let before = files(kept)?.len();
        let mut command = self.command();
        // One input for each edge, however often it is passed.
        command.args(["-merge=1", "-use_counters=0", "-max_len=1024"]).args([kept, all]);
        let log = self.fuzz.join("target").join(format!("{}.merge.log", self.name));
        if !logged(&mut command, &log)?.success() {
            return Err(format!("the corpora cannot be merged; see {}", log.display()).into());
        }
        let new = files(kept)?.len() - before;
        if new > 0 {
            println!("  {new} new inputs in fuzz/corpus/{}", self.name);
        }
        Ok(())
    }

    fn report(&self, file: &Path, log: &Path) {
        let small = file.with_extension("small");
        let mut shrink = self.command();
        shrink
            .args(["-minimize_crash=1".to_owned(), format!("-max_total_time={SHRINK}")])
            .arg(format!("-exact_artifact_path={}", small.display()))
            .arg(file);
        let _made = logged(&mut shrink, &log.with_extension("shrink.log"));
        let file = if small.is_file() { small } else { file.to_owned() };
        println!("FOUND by {}: {}", self.name, file.display());
        println!("  what it said:   {}", log.display());
        println!("  to run it:      {} {}", self.program.display(), file.display());
        println!(
            "  to read it:     SPARGIO_FUZZ_SHOW=1 {} {}",
            self.program.display(),
            file.display()
        );
        let show = self.command().env("SPARGIO_FUZZ_SHOW", "1").arg(&file).output();
        if let Ok(shown) = show {
            println!("{}", String::from_utf8_lossy(&shown.stdout));
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Leaks are looked for by the models; operations that the kernel may still use are leaked
        // on purpose.
        command.env("ASAN_OPTIONS", "detect_leaks=0").arg(format!("-timeout={HANG}"));
        command
    }

    fn directory(&self, of: &str) -> Result<PathBuf> {
        let directory = self.fuzz.join(of).join(self.name);
        fs::create_dir_all(&directory).map_err(|error| format!("{directory:?}: {error}"))?;
        Ok(directory)
    }
}

/// Runs a command whose words go to a file.
fn logged(command: &mut Command, log: &Path) -> Result<ExitStatus> {
    let file = fs::File::create(log).map_err(|error| format!("{log:?}: {error}"))?;
    let status = command.stdout(file.try_clone()?).stderr(file).status();
    Ok(status.map_err(|error| format!("{:?}: {error}", command.get_program()))?)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in fs::read_dir(directory)? {
        files.push(file?.path());
    }
    Ok(files)
}

/// What a run came to: its last word on coverage, and how many programs it tried.
fn summary(log: &str) -> String {
    let last = log.lines().rev().find(|line| line.starts_with('#') && line.contains(" cov: "));
    let last = last.unwrap_or("nothing was run");
    format!("  {}", last.split_whitespace().collect::<Vec<_>>().join(" "))
}
