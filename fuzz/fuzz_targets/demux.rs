//! Completions of any kind at a shard, against a map from token to operation.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spargio::fuzzing::Target;

fuzz_target!(|bytes: &[u8]| Target::named("demux").main(bytes));
