//! One block: a few slots, and one word that says how many of them are taken and for which use of
//! the block.

use std::fmt;
use std::mem::MaybeUninit;

use crate::primitive::{AtomicU64, Ordering, UnsafeCell};

/// How many items a block has room for: four cache lines of tasks, and as many as a theft takes by
/// default.
pub(super) const SLOTS: u64 = if cfg!(loom) { 2 } else { 32 };

/// Bits of a mark that count the taken items.
const TAKEN_BITS: u32 = 8;

/// What the word of a block says: the number under which the block is in use, and how many of its
/// items are taken. A block that is used again has another number, so a mark that was read long ago
/// equals no later one. (Numbers grow by one per block and queue; 56 bits of them last for longer
/// than the machine.)
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    /// What no block ever says: more is taken than there is room for.
    pub(super) const NEVER: Self = Self(u64::MAX);

    pub(super) const fn new(number: u64, taken: u64) -> Self {
        Self(number << TAKEN_BITS | taken)
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) const fn number(self) -> u64 {
        self.0 >> TAKEN_BITS
    }

    pub(super) const fn taken(self) -> u64 {
        self.0 & ((1 << TAKEN_BITS) - 1)
    }

    /// After so many more were taken.
    pub(super) const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

const _: () = assert!(SLOTS < 1 << TAKEN_BITS);

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number(), self.taken())
    }
}

/// The slots of some items, oldest first.
///
/// Aligned so that no two blocks share a cache line, nor a pair of lines that is fetched together.
#[repr(align(128))]
pub(super) struct Block<T> {
    mark: AtomicU64,
    /// How many items thieves have read out since the block is in use under its number.
    read_out: AtomicU64,
    slots: [UnsafeCell<MaybeUninit<T>>; SLOTS as usize],
    /// The block that was allocated before this one; written once, before others see it.
    pub(super) older: *mut Self,
}

impl<T> Block<T> {
    /// A block in no use.
    pub(super) fn new(older: *mut Self) -> Self {
        Self {
            mark: AtomicU64::new(Mark::NEVER.bits()),
            read_out: AtomicU64::new(0),
            slots: std::array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit())),
            older,
        }
    }

    /// The owner puts the block in use under a new number. Every item of its last use has been read
    /// out.
    pub(super) fn begin(&self, number: u64) {
        // Relaxed both: B2 publishes them together with the first item.
        self.read_out.store(0, Ordering::Relaxed);
        self.mark.store(Mark::new(number, 0).bits(), Ordering::Relaxed);
    }

    pub(super) fn mark(&self) -> Mark {
        // Relaxed: what a mark is good for is decided by `claim`.
        Mark::from_bits(self.mark.load(Ordering::Relaxed))
    }

    /// B4: takes the next `count` items, unless anything has changed since the mark was read. Who
    /// took them reads them out.
    pub(super) fn claim(&self, mark: Mark, count: u64) -> bool {
        let after = mark.plus(count).bits();
        // Relaxed: the items come with B2 and B3, and the slots go back with B6 and B7.
        self.mark.compare_exchange(mark.bits(), after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A thief has read out so many of the items that it had claimed.
    pub(super) fn note_read_out(&self, count: u64) {
        // B6. Release pairs with B7: the reads come before the slots are written again.
        self.read_out.fetch_add(count, Ordering::Release);
    }

    /// Whether thieves have read out that many items, all that they had claimed.
    pub(super) fn is_read_out(&self, stolen: u64) -> bool {
        // B7. Acquire pairs with B6 of each thief: the others are part of the release sequence.
        self.read_out.load(Ordering::Acquire) == stolen
    }

    /// Puts an item into a slot.
    ///
    /// # Safety
    ///
    /// The caller is the owner, and the slot is free: B2 has not covered it yet under the present
    /// number.
    pub(super) unsafe fn write(&self, slot: u64, item: T) {
        self.slots[slot as usize].with_mut(|cell| {
            // SAFETY:
            // - the pointer is to the slot; nobody reads it before B2 covers it, and whoever read
            //   it under an earlier number has finished (B7).
            unsafe { cell.write(MaybeUninit::new(item)) };
        });
    }

    /// Takes an item out of its slot.
    ///
    /// # Safety
    ///
    /// The caller has claimed the item and reads it once, before B6; or it has the queue for
    /// itself, and nobody has claimed the item.
    pub(super) unsafe fn read(&self, slot: u64) -> T {
        self.slots[slot as usize].with_mut(|cell| {
            // SAFETY:
            // - the slot was written before B2 covered it, which the claim made sure of, and is
            //   not written again before B7.
            let item = unsafe { cell.read() };
            // SAFETY:
            // - the same: it holds an item, which the caller alone takes out.
            unsafe { item.assume_init() }
        })
    }
}

impl<T> fmt::Debug for Block<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("mark", &self.mark()).finish_non_exhaustive()
    }
}
