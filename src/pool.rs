//! Memory for tasks and completion cells: a few free blocks per thread, so that neither a spawn nor
//! an operation in steady state allocates anything.
//!
//! Where one thread makes what another frees, blocks gather at the second. It passes them on in
//! batches, by way of a shelf for each size that all threads share.

use std::ptr::NonNull;

#[cfg(not(loom))]
use imp::{allocate_raw, free_raw};

/// Moves `value`, which is not of size 0, to memory of its own.
pub(crate) fn allocate<T>(value: T) -> NonNull<T> {
    const { assert!(size_of::<T>() > 0, "memory of size 0 is not allocated") };
    #[cfg(not(loom))]
    {
        let memory = allocate_raw(std::alloc::Layout::new::<T>()).cast::<T>();
        // SAFETY:
        // - the memory fits the layout of `T` and is nobody else's.
        unsafe { memory.write(value) };
        memory
    }
    #[cfg(loom)]
    NonNull::from(Box::leak(Box::new(value)))
}

/// Moves the value out and takes the memory back.
///
/// # Safety
///
/// The pointer came from [`allocate`] and is not used afterwards.
pub(crate) unsafe fn free<T>(memory: NonNull<T>) -> T {
    #[cfg(not(loom))]
    {
        // SAFETY:
        // - the caller owns the value, and it is not used in place afterwards.
        let value = unsafe { memory.read() };
        // SAFETY:
        // - the memory came from `allocate_raw` with the same layout.
        unsafe { free_raw(memory.cast(), std::alloc::Layout::new::<T>()) };
        value
    }
    #[cfg(loom)]
    {
        // SAFETY:
        // - `allocate` made the pointer from a box.
        *unsafe { Box::from_raw(memory.as_ptr()) }
    }
}

/// Takes the memory back, and leaves alone what lies in it.
///
/// # Safety
///
/// The pointer came from [`allocate`] and is not used afterwards.
pub(crate) unsafe fn deallocate<T>(memory: NonNull<T>) {
    #[cfg(not(loom))]
    {
        // SAFETY:
        // - the memory came from `allocate_raw` with the same layout.
        unsafe { free_raw(memory.cast(), std::alloc::Layout::new::<T>()) };
    }
    #[cfg(loom)]
    {
        // SAFETY:
        // - `allocate` made the pointer from a box; `MaybeUninit` has the same layout.
        drop(unsafe { Box::from_raw(memory.as_ptr().cast::<std::mem::MaybeUninit<T>>()) });
    }
}

#[cfg(not(loom))]
mod imp {
    use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
    use std::cell::RefCell;
    use std::ptr::NonNull;

    use crate::primitive::{AtomicUsize, Mutex, Ordering, lock};

    /// Block sizes are multiples of this; it is also their alignment.
    const GRAIN: usize = 64;
    /// Larger blocks come from the allocator each time.
    const CLASSES: usize = 6;
    /// How many free blocks of a size a thread keeps, and as many lie on its shelf; more go back to
    /// the allocator.
    pub(super) const KEPT: usize = 1024;
    /// How many go to a shelf, or are taken from there, at a time.
    pub(super) const BATCH: usize = 128;

    /// Free blocks of one size, for whoever needs some.
    pub(super) struct Shelf {
        blocks: Mutex<Vec<Block>>,
        /// How many there are. A hint: read without the lock.
        count: AtomicUsize,
    }

    /// A free block.
    struct Block(NonNull<u8>);

    // SAFETY:
    // - the memory is nobody's, and may be taken back on any thread.
    unsafe impl Send for Block {}

    static SHELVES: [Shelf; CLASSES] = [const { Shelf::new() }; CLASSES];

    impl Shelf {
        /// One on which nothing lies.
        pub(super) const fn new() -> Self {
            Self { blocks: Mutex::new(Vec::new()), count: AtomicUsize::new(0) }
        }

        /// A block of the list, which takes a batch from here if it has none.
        #[inline]
        pub(super) fn pop(&self, list: &mut Vec<NonNull<u8>>) -> Option<NonNull<u8>> {
            list.pop().or_else(|| self.pop_from_batch(list))
        }

        #[cold]
        fn pop_from_batch(&self, list: &mut Vec<NonNull<u8>>) -> Option<NonNull<u8>> {
            if self.count.load(Ordering::Relaxed) > 0 {
                self.give_to(list);
            }
            list.pop()
        }

