//! Completions of any kind at a shard, against a map from token to operation.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spargio::fuzzing::Target;

/// Fds of this process, which has one thread.
fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs is there").count()
}

fuzz_target!(
    init: {
        // What the process opens once and keeps.
        Target::named("demux").main(&[]);
    },
    |bytes: &[u8]| {
        let before = open_fds();
        Target::named("demux").main(bytes);
        assert_eq!(open_fds(), before, "fds that are open after a run");
    }
);
