//! The timer wheel, against a list that is sorted when it is asked.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spargio::fuzzing::Target;

fuzz_target!(|bytes: &[u8]| Target::named("timer_wheel").main(bytes));