        /// Puts a block on the list, which leaves a batch here if it has too many. Whether one of
        /// them had room.
        #[inline]
        pub(super) fn push(&self, list: &mut Vec<NonNull<u8>>, memory: NonNull<u8>) -> bool {
            let room = list.len() < KEPT || self.make_room(list);
            if room {
                list.push(memory);
            }
            room
        }

        /// Takes a batch of a list that has too many. Whether the list has room now.
        #[cold]
        fn make_room(&self, list: &mut Vec<NonNull<u8>>) -> bool {
            if self.count.load(Ordering::Relaxed) < KEPT {
                self.take_from(list);
            }
            list.len() < KEPT
        }

        /// How many blocks lie here.
        #[cfg(test)]
        pub(super) fn len(&self) -> usize {
            lock(&self.blocks).len()
        }

        /// Takes a batch of the list, unless it has enough.
        fn take_from(&self, list: &mut Vec<NonNull<u8>>) {
            let mut blocks = lock(&self.blocks);
            if blocks.len() < KEPT {
                let from = list.len().saturating_sub(BATCH);
                blocks.extend(list.drain(from..).map(Block));
                self.count.store(blocks.len(), Ordering::Relaxed);
            }
        }

        /// Gives a batch to the list, if it has some.
        fn give_to(&self, list: &mut Vec<NonNull<u8>>) {
            let mut blocks = lock(&self.blocks);
            let from = blocks.len().saturating_sub(BATCH);
            list.extend(blocks.drain(from..).map(|Block(memory)| memory));
            self.count.store(blocks.len(), Ordering::Relaxed);
        }
    }

    struct Pool([Vec<NonNull<u8>>; CLASSES]);

    thread_local! {
        static POOL: RefCell<Pool> = const { RefCell::new(Pool([const { Vec::new() }; CLASSES])) };
    }

    /// The size class of a layout.
    #[inline]
    fn class_of(layout: Layout) -> Option<usize> {
        let class = layout.size().checked_sub(1)? / GRAIN;
        (class < CLASSES && layout.align() <= GRAIN).then_some(class)
    }

    fn block(class: usize) -> Layout {
        Layout::from_size_align((class + 1) * GRAIN, GRAIN).expect("a few grains make a layout")
    }

    #[inline]
    pub(super) fn allocate_raw(layout: Layout) -> NonNull<u8> {
        let class = class_of(layout);
        if let Some(class) = class
            // try_with: a thread that is ending has no pool any more.
            && let Ok(Some(kept)) =
                POOL.try_with(|pool| SHELVES[class].pop(&mut pool.borrow_mut().0[class]))
        {
            return kept;
        }
        let layout = class.map_or(layout, block);
        // SAFETY:
        // - the layout is not of size 0: `allocate` refuses such types when they are compiled.
        let memory = unsafe { alloc(layout) };
        NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// # Safety
    ///
    /// The memory came from `allocate_raw` with this layout and is not used afterwards.
    #[inline]
    pub(super) unsafe fn free_raw(memory: NonNull<u8>, layout: Layout) {
        let class = class_of(layout);
        if let Some(class) = class
            && let Ok(true) =
                POOL.try_with(|pool| SHELVES[class].push(&mut pool.borrow_mut().0[class], memory))
        {
            return;
        }
        let layout = class.map_or(layout, block);
        // SAFETY:
        // - `allocate_raw` rounds the layout up in the same way.
        unsafe { dealloc(memory.as_ptr(), layout) };
    }

    /// How many free blocks this thread keeps for a layout.
    #[cfg(test)]
    pub(super) fn kept(layout: Layout) -> usize {
        class_of(layout).map_or(0, |class| POOL.with(|pool| pool.borrow().0[class].len()))
    }

    /// How many free blocks lie on the shelf for a layout.
    #[cfg(test)]
    pub(super) fn shelved(layout: Layout) -> usize {
        class_of(layout).map_or(0, |class| SHELVES[class].len())
    }

    impl Drop for Pool {
        fn drop(&mut self) {
            for (class, list) in self.0.iter_mut().enumerate() {
                for memory in list.drain(..) {
                    // SAFETY:
                    // - blocks of this list were allocated with this layout and are free.
                    unsafe { dealloc(memory.as_ptr(), block(class)) };
                }
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
