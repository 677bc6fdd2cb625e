//! Frames in any pieces, against a look at all bytes at once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spargio::fuzzing::Target;

fuzz_target!(|bytes: &[u8]| Target::named("frames").main(bytes));
