//! Tests of what is read from files, on small ones, and of the verdicts.

use super::callgrind::{self, Count};
use super::limits::Limits;
use super::ratios;
use super::{BASELINE, Row, Verdict, Wish};

const PROFILE: &str = "\
version: 1
positions: line
events: Ir

ob=(1) /lib/libc.so.6
fl=(1) malloc.c
fn=(1) malloc
10 5
+2 7

ob=(2) /build/guard
fl=(2) main.rs
fn=(2) main
3 100
cob=(1)
cfi=(1)
cfn=(1)
calls=2 10
4 12
* 1

ob=(1)
fn=(3) free
-3 4
totals: 117
";

#[test]
fn instructions_are_counted_once_and_by_object() {
    let count = callgrind::read(PROFILE, "/build/guard");
    assert_eq!(count, Some(Count { ours: 101.0, all: 117.0 }));
}

#[test]
fn a_profile_without_the_program_is_refused() {
    assert_eq!(callgrind::read(PROFILE, "/build/other"), None);
}

#[test]
fn entries_are_read_changed_and_written_back_with_their_comments() {
    let text = "# why\nrustc = \"1.95.0\"\n\n[a]\nfoo = 12.5\n\"a b, c\" = 3\n";
    let mut limits = Limits::parse(text).unwrap();
    assert_eq!(limits.to_string(), text);
    assert_eq!((limits.text("rustc"), limits.number("a b, c")), (Some("1.95.0"), Some(3.0)));
    assert_eq!((limits.number("rustc"), limits.number("bar")), (None, None));
    limits.set_number("foo", 1.26);
    limits.set_number("bar", 7.0);
    let after = text.replace("12.5", "1.3") + "bar = 7\n";
    assert_eq!(limits.to_string(), after);
    assert_eq!(limits.numbers().count(), 3);
}

#[test]
fn a_line_that_is_no_entry_is_named() {
    let error = Limits::parse("a = 1\nb 2\n").unwrap_err();
    assert!(error.starts_with("line 2"), "{error}");
}

#[test]
fn only_what_is_beyond_the_tolerance_is_more_or_less() {
    let verdict = |baseline, now| {
        let now = Count { ours: now, all: 0.0 };
        Row { kernel: String::new(), baseline, now }.verdict(2.0)
    };
    assert_eq!(verdict(Some(100.0), 101.9), Verdict::Within);
    assert_eq!(verdict(Some(100.0), 102.1), Verdict::More);
    assert_eq!(verdict(Some(100.0), 97.9), Verdict::Less);
    assert_eq!(verdict(None, 1.0), Verdict::New);
}

#[test]
fn an_unknown_argument_is_refused() {
    assert!(Wish::parse(&["--all"]).is_err());
    assert!(Wish::parse(&["--only"]).is_err());
    assert!(Wish::parse(&["--update", "--ratios"]).is_err());
    assert!(Wish::parse(&["--only", "timer"]).unwrap().wants("timer_insert_cancel"));
}

/// Else the gate would judge nothing from the day on which the promised compiler changes.
#[test]
fn the_baseline_is_of_the_compiler_that_the_manifest_promises() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let baseline = super::read_limits(root, BASELINE).unwrap();
    let promised = env!("CARGO_PKG_RUST_VERSION");
    let rustc = baseline.text("rustc").unwrap();
    assert!(rustc.starts_with(promised), "baseline of {rustc}, the manifest has {promised}");
}

#[test]
fn a_workload_beyond_its_ratio_to_tokio_is_found() {
    let lines = "a\tspargio\t30.0\t1\na\ttokio\t20.0\t1\na\ttokio-local\t1\t1\n";
    let times = ratios::read(lines).unwrap();
    assert_eq!(ratios::beyond(&times, &[("a", 1.6)]).unwrap(), []);
    assert_eq!(ratios::beyond(&times, &[("a", 1.4)]).unwrap(), [("a", 1.5)]);
}

#[test]
fn where_tokio_cannot_do_a_workload_its_local_form_is_the_peer() {
    let times = ratios::read("a\tspargio\t30.0\t1\na\ttokio-local\t10.0\t1\n").unwrap();
    assert_eq!(ratios::beyond(&times, &[("a", 2.0)]).unwrap(), [("a", 3.0)]);
}

/// They become part of a regular expression.
#[test]
fn workloads_with_limits_have_names_without_signs() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let limits = super::read_limits(root, ratios::LIMITS).unwrap();
    let mut names = limits.numbers().map(|(name, _)| name);
    let is_plain =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    assert_eq!(names.find(|name| !is_plain(name)), None);
}

#[test]
fn a_limit_on_a_workload_that_is_gone_is_an_error() {
    let times = ratios::read("a\tspargio\t30.0\t1\n").unwrap();
    assert!(ratios::beyond(&times, &[("b", 1.0)]).is_err());
    assert!(ratios::beyond(&times, &[("a", 1.0)]).is_err());
    assert!(ratios::read("a spargio 30").is_err());
}
