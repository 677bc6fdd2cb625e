//! Workloads over sockets.

use super::Entry;

pub(super) fn all() -> Vec<Entry> {
    Vec::new()
}
