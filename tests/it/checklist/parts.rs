//! The public face.

use std::error::Error;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use spargio::boundary::{self, BoundaryError, CallError, RespondError};
use spargio::driver::{SqFull, UringRefused};
use spargio::fs::PathError;
use spargio::io::{IntoInnerError, ReuniteError};
use spargio::net::{AsyncFdTryNewError, TryIoError};
use spargio::sync::{mpsc, oneshot};
use spargio::{
    BuildError, JoinError, Runtime, RuntimeError, SendError, ShardId, TaskPlacement, TimeoutError,
    TrySpawnError, UnknownMessage,
};
use static_assertions::assert_impl_all;

use crate::custody::limits::an_operation_beyond_the_limit_is_refused_with_its_buffer;
use crate::support::{Plug, elsewhere, watched};

// `Error` is `Display` and `Debug` too.
assert_impl_all!(BuildError: Error);
assert_impl_all!(RuntimeError: Error);
assert_impl_all!(TrySpawnError<u8>: Error);
assert_impl_all!(JoinError: Error);
assert_impl_all!(SendError: Error);
assert_impl_all!(UnknownMessage: Error);
assert_impl_all!(TimeoutError: Error);
assert_impl_all!(UringRefused: Error);
assert_impl_all!(SqFull: Error);
assert_impl_all!(PathError: Error);
assert_impl_all!(IntoInnerError<u8>: Error);
assert_impl_all!(ReuniteError<u8>: Error);
assert_impl_all!(AsyncFdTryNewError<u8>: Error);
assert_impl_all!(TryIoError: Error);
assert_impl_all!(mpsc::SendError<u8>: Error);
assert_impl_all!(mpsc::TrySendError<u8>: Error);
assert_impl_all!(mpsc::TryRecvError: Error);
assert_impl_all!(oneshot::RecvError: Error);
assert_impl_all!(oneshot::TryRecvError: Error);
assert_impl_all!(BoundaryError: Error);
assert_impl_all!(CallError<u8>: Error);
assert_impl_all!(RespondError<u8>: Error);

/// The text of the error has all of these, and it can be shown to a programmer as well.
#[track_caller]
fn says<E: Error + Debug>(error: &E, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    assert!(!format!("{error:?}").is_empty());
}

/// Every public error is an [`Error`] that names the value and the limit, every public type can be
/// shown (the lint `missing_debug_implementations` forbids others), and no snippet of the
/// documentation of the crate, of the book and of the README escapes the compiler.
#[test]
fn c24_errors_speak() {
    watched(|watch| {
        says(&Runtime::builder().shards(70_000).build().unwrap_err(), &["70000", "65535"]);
        let runtime = watch.build(Runtime::builder().shards(1).max_tasks(1));
        let handle = runtime.handle();
        says(&handle.spawn_pinned(7, async {}).unwrap_err(), &["shard 7", "has 1"]);
        let unknown = TaskPlacement::Pinned(ShardId::new(7));
        let refused = handle.try_spawn_with_placement(unknown, std::future::ready(())).unwrap_err();
        says(&refused, &["shard 7", "has 1"]);
        let plug = Plug::new(&handle, 0);
        says(&handle.spawn_pinned(0, async {}).unwrap_err(), &["limit of 1"]);
        let remote = handle.remote(0).unwrap();
        let full = (0..5_000).find_map(|val| remote.send_raw_nowait(9, val).err()).unwrap();
        says(&full, &["tag 9", "value 4096", "limit of 4096"]);
        drop(plug);
        says(&UnknownMessage { tag: 3, val: 9 }, &["tag 3", "value 9"]);
        let error = elsewhere(spargio::fs::on(&handle).metadata("/no/such/path")).unwrap_err();
        says(PathError::of(&error).unwrap(), &["/no/such/path"]);
        let (sender, _receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        says(&sender.try_send(2).unwrap_err(), &["limit of 1"]);
        let (client, _server) = boundary::channel::<u8, ()>(1);
        let _first = client.try_call(1).unwrap();
        says(&client.try_call(2).unwrap_err(), &["1 request", "limit"]);
    });
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let panics = runtime.spawn_on(0, async { panic!("value 5 of 4") });
        says(&elsewhere(panics.unwrap()).unwrap_err(), &["panicked", "value 5 of 4"]);
    });
    an_operation_beyond_the_limit_is_refused_with_its_buffer();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut escaped = snippets_that_nobody_compiles(&root.join("src"));
    escaped.extend(snippets_that_nobody_compiles(&root.join("book/src")));
    escaped.extend(chapters_that_nobody_compiles(root));
    assert_eq!(escaped, Vec::<String>::new());
}

/// Chapters of the book with snippets of Rust that the documentation tests do not take in.
fn chapters_that_nobody_compiles(root: &Path) -> Vec<String> {
    let taken = fs::read_to_string(root.join("src/snippets.rs")).unwrap();
    let mut chapters = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root.join("book/src")).unwrap() {
        chapters.push(format!("book/src/{}", entry.unwrap().file_name().to_str().unwrap()));
    }
    chapters.retain(|chapter| {
        let has_rust = fs::read_to_string(root.join(chapter)).unwrap().contains("```rust");
        has_rust && !taken.contains(&format!("include_str!(\"../{chapter}\")"))
    });
    chapters
}

/// Snippets of Rust under this directory that say that they are not to be compiled.
fn snippets_that_nobody_compiles(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(snippets_that_nobody_compiles(&path));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let fences = text.lines().map(|line| line.trim_start_matches(['/', '!', ' ']));
        let escapes = fences.filter(|line| line.starts_with("```") && line.contains("ignore"));
        found.extend(escapes.map(|line| format!("{}: {line}", path.display())));
    }
    found
}
