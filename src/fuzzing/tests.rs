//! The corpora of the fuzz targets, replayed; and that a target can be read and shown.

use std::fs;
use std::path::PathBuf;

use super::{TARGETS, Target};

fn corpus(target: Target) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// Each input runs with its name, so that a failure says which one it was.
fn replay(name: &str) {
    let target = Target::named(name);
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "there is a corpus of {name}");
    for (file, input) in inputs {
        println!("{}", file.display());
        (target.run)(&input);
    }
}

macro_rules! replay {
    ($($test:ident = $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                replay($name);
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(TARGETS.map(|target| target.name), [$($name),*]);
        }
    };
}

replay! {
    the_corpus_of_demux_finds_nothing = "demux",
    the_corpus_of_frames_finds_nothing = "frames",
    the_corpus_of_mailbox_finds_nothing = "mailbox",
    the_corpus_of_messages_finds_nothing = "messages",
    the_corpus_of_timer_wheel_finds_nothing = "timer_wheel",
    the_corpus_of_token_finds_nothing = "token",
}

#[test]
fn any_bytes_are_a_program_that_can_be_read() {
    for target in TARGETS {
        for length in [0, 1, 7, 300] {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 37 + length) as u8).collect();
            assert!((target.show)(&bytes).len() > 4, "{target:?}");
            (target.run)(&bytes);
        }
    }
}
