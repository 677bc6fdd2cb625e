//! Where the block with a number lies.

use std::fmt;

use crate::primitive::{AtomicPtr, Ordering};
use crate::queue::bwos::block::Block;

/// A ring of pointers to blocks. The block with number `n` is in place `n` modulo the length, from
/// the time it is in use until the place is needed for another.
///
/// A table is replaced by a larger one, and kept as long as the queue: somebody may be reading it.
pub(super) struct Table<T> {
    places: Box<[AtomicPtr<Block<T>>]>,
    /// The table before this one; written once, before others see it.
    pub(super) older: *mut Self,
}

impl<T> Table<T> {
    /// With room for this many blocks, a power of two.
    pub(super) fn new(places: usize, older: *mut Self) -> Self {
        debug_assert!(places.is_power_of_two(), "{places} places");
        let empty = || AtomicPtr::new(std::ptr::null_mut());
        Self { places: (0..places).map(|_| empty()).collect(), older }
    }

    pub(super) fn len(&self) -> u64 {
        self.places.len() as u64
    }

    fn place(&self, number: u64) -> &AtomicPtr<Block<T>> {
        &self.places[number as usize & (self.places.len() - 1)]
    }

    /// The block in the place of this number, or null if none has ever been there. Its mark says
    /// which number it really has.
    pub(super) fn get(&self, number: u64) -> *mut Block<T> {
        // Acquire pairs with `set`: a block that was put there since B3 is seen whole.
        self.place(number).load(Ordering::Acquire)
    }

    /// The owner puts a block in its place.
    pub(super) fn set(&self, number: u64, block: *mut Block<T>) {
        // Release pairs with `get`.
        self.place(number).store(block, Ordering::Release);
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.len()).finish_non_exhaustive()
    }
}
