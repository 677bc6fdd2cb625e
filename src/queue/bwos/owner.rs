//! The owner's side: where it pushes, where it pops, and which blocks it may use again.

use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;

use crate::primitive::Arc;
use crate::queue::bwos::block::{Block, SLOTS};
use crate::queue::bwos::core::Core;
use crate::queue::bwos::table::Table;

/// What the owner knows of its blocks.
pub(super) struct Owner<T> {
    pub(super) core: Arc<Core<T>>,
    pushed: u64,
    popped: u64,
    /// The block that the next item goes to; `None` if that one is not in use yet.
    back: Option<NonNull<Block<T>>>,
    /// The number of the oldest block that may have items, and the block, if it is in use.
    front: u64,
    oldest: Option<NonNull<Block<T>>>,
    /// How many items the owner itself has taken of that block.
    popped_of_oldest: u64,
    /// Blocks that are not in use, each with how many items thieves had claimed of its last use.
    spare: VecDeque<(NonNull<Block<T>>, u64)>,
}

// SAFETY:
// - the blocks belong to the core, which is shared anyway; what only the owner does to them it does
//   through `&mut self`, on one thread at a time. The items cross threads, so they must be `Send`.
unsafe impl<T: Send> Send for Owner<T> {}

impl<T> Owner<T> {
    /// Of an empty queue with room for so many items.
    pub(super) fn new(capacity: usize) -> Self {
        // One more, because the oldest item may lie in the middle of its block.
        let blocks = capacity.div_ceil(SLOTS as usize).min(1 << 20) + 1;
        let core = Arc::new(Core::new(blocks.next_power_of_two()));
        let spare = (0..blocks).map(|_| (allocate(&core), 0)).collect();
        Self {
            core,
            pushed: 0,
            popped: 0,
            back: None,
            front: 0,
            oldest: None,
            popped_of_oldest: 0,
            spare,
        }
    }

    pub(super) fn push(&mut self, item: T) {
        let slot = self.pushed % SLOTS;
        let back = match self.back {
            Some(back) if slot != 0 => back,
            _ => self.open_block(),
        };
        // SAFETY:
        // - this is the owner, and the slot is behind all that B2 has covered.
        unsafe { block(&back).write(slot, item) };
        self.pushed += 1;
        // B2
        self.core.publish_pushed(self.pushed);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        loop {
            let oldest = block(self.oldest.as_ref()?);
            let mark = oldest.mark();
            let filled = self.filled(self.front);
            if mark.taken() == filled {
                if filled < SLOTS {
                    return None;
                }
                self.pass_oldest();
                continue;
            }
            // B4. If it fails, a thief has taken some, so this ends at the latest when none is
            // left.
            if oldest.claim(mark, 1) {
                // SAFETY:
                // - B4 gave the item to the owner, which had pushed it; it is read once, before the
                //   owner uses the block again.
                let item = unsafe { oldest.read(mark.taken()) };
                self.popped_of_oldest += 1;
                self.popped += 1;
                self.core.publish_popped(self.popped);
                return Some(item);
            }
        }
    }

    /// How many items there are; too many while a thief is about to say how many it took.
    pub(super) fn len(&self) -> usize {
        (self.pushed - self.popped).saturating_sub(self.core.stolen()) as usize
    }

    /// Whether there is no item that nobody has claimed.
    pub(super) fn is_empty(&self) -> bool {
        let table = self.core.table();
        (self.front..self.pushed.div_ceil(SLOTS)).all(|number| {
            let place = NonNull::new(table.get(number));
            place.is_none_or(|place| block(&place).mark().taken() == self.filled(number))
        })
    }

    /// How many blocks are not in use.
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(super) fn spare_count(&self) -> usize {
        self.spare.len()
    }

    /// How many slots of the block with this number are filled, or were.
    fn filled(&self, number: u64) -> u64 {
        (self.pushed - number * SLOTS).min(SLOTS)
    }

    /// Puts the block in use that the next item goes to.
    #[cold]
    #[inline(never)]
    fn open_block(&mut self) -> NonNull<Block<T>> {
        let number = self.pushed / SLOTS;
        // Thieves may have emptied some, and nobody pops while the owner only pushes.
        while let Some(oldest) = &self.oldest
            && block(oldest).mark().taken() == SLOTS
        {
            self.pass_oldest();
        }
        if number - self.front >= self.core.table().len() {
            self.grow(number);
        }
        let back = self.spare_block();
        block(&back).begin(number);
        self.core.table().set(number, back.as_ptr());
        self.back = Some(back);
        if self.front == number {
            self.oldest = Some(back);
        }
        back
    }

    /// Doubles the table. The blocks stay where they are.
    fn grow(&self, end: u64) {
        let before = self.core.table();
        self.core.replace_table(|older| {
            let table = Table::new(before.len() as usize * 2, older);
            (self.front..end).for_each(|number| table.set(number, before.get(number)));
            table
        });
    }

    /// B7: a block that thieves have done with, or a new one. One that a thief still reads goes to
    /// the end of the line, so that a thief which sleeps does not cost a block each time.
    fn spare_block(&mut self) -> NonNull<Block<T>> {
        if let Some((spare, stolen)) = self.spare.pop_front() {
            if block(&spare).is_read_out(stolen) {
                return spare;
            }
            self.spare.push_back((spare, stolen));
        }
        allocate(&self.core)
    }

    /// The oldest block is full and all of it is taken: goes on to the next.
    fn pass_oldest(&mut self) {
        let Some(passed) = self.oldest else { return };
        self.spare.push_back((passed, SLOTS - self.popped_of_oldest));
        self.popped_of_oldest = 0;
        self.front += 1;
        let has_next = self.front * SLOTS < self.pushed;
        let next = if has_next { self.core.table().get(self.front) } else { std::ptr::null_mut() };
        self.oldest = NonNull::new(next);
        self.core.publish_front(self.front);
    }
}

fn allocate<T>(core: &Core<T>) -> NonNull<Block<T>> {
    NonNull::new(core.allocate()).expect("a box is somewhere")
}

fn block<T>(block: &NonNull<Block<T>>) -> &Block<T> {
    // SAFETY:
    // - it came from a `Box`, and is freed with the core only, which the owner keeps alive for
    //   longer than it keeps the pointer.
    unsafe { block.as_ref() }
}

impl<T> fmt::Debug for Owner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner")
            .field("len", &self.len())
            .field("front", &self.front)
            .field("spare", &self.spare.len())
            .finish_non_exhaustive()
    }
}
