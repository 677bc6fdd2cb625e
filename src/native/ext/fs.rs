//! Metadata and directories.

mod entries;
mod statx;

pub use entries::{DirEntry, read_dir_entries};
pub use statx::{StatxMetadata, StatxOptions, statx, statx_on_shard, statx_or_metadata};

pub use crate::fs::DirEntryType;
