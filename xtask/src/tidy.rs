//! The repository's own rules: which files there are, which rules each one gets, what they found.

mod bans;
mod docs;
mod imports;
mod layers;
mod length;
mod safety;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use self::source::Source;

/// Where Rust files of the project lie, seen from the root.
const TREES: [&str; 7] = ["src", "crates", "xtask", "tests", "benches", "examples", "fuzz"];

/// Directories that are not ours to judge: build output, and programs that must not compile.
const SKIPPED: [&str; 5] = ["target", "tests/ui", "fuzz/corpus", "fuzz/artifacts", "fuzz/target"];

/// The list of files that are longer than the limit.
const RATCHET: &str = "xtask/tidy/ratchet.txt";

/// A rule that looks at one file at a time.
type Rule = fn(&Source, &mut Vec<Finding>);

/// Every rule of that kind. What a rule is about, and where it applies, is said in its module.
const RULES: [Rule; 7] = [
    docs::every_file_says_what_it_is_for,
    docs::comments_fit_the_width,
    safety::unsafe_blocks_say_why_they_hold,
    safety::unsafe_items_say_what_they_ask,
    safety::unsafe_code_stays_at_home,
    bans::no_placeholders,
    bans::nothing_is_dropped_in_silence,
];

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    advice: String,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, advice: advice.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.advice)
    }
}

/// What a check came to.
pub(crate) struct Outcome {
    pub(crate) files: usize,
    pub(crate) findings: Vec<Finding>,
}

/// Checks the tree under `root`.
pub(crate) fn check(root: &Path) -> io::Result<Outcome> {
    let mut files = Vec::new();
    for tree in TREES {
        collect(root, tree, &mut files)?;
    }
    if files.is_empty() {
        let message = format!("no Rust files in {} of {}", TREES.join(", "), root.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    let ratchet = match fs::read_to_string(root.join(RATCHET)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(Outcome { files: files.len(), findings: judge(&files, &ratchet) })
}

/// Runs every rule over files given as path and text.
fn judge(files: &[(String, String)], ratchet: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for (path, text) in files {
        match Source::parse(path, text) {
            Ok(source) => sources.push(source),
            Err(finding) => findings.push(finding),
        }
    }
    source::mark_test_files(&mut sources);
    for source in &sources {
        for rule in RULES {
            rule(source, &mut findings);
        }
    }
    layers::imports_go_down(&sources, &mut findings);
    let lengths = files.iter().map(|(path, text)| (path.as_str(), text.lines().count()));
    length::ratchet(RATCHET, ratchet, lengths, &mut findings);
    findings.sort();
    findings.dedup();
    findings
}

/// Adds the Rust files under `path` with their text, sorted by name.
fn collect(root: &Path, path: &str, files: &mut Vec<(String, String)>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(path)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut names: Vec<(String, bool)> = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        names.push((format!("{path}/{name}"), entry.file_type()?.is_dir()));
    }
    names.sort();
    for (name, is_directory) in names {
        let last = name.rsplit('/').next().unwrap_or_default();
        if is_directory {
            if !SKIPPED.contains(&name.as_str()) && !SKIPPED.contains(&last) {
                collect(root, &name, files)?;
            }
        } else if last.ends_with(".rs") {
            let text = fs::read_to_string(root.join(&name))?;
            files.push((name, text));
        }
    }
    Ok(())
}
