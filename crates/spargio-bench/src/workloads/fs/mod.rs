//! Workloads over files.

use super::Entry;

pub(super) fn all() -> Vec<Entry> {
    Vec::new()
}
