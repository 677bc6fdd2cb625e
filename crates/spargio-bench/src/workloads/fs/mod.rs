//! Workloads over files, all of whose blocks are in the page cache.

use super::failed::failed;
use super::{Entry, Floor, Spec, Stage, Workload, entry};

mod blocks;
mod lengths;
mod metadata;
mod reads;

pub(super) use blocks::{BLOCK, Blocks, Offsets, check_block, check_start};
pub(super) use lengths::Lengths;

pub(super) fn all() -> Vec<Entry> {
    vec![
        entry::<reads::Depth1>(),
        entry::<reads::Depth32>(),
        entry::<reads::Depth128>(),
        entry::<metadata::RoundTrip>(),
    ]
}
