//! Operations that fail, as results that are wrong.

use std::io;

use crate::measure::Wrong;

/// Says which operation failed.
pub(super) fn failed(what: &str) -> impl Fn(io::Error) -> Wrong {
    move |error| Wrong(format!("{what}: {error}"))
}
