//! Messages between shards, against lists of what was sent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spargio::fuzzing::Target;

fuzz_target!(|bytes: &[u8]| Target::named("messages").main(bytes));
