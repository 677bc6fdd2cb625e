//! Each rule on small files: what it accepts, and what it says about the rest.

use super::{Finding, judge, length};

/// What one rule says about one file, as lines.
fn lines(rule: &str, path: &str, text: &str) -> Vec<usize> {
    lines_of_all(rule, &[(path, text)])
}

fn lines_of_all(rule: &str, files: &[(&str, &str)]) -> Vec<usize> {
    let files: Vec<(String, String)> =
        files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
    let findings = judge(&files, "");
    assert!(findings.iter().all(|finding| finding.rule != "syntax"), "{findings:?}");
    findings.iter().filter(|finding| finding.rule == rule).map(|finding| finding.line).collect()
}

/// Rows of: file, text, lines that the rule names.
type Table<'a> = &'a [(&'a str, &'a str, &'a [usize])];

fn check(rule: &str, table: Table<'_>) {
    for (path, text, expected) in table {
        assert_eq!(&lines(rule, path, text)[..], *expected, "{rule} on {path}:\n{text}");
    }
}

#[test]
fn imports_down_are_accepted() {
    check(
        "layers",
        &[
            ("src/shard.rs", "use crate::driver::Driver;\nuse crate::queue::{self, Local};", &[]),
            ("src/runtime/launch.rs", "use crate::builder::Options;", &[]),
            ("src/op/cell.rs", "use crate::{port::Port, primitive::AtomicU32};", &[]),
            ("src/net/tcp.rs", "use crate::op::Op;\nuse super::socket::Socket;", &[]),
            ("src/driver/uring.rs", "use super::{Driver, caps::Caps};", &[]),
            ("src/driver.rs", "mod entry;\npub use self::entry::Sqe;", &[]),
            ("src/driver/entry.rs", "use crate::error::Full;\nuse super::caps::Caps;", &[]),
            ("src/lib.rs", "pub use runtime::Runtime;\npub use crate::net::TcpStream;", &[]),
            ("src/queue/mutex.rs", "use std::sync::Arc;\nuse ::shard::Foreign;", &[]),
            ("crates/other/src/queue.rs", "use crate::shard::Shard;", &[]),
        ],
    );
}

#[test]
fn imports_up_are_findings() {
    check(
        "layers",
        &[
            ("src/id.rs", "use crate::buf::IoBuf;", &[1]),
            ("src/queue/mutex.rs", "use crate::shard::Shard;", &[1]),
            ("src/driver/entry.rs", "use super::Driver;", &[1]),
            ("src/port.rs", "fn f() {\n    crate::runtime::Runtime::current();\n}", &[2]),
            ("src/port.rs", "type T = Vec<crate::net::TcpStream>;", &[1]),
            (
                "src/buf.rs",
                "use crate::{\n    id::ShardId,\n    {task::Task, shard::Shard},\n};",
                &[3, 3],
            ),
            ("src/shard/turn.rs", "use super::super::runtime;", &[1]),
            ("src/task.rs", "mod inner {\n    use super::super::port::Port as P;\n}", &[2]),
            ("src/timer.rs", "use crate::op::*;", &[1]),
        ],
    );
}

#[test]
fn imports_sideways_are_findings_but_for_the_named_exception() {
    check(
        "layers",
        &[
            ("src/queue.rs", "use crate::task::Task;", &[1]),
            ("src/task/state.rs", "use crate::driver::Driver;", &[1]),
            ("src/doorbell/ring.rs", "use crate::driver::{Driver, RingDriver};", &[]),
            ("src/doorbell/ring.rs", "use crate::driver::uring::Uring;", &[1]),
            ("src/driver.rs", "use crate::doorbell::Doorbell;", &[1]),
            ("src/port.rs", "use crate::assembly::Assembly;", &[1]),
            ("src/fs/file.rs", "use crate::net::TcpStream;", &[1]),
            ("src/op/accept.rs", "use crate::net::TcpStream;", &[1]),
        ],
    );
}

#[test]
fn a_re_exported_name_counts_where_it_is_defined() {
    let facade = "mod entry;\nmod uring;\npub use entry::{Sqe, Cqe as Answer};\n\
                  pub(crate) use crate::driver::uring::Uring;";
    for (import, expected) in [
        ("use crate::driver::Sqe;", &[][..]),
        ("use crate::driver::{Answer, Driver};", &[]),
        ("fn f() { crate::driver::Sqe::new(); }", &[]),
        ("use crate::driver::Cqe;", &[1]),
        ("use crate::driver::Uring;", &[1]),
    ] {
        let files = [("src/driver/mod.rs", facade), ("src/doorbell.rs", import)];
        assert_eq!(&lines_of_all("layers", &files)[..], expected, "{import}");
    }
    let circle = [("src/buf.rs", "pub use crate::id::A;"), ("src/id.rs", "pub use crate::buf::A;")];
    assert_eq!(lines_of_all("layers", &circle), [1], "a circle ends, and one half of it goes up");
}

#[test]
fn operations_reach_shards_and_the_kernel_by_their_door_only() {
    check(
        "layers",
        &[
            ("src/op.rs", "use crate::shard::Shard;", &[1]),
            ("src/op.rs", "use crate::assembly::Assembly;", &[1]),
            ("src/op.rs", "use crate::inflight::Slot;", &[]),
            ("src/fs.rs", "use crate::runtime::RuntimeHandle;", &[1]),
            ("src/fs.rs", "use crate::inflight::Slot;", &[1]),
            ("src/native/raw.rs", "use crate::driver::entry::Sqe;", &[]),
            ("src/native/raw.rs", "use crate::driver::Driver;", &[1]),
        ],
    );
}

#[test]
fn names_of_the_root_and_unknown_modules_are_findings() {
    check(
        "layers",
        &[
            ("src/queue.rs", "use crate::ShardId;", &[1]),
            ("src/surprise.rs", "use crate::id::ShardId;", &[1]),
            ("src/surprise/tests.rs", "use crate::id::ShardId;", &[]),
        ],
    );
}

#[test]
fn tests_macros_comments_and_strings_are_not_imports() {
    check(
        "layers",
        &[
            ("src/id.rs", "#[cfg(test)]\nmod tests {\n    use crate::shard::Shard;\n}", &[]),
            ("src/id.rs", "#[cfg(all(test, loom))]\nuse crate::shard::Shard;", &[]),
            ("src/id.rs", "#[cfg(not(test))]\nuse crate::shard::Shard;", &[2]),
            ("src/id/tests.rs", "use crate::shard::Shard;", &[]),
            ("src/id.rs", "fn f() { log!(crate::shard::now()); crate::shout!(); }", &[]),
            (
                "src/id.rs",
                "/// See [`crate::shard::Shard`].\nconst A: &str = \"crate::shard\";",
                &[],
            ),
            ("src/id.rs", "pub(in crate::shard) struct S;", &[]),
        ],
    );
    let declared = [
        ("src/id.rs", "#[cfg(test)]\nmod model;"),
        ("src/id/model.rs", "use crate::shard::Shard;\nmod deep;"),
        ("src/id/model/deep.rs", "use crate::shard::Shard;"),
    ];
    assert_eq!(lines_of_all("layers", &declared), []);
    let not_a_test = [("src/id.rs", "mod model;"), declared[1]];
    assert_eq!(lines_of_all("layers", &not_a_test), [1]);
}

#[test]
fn a_file_begins_with_its_responsibility() {
    check(
        "module-doc",
        &[
            ("src/id.rs", "//! Names.\n\nstruct S;", &[]),
            ("src/id.rs", "\n//! Names.", &[]),
            ("src/id.rs", "struct S;", &[1]),
            ("src/id.rs", "", &[1]),
            ("src/id.rs", "// Names.\nstruct S;", &[1]),
            ("src/id.rs", "//!\n//! Names.", &[1]),
            ("tests/it/main.rs", "use std::fmt;\n", &[1]),
        ],
    );
}

#[test]
fn unsafe_blocks_have_a_safety_comment_right_above() {
    check(
        "safety-comment",
        &[
            ("src/op.rs", "fn f() {\n    // SAFETY: it lives.\n    unsafe { g() }\n}", &[]),
            ("src/op.rs", "// SAFETY:\n// - no cell inside\nunsafe impl Send for S {}", &[]),
            ("src/op.rs", "// SAFETY: plain\n#[cfg(a)]\nunsafe impl Send for S {}", &[]),
            (
                "src/op.rs",
                "fn f() {\n    // SAFETY: a\n    let x =\n        unsafe { g() };\n}",
                &[],
            ),
            ("src/op.rs", "fn f() {\n    unsafe { g() } // SAFETY: a\n}", &[]),
            ("src/op.rs", "fn f() {\n    unsafe { g() }\n}", &[2]),
            ("src/op.rs", "unsafe impl Send for S {}", &[1]),
            ("src/op.rs", "// SAFETY: far\n\nunsafe impl Send for S {}", &[3]),
            ("src/op.rs", "const A: &str = \"// SAFETY: a\";\nunsafe impl Send for S {}", &[2]),
            ("src/op.rs", "macro_rules! m { () => {\n    unsafe { g() }\n} }", &[2]),
            ("src/op.rs", "#[test]\nfn f() {\n    unsafe { g() }\n}", &[]),
            ("src/op.rs", "// unsafe { }\nconst A: &str = \"unsafe { }\";", &[]),
        ],
    );
}

#[test]
fn unsafe_functions_and_traits_have_a_safety_section() {
    check(
        "safety-section",
        &[
            ("src/op.rs", "/// Goes.\n///\n/// # Safety\n///\n/// Once.\nunsafe fn f() {}", &[]),
            ("src/op.rs", "/// # Safety\nunsafe trait T {}", &[]),
            ("src/op.rs", "unsafe impl T for S {\n    unsafe fn f() {}\n}", &[]),
            ("src/op.rs", "/// Goes.\nunsafe fn f() {}", &[2]),
            ("src/op.rs", "pub unsafe trait T {}", &[1]),
            ("src/op.rs", "trait T {\n    unsafe fn f();\n}", &[2]),
            ("src/op.rs", "impl S {\n    unsafe fn f() {}\n}", &[2]),
            ("src/op.rs", "impl T for S {\n    fn f() {\n        unsafe fn g() {}\n    }\n}", &[3]),
            ("src/op.rs", "#[cfg(test)]\nmod t {\n    unsafe fn f() {}\n}", &[]),
        ],
    );
}

#[test]
fn unsafe_code_is_in_the_listed_places_only() {
    let text = "fn f() { unsafe { g() } }";
    check(
        "unsafe-home",
        &[
            ("src/driver/uring.rs", text, &[]),
            ("src/inflight.rs", text, &[]),
            ("tests/it/custody.rs", text, &[]),
            ("src/net/tcp.rs", text, &[1]),
            ("src/driver_like.rs", text, &[1]),
            ("src/placement.rs", "unsafe trait T {}", &[1]),
            ("xtask/src/main.rs", text, &[1]),
            ("src/placement/tests.rs", text, &[]),
        ],
    );
}

#[test]
fn placeholders_are_findings_even_in_tests() {
    check(
        "placeholder",
        &[
            ("src/op.rs", "fn f() {\n    todo!()\n}", &[2]),
            ("src/op.rs", "fn f() { assert!(dbg!(true)); }", &[1]),
            ("crates/a/src/lib.rs", "fn f() { std::unimplemented!(\"later\") }", &[1]),
            ("src/op/tests.rs", "fn f() { todo!() }", &[1]),
            ("src/op.rs", "// todo!\nfn todo() -> bool { let dbg = 1; dbg != 2 }", &[]),
            ("src/op.rs", "const A: &str = \"todo!()\";", &[]),
        ],
    );
}

#[test]
fn a_dropped_result_has_its_reason_beside_it() {
    check(
        "dropped-result",
        &[
            ("src/op.rs", "fn f() {\n    let _ = g();\n}", &[2]),
            ("src/op.rs", "fn f() {\n    let _ = a.b()?;\n}", &[2]),
            ("src/op.rs", "fn f() {\n    let _ = write!(out, \"a\");\n}", &[2]),
            ("src/op.rs", "fn f() {\n    let _ = \"// no comment\".len();\n}", &[2]),
            ("src/op.rs", "fn f() {\n    let _ = g(); // the peer is gone\n}", &[]),
            ("src/op.rs", "fn f() {\n    // The peer is gone.\n    let _ = g();\n}", &[]),
            ("src/op.rs", "fn f() {\n    h(); // why\n    let _ = g();\n}", &[3]),
            ("src/op.rs", "fn f(a: u8) {\n    let _ = a;\n    let _b = g();\n}", &[]),
            ("src/op/tests.rs", "fn f() {\n    let _ = g();\n}", &[]),
            ("tests/it/main.rs", "fn f() {\n    let _ = g();\n}", &[]),
        ],
    );
}

#[test]
fn comments_end_within_a_hundred_columns() {
    let fits = format!("// {}", "x".repeat(97));
    let wide = format!("// {}", "x".repeat(98));
    let wide_letters = format!("// {}", "\u{e9}".repeat(97));
    let wide_doc = format!("/// {}\nstruct S;", "x".repeat(97));
    let behind_code = format!("struct S; // {}", "x".repeat(90));
    let wide_text = format!("const A: &str = \"// {}\";", "x".repeat(98));
    let raw_text = format!("const A: &str = r#\"\n// {}\n\"#;", "x".repeat(98));
    let address = format!("// https://{}", "x".repeat(98));
    check(
        "comment-width",
        &[
            ("src/op.rs", &fits, &[]),
            ("src/op.rs", &wide, &[1]),
            ("src/op.rs", &wide_letters, &[]),
            ("src/op.rs", &wide_doc, &[1]),
            ("src/op.rs", &behind_code, &[1]),
            ("src/op.rs", &wide_text, &[]),
            ("src/op.rs", &raw_text, &[]),
            ("src/op.rs", &address, &[]),
        ],
    );
}

/// What the ratchet says, as path, line and the first word of the advice.
fn ratchet(list: &str, files: &[(&str, usize)]) -> Vec<(String, usize, String)> {
    let mut findings: Vec<Finding> = Vec::new();
    length::ratchet("list", list, files.iter().copied(), &mut findings);
    findings
        .into_iter()
        .map(|finding| {
            let verb = finding.advice.split(' ').next().unwrap_or_default().to_owned();
            (finding.path, finding.line, verb)
        })
        .collect()
}

#[test]
fn files_stay_within_the_limit_or_their_entry() {
    type Row<'a> = (&'a str, usize, Option<(&'a str, usize, &'a str)>);
    let table: &[Row<'_>] = &[
        ("", 500, None),
        ("", 501, Some(("a.rs", 501, "split"))),
        ("a.rs 600", 600, None),
        ("# why\n\na.rs 600", 601, Some(("a.rs", 601, "the"))),
        ("# why\n\na.rs 600", 599, Some(("list", 3, "lower"))),
        ("a.rs 600", 500, Some(("list", 1, "remove"))),
    ];
    for &(list, lines, expected) in table {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(path, line, verb)| (path.to_owned(), line, verb.to_owned()))
            .collect();
        assert_eq!(ratchet(list, &[("a.rs", lines)]), expected, "{list:?}, {lines} lines");
    }
}

#[test]
fn the_list_itself_is_in_order() {
    for (list, verb) in [
        ("gone.rs 600", "remove"),
        ("a.rs 600\na.rs 600", "keep"),
        ("a.rs", "write"),
        ("a.rs many", "write"),
        ("b.rs 500", "write"),
    ] {
        let found = ratchet(list, &[("a.rs", 600)]);
        assert!(found.iter().any(|(path, _, v)| path == "list" && v == verb), "{list}: {found:?}");
    }
}

#[test]
fn a_finding_reads_as_place_rule_and_advice() {
    let files = [("src/queue.rs".to_owned(), "//! Q.\nuse crate::shard::Shard;".to_owned())];
    let findings = judge(&files, "");
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "src/queue.rs:2: layers: `queue` is L2 and must not import `shard::Shard` of L4: imports \
          go down only; take it as an argument or move it down"
        ]
    );
}

#[test]
fn a_file_that_does_not_parse_is_a_finding() {
    let files = [("src/a.rs".to_owned(), "//! A.\nfn f( {}\n".to_owned())];
    let findings = judge(&files, "");
    assert!(findings.iter().any(|finding| finding.rule == "syntax"), "{findings:?}");
}
