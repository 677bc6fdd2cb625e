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

/// The name of an operation of [`native`](crate::native): unique in its runtime, and never used
/// again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NativeOpId(u64);

impl NativeOpId {
    const NUMBER_BITS: u32 = u64::BITS - u16::BITS;

    /// The operation of this number; the bits of the number above 48 are cut off.
    pub(crate) const fn new(shard: ShardId, number: u64) -> Self {
        Self((shard.0 as u64) << Self::NUMBER_BITS | (number & ((1 << Self::NUMBER_BITS) - 1)))
    }

    /// The shard that the operation was given to, which it stays with.
    ///
    /// ```
    /// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// # runtime.block_on(async {
    /// let sync = native.fsync(std::fs::File::open("Cargo.toml")?);
    /// assert_eq!(sync.id().shard(), sync.shard());
    /// sync.await
    /// # }).unwrap();
    /// ```
    pub const fn shard(self) -> ShardId {
        ShardId((self.0 >> Self::NUMBER_BITS) as u16)
    }
}

impl fmt::Display for NativeOpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0 & ((1 << Self::NUMBER_BITS) - 1);
        write!(f, "{number}@{}", self.shard())
    }
}

impl fmt::Debug for NativeOpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NativeOpId({self})")
    }
}
