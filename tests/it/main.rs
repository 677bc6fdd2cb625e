//! What the runtime promises, tried from the outside: one binary, a module for each subject.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod fair;
mod fs;
mod net;
mod parts;
mod spawn;
mod steal;
mod time;
