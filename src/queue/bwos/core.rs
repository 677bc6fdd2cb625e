//! What the owner and the thieves share, and the thief's side.

use std::fmt;

use crossbeam_utils::CachePadded;

use crate::primitive::{AtomicPtr, AtomicU64, Ordering};
use crate::queue::bwos::block::{Block, Mark, SLOTS};
use crate::queue::bwos::intake::Intake;
use crate::queue::bwos::table::Table;

/// The shared part of a queue.
pub(super) struct Core<T> {
    owners: CachePadded<Owners>,
    thieves: CachePadded<Thieves>,
    table: AtomicPtr<Table<T>>,
    /// The block that was allocated last; from there all others can be reached.
    blocks: AtomicPtr<Block<T>>,
    pub(super) intake: CachePadded<Intake<T>>,
}

/// Counts that the owner alone writes.
#[derive(Debug)]
struct Owners {
    /// How many items were ever pushed.
    pushed: AtomicU64,
    /// How many of them the owner has popped.
    popped: AtomicU64,
}

/// Words that thieves write.
#[derive(Debug)]
struct Thieves {
    /// How many items thieves have taken.
    stolen: AtomicU64,
    /// No block with a smaller number has an item left. The owner writes it too, once per block. A
    /// hint from where to look on.
    front: AtomicU64,
    /// What the oldest block with items said when a thief was there last.
    seen: AtomicU64,
}

/// What a look for items gave.
#[derive(Debug)]
struct Found<'a, T> {
    block: &'a Block<T>,
    mark: Mark,
    /// How many of the block's slots were ever filled under this number.
    filled: u64,
}

/// What a theft came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Theft {
    /// Nothing was there.
    Empty,
    /// Somebody else took of the same block at the same moment.
    Lost,
    /// So many items.
    Took(usize),
}

impl<T> Core<T> {
    /// With a table of so many places.
    pub(super) fn new(places: usize) -> Self {
        let table = Box::into_raw(Box::new(Table::new(places, std::ptr::null_mut())));
        Self {
            owners: CachePadded::new(Owners {
                pushed: AtomicU64::new(0),
                popped: AtomicU64::new(0),
            }),
            thieves: CachePadded::new(Thieves {
                stolen: AtomicU64::new(0),
                front: AtomicU64::new(0),
                seen: AtomicU64::new(Mark::NEVER.bits()),
            }),
            table: AtomicPtr::new(table),
            blocks: AtomicPtr::new(std::ptr::null_mut()),
            intake: CachePadded::new(Intake::new()),
        }
    }

    /// How many items are in the blocks.
    pub(super) fn len(&self) -> usize {
        // What was taken is read first. Acquire pairs with the stores and additions of who took
        // them: their pushes are then seen in `pushed`, so the difference is at no time too small.
        let stolen = self.thieves.stolen.load(Ordering::Acquire);
        let popped = self.owners.popped.load(Ordering::Acquire);
        let pushed = self.owners.pushed.load(Ordering::Relaxed);
        usize::try_from(pushed.saturating_sub(popped + stolen)).unwrap_or(usize::MAX)
    }

    /// How many of its items thieves have taken, as far as they have said so.
    pub(super) fn stolen(&self) -> u64 {
        self.thieves.stolen.load(Ordering::Relaxed)
    }

    /// The owner says how many items it has ever pushed.
    pub(super) fn publish_pushed(&self, pushed: u64) {
        // B2. Release pairs with B3: the item, its block and the place of the block are seen.
        self.owners.pushed.store(pushed, Ordering::Release);
    }

    /// The owner says how many items it has ever popped.
    pub(super) fn publish_popped(&self, popped: u64) {
        // Release pairs with `len`.
        self.owners.popped.store(popped, Ordering::Release);
    }

    /// The owner says that no block before this one has items.
    pub(super) fn publish_front(&self, front: u64) {
        // Relaxed: a hint. It may even set back what a thief knew better.
        self.thieves.front.store(front, Ordering::Relaxed);
    }

    /// The present table.
    pub(super) fn table(&self) -> &Table<T> {
        // Acquire pairs with `replace_table`.
        let table = self.table.load(Ordering::Acquire);
        // SAFETY:
        // - it came from a `Box`, and is freed with the queue only.
        unsafe { &*table }
    }

    /// The owner puts a larger table in the place of the present one, which is filled already.
    pub(super) fn replace_table(&self, make: impl FnOnce(*mut Table<T>) -> Table<T>) {
        let older = self.table.load(Ordering::Relaxed);
        let table = Box::into_raw(Box::new(make(older)));
        // Release pairs with `table`.
        self.table.store(table, Ordering::Release);
    }

    /// The owner allocates a block.
    pub(super) fn allocate(&self) -> *mut Block<T> {
        // Relaxed both: only the owner and `drop` read it, and the two ends are dropped in order.
        let older = self.blocks.load(Ordering::Relaxed);
        let block = Box::into_raw(Box::new(Block::new(older)));
        self.blocks.store(block, Ordering::Relaxed);
        block
    }

