//! The token codec, against text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spargio::fuzzing::Target;

fuzz_target!(|bytes: &[u8]| Target::named("token").main(bytes));
