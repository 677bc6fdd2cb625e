//! What the runtime promises, tried from the outside: one binary, a module for each subject.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod auto_traits;
mod blocking;
mod boundary;
mod budget;
mod builder;
mod cancel;
mod checklist;
mod custody;
mod drain;
mod ends;
mod entries;
mod fair;
mod fs;
mod group;
mod idle;
mod interval;
mod io;
mod messages;
mod native;
mod neighbours;
mod net;
mod observe;
mod overload;
mod parts;
mod refused;
mod shutdown;
mod soak;
mod spawn;
mod stats;
mod steal;
mod sync;
mod time;
mod torture;
