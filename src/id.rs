//! Names of shards, tasks and runtimes: an index is a type of its own, never a bare integer.

use std::fmt;

/// The number of a shard: a thread with its own ring, counted from 0.
///
/// ```
/// use spargio::ShardId;
/// assert_eq!(ShardId::from(3).index(), 3);
/// assert_eq!(ShardId::EXTERNAL.to_string(), "external");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(u16);

impl ShardId {
    /// What stands in the place of a shard for a thread that is none.
    pub const EXTERNAL: Self = Self(u16::MAX);

    /// The largest number of shards a runtime can have.
    pub const MAX_SHARDS: usize = u16::MAX as usize;

    /// The shard with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The shard at an index below [`ShardId::MAX_SHARDS`].
    ///
    /// # Panics
    ///
    /// If the index is not below the limit; the builder refuses runtimes of that size.
    #[track_caller]
    pub const fn from_index(index: usize) -> Self {
        assert!(index < Self::MAX_SHARDS, "a shard index is below 65,535");
        Self(index as u16)
    }
}

impl From<u16> for ShardId {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::EXTERNAL { f.write_str("external") } else { self.0.fmt(f) }
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardId({self})")
    }
}

/// The identity of a task: unique among all tasks of all runtimes of this process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(u64);

impl TaskId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, which is never 0.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
