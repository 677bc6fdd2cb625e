//! The runtime from the outside: real rings, real threads, the public interface alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod fair;
mod parts;
mod shutdown;
mod spawn;
mod steal;