    /// Takes up to `max` items of one block, half of all there are at most.
    pub(super) fn steal(&self, max: usize, mut take: impl FnMut(T)) -> Theft {
        if max == 0 {
            return Theft::Empty;
        }
        // B3. Acquire pairs with B2: what was counted can be reached and read.
        let pushed = self.owners.pushed.load(Ordering::Acquire);
        let Some(Found { block, mark, filled }) = self.choose(pushed) else {
            return Theft::Empty;
        };
        let half = self.len().div_ceil(2).clamp(1, max) as u64;
        let count = half.min(filled - mark.taken());
        // B4
        if !block.claim(mark, count) {
            return Theft::Lost;
        }
        // Release pairs with `len`.
        self.thieves.stolen.fetch_add(count, Ordering::Release);
        if self.thieves.seen.load(Ordering::Relaxed) == mark.bits() {
            self.thieves.seen.store(mark.plus(count).bits(), Ordering::Relaxed);
        }
        for slot in mark.taken()..mark.taken() + count {
            // SAFETY:
            // - B4 gave the items of these slots to this thief, and B3 says that they are filled;
            //   each is read once, before B6.
            take(unsafe { block.read(slot) });
        }
        // B6
        block.note_read_out(count);
        Theft::Took(count as usize)
    }

    /// The block to take from: the oldest with items, unless its owner seems to be at work there
    /// and the next one is full of items.
    fn choose(&self, pushed: u64) -> Option<Found<'_, T>> {
        let front = self.thieves.front.load(Ordering::Relaxed);
        let table = self.table();
        let oldest = (front..pushed.div_ceil(SLOTS))
            .find_map(|number| Some((number, self.look(table, number, pushed)?)));
        let (number, oldest) = oldest?;
        if number != front {
            // Relaxed: a hint.
            self.thieves.front.fetch_max(number, Ordering::Relaxed);
        }
        // Relaxed: it decides what is faster, not what is right.
        let seen = self.thieves.seen.load(Ordering::Relaxed);
        if seen != oldest.mark.bits() {
            self.thieves.seen.store(oldest.mark.bits(), Ordering::Relaxed);
            let next = self.look(table, number + 1, pushed);
            if let Some(next) = next.filter(|next| next.filled == SLOTS) {
                return Some(next);
            }
        }
        Some(oldest)
    }

    /// How many blocks there are.
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(super) fn block_count(&self) -> usize {
        let next = |block: *mut Block<T>| {
            // SAFETY:
            // - it came from a `Box`, and is freed with the queue only.
            std::ptr::NonNull::new(block).map(|block| unsafe { block.as_ref() })
        };
        let newest = next(self.blocks.load(Ordering::Relaxed));
        std::iter::successors(newest, |block| next(block.older)).count()
    }

    /// The mark of the oldest block with items.
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(super) fn look_at_oldest(&self) -> Option<Mark> {
        let pushed = self.owners.pushed.load(Ordering::Acquire);
        self.choose(pushed).map(|found| found.mark)
    }

    /// The block with this number, if it has items.
    fn look<'a>(&'a self, table: &'a Table<T>, number: u64, pushed: u64) -> Option<Found<'a, T>> {
        let filled = pushed.saturating_sub(number * SLOTS).min(SLOTS);
        if filled == 0 {
            return None;
        }
        let block = std::ptr::NonNull::new(table.get(number))?;
        // SAFETY:
        // - it came from a `Box`, is freed with the queue only, and `get` shows it whole.
        let block: &'a Block<T> = unsafe { block.as_ref() };
        let mark = block.mark();
        // A block that has another number by now was taken to the last.
        let has_items = mark.number() == number && mark.taken() < filled;
        has_items.then_some(Found { block, mark, filled })
    }
}

impl<T> Drop for Core<T> {
    fn drop(&mut self) {
        // Relaxed everywhere: the last end is dropped after all that anybody did.
        let pushed = self.owners.pushed.load(Ordering::Relaxed);
        let front = self.thieves.front.load(Ordering::Relaxed);
        for number in front..pushed.div_ceil(SLOTS) {
            let Some(left) = self.look(self.table(), number, pushed) else { continue };
            for slot in left.mark.taken()..left.filled {
                // SAFETY:
                // - the queue is nobody else's any more, and nobody has claimed the item.
                drop(unsafe { left.block.read(slot) });
            }
        }
        let mut block = self.blocks.load(Ordering::Relaxed);
        while !block.is_null() {
            // SAFETY:
            // - it came from a `Box`, and each block is in the list once.
            let freed = unsafe { Box::from_raw(block) };
            block = freed.older;
        }
        let mut table = self.table.load(Ordering::Relaxed);
        while !table.is_null() {
            // SAFETY:
            // - it came from a `Box`, and each table is in the list once.
            let freed = unsafe { Box::from_raw(table) };
            table = freed.older;
        }
    }
}

impl<T> fmt::Debug for Core<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("len", &self.len()).finish_non_exhaustive()
    }
}
