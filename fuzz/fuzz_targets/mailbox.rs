//! A shard's mailbox, against a list.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spargio::fuzzing::Target;

fuzz_target!(|bytes: &[u8]| Target::named("mailbox").main(bytes));
