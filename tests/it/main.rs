//! The runtime from the outside: real rings, real threads, the public interface alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod auto_traits;
mod builder;
mod entries;
mod fair;
mod idle;
mod parts;
mod refused;
mod shutdown;
mod spawn;
mod stats;
mod steal;
