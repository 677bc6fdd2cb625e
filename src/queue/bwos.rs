//! A steal queue of blocks, in which owner and thieves are seldom at the same one.
//!
//! After the design of J. Wang, B. Trach, M. Fu, D. Behrens, J. Schwender, Y. Liu, J. Lei,
//! V. Vafeiadis, H. Härtig and H. Chen, "BWoS: Formally Verified Block-based Work Stealing for
//! Parallel Processing" (OSDI 2023): items lie in blocks, each with its own word of what was taken
//! and a number for each time it is used; a thief claims a run of a block, reads it out, and says
//! so before the block is used again; thieves keep away from the block at which the owner is.
//!
//! It departs from the paper in one thing. There the owner takes a block over from the thieves as a
//! whole and then pops without any synchronisation; what lies in that block cannot be stolen until
//! the owner gives it back. Here whatever waits can be stolen, also behind an owner that is stuck.
//! So the owner claims each item like a thief does, with one compare-and-swap on the word of the
//! block, which it mostly has for itself. The paper's blocks are a ring of fixed length; here the
//! ring grows.
//!
//! # Who writes what
//!
//! | word | meaning | written by |
//! |---|---|---|
//! | `pushed` | items ever pushed | owner |
//! | `popped`, `stolen` | items ever taken, for lengths only | owner; thieves |
//! | `mark` of a block | its number, how many items are taken | owner to open it; who claims |
//! | slots of a block | the items | owner, until the block is full |
//! | `read_out` of a block | items thieves have read of it | thieves; owner to open it |
//! | table | where each block in use lies | owner |
//! | `front`, `seen` | hints where to look | owner and thieves; thieves |
//!
//! Item `i` is in slot `i % 32` of the block with number `i / 32`.
//!
//! # The operations
//!
//! | name | who | operation |
//! |---|---|---|
//! | B1 | owner | writes the item into its slot |
//! | B2 | owner | stores `pushed`, release |
//! | B3 | thief | loads `pushed`, acquire; then table, place and mark |
//! | B4 | both | compare-and-swap of the mark: so many more are taken, relaxed |
//! | B5 | both | reads the claimed slots |
//! | B6 | thief | adds to `read_out`, release |
//! | B7 | owner | finds that `read_out` is all that thieves had claimed, acquire |
//!
//! After B7, and not before, the owner opens the block under a new number, and B1 may write its
//! slots.
//!
//! # Why it holds
//!
//! **An item is handed out at most once (O1).** A number is given to a block once, and under one
//! number the taken items only become more. So a mark never comes back: a compare-and-swap that
//! succeeds was made on the mark that was read, and the runs that succeed do not overlap. A thief
//! which slept between B3 and B4 finds another number, or another count, and has lost.
//!
//! **What is claimed is there (O2).** A thief claims no slot beyond the `pushed` of its B3, which
//! synchronises with the B2 that covered the slot, so B5 comes after B1. The opening of the block
//! came before that B2 too, so the mark that is read after B3 has this number or a later one. The
//! owner reads what it wrote itself. The claim needs no ordering of its own: it decides who reads,
//! not what is seen.
//!
//! **A slot is not written while it is read.** The owner uses a block again when all 32 items are
//! claimed. Those that it did not claim itself, thieves did; each thief adds its count after it has
//! read, and when the sum is complete (B7) every B5 of that use comes before every B1 of the next.
//! A thief that sleeps between B4 and B6 keeps one block from being used again, and nothing else.
//!
//! **Nothing is lost (O3, O4).** Items between the mark and `pushed` are in the queue. Blocks and
//! tables are freed with the second end, and not before; so a thief that has an old table, or a
//! block that was used again, reads a word that exists, and the number tells it. A table that was
//! outgrown stays as it was; a thief loads the table after B3, so each block that B3 covers and
//! that has items is in its place.
//!
//! **Lengths are not too small (O7).** Who reads a length reads what was taken first, with acquire,
//! and then `pushed`, which therefore covers all that was taken. So a length that says nothing is
//! there saw the queue empty, or did not see a push; whoever must see it has a fence between
//! (`doorbell/README.md`). It is too large while somebody has claimed items and not counted them
//! yet.
//!
//! **A thief loses only to somebody who won**, because the compare-and-swap is a strong one; and
//! the owner's loop ends, because each failure means that a thief took some.

use std::fmt;

use crate::primitive::{Arc, spin_loop};
use crate::queue::{LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};

use self::core::{Core, Theft};
use owner::Owner;

mod block;
mod core;
mod intake;
#[cfg(test)]
#[cfg(loom)]
#[path = "bwos/loom.rs"]
mod loom_tests;
mod owner;
mod table;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

/// How many items [`pop_injected`](LocalQueue::pop_injected) takes at most: one to run and the
/// others into the owner's part, from where they can still be stolen.
const INJECTED_BATCH: usize = 8;

/// How often a steal that lost a race is tried again before the caller hears of it.
const STEAL_ATTEMPTS: usize = 4;

/// A queue of blocks, after BWoS, in which owner and thieves seldom meet.
///
/// It is for many shards and long queues: the design is that of J. Wang and others, "BWoS: Formally
/// Verified Block-based Work Stealing for Parallel Processing" (OSDI 2023), with the difference
/// that the owner's block can be stolen from as well, as the runtime promises that nothing waits
/// behind a stuck shard. A thief leaves that block to the owner while the owner is at work there
/// and the next block is full. On two shards the book measures no difference to
/// [`ChaseLev`](super::ChaseLev) that would be worth a choice.
///
/// # Order
///
/// The owner takes the oldest item first. A thief takes a run of neighbours: the oldest items, or,
/// while the owner takes these and has more than a block of 32, the oldest of the next block.
/// Injected items come out in the order in which they were injected, except that a batch which
/// [`pop_injected`](LocalQueue::pop_injected) moved stands behind what the owner already had.
///
/// # Cost
///
/// The owner's `push` is three plain stores, and every 32 items a block is put in use; its `pop` is
/// one compare-and-swap on a word that thieves leave alone most of the time. A steal is one
/// compare-and-swap and two additions for the whole run: at most half of what is there, rounded up,
/// and at most what is left of one block. Injected items lie in a list under a lock, which has one
/// load in front of it.
///
/// Blocks are used again and never freed before the queue is: 384 bytes for each 32 tasks of the
/// longest backlog there was. [`QueueOptions::initial_capacity`] items have room from the start;
/// beyond that a push allocates a block when no old one is free, and doubles a table of 8 bytes per
/// block when it is full.
///
/// ```
/// use spargio::queue::{BlockQueue, LocalQueue, QueueOptions, SharedQueue, StealQueue, Stolen};
///
/// let (mut owner, shared) = BlockQueue::pair(&QueueOptions::default());
/// let (mut thief, _) = BlockQueue::pair(&QueueOptions::default());
/// for item in 0..5 {
///     owner.push(item);
/// }
/// shared.inject(5);
/// assert!(matches!(thief.steal_from(&shared, 8), Stolen::Took { first: 0, moved: 2 }));
/// assert_eq!(thief.pop(), Some(1));
/// assert_eq!(owner.pop(), Some(3));
/// assert_eq!(shared.len_hint(), 2);
/// ```
#[derive(Clone, Copy, Default, Debug)]
pub struct BlockQueue;

// SAFETY: the head of this file argues each.
// - O1: B4 succeeds once for each item, and hands it to who made it; injected items leave their
//   list under its lock.
// - O2: B2 and B3, or the lock.
// - O3, O4: both ends hold the core, which frees blocks and drops what is in them with the last.
unsafe impl StealQueue for BlockQueue {
    type Local<T: Send + 'static> = BlockLocal<T>;
    type Shared<T: Send + 'static> = BlockShared<T>;

    fn pair<T: Send + 'static>(options: &QueueOptions) -> (Self::Local<T>, Self::Shared<T>) {
        let owner = Owner::new(options.initial_capacity);
        let core = Arc::clone(&owner.core);
        (BlockLocal { owner, core: Arc::clone(&core) }, BlockShared { core })
    }
}

/// The owner's end of a [`BlockQueue`].
pub struct BlockLocal<T> {
    owner: Owner<T>,
    /// The owner's core.
    core: Arc<Core<T>>,
}

impl<T> BlockLocal<T> {
    /// One try at the victim's blocks, and at what was injected if these are empty.
    fn try_steal(&mut self, victim: &Core<T>, max: usize) -> Stolen<T> {
        let mut first = None;
        let mut take = |item| match first {
            None => first = Some(item),
            Some(_) => self.owner.push(item),
        };
        let took = match victim.steal(max, &mut take) {
            Theft::Took(count) => count,
            Theft::Lost => return Stolen::Retry,
            Theft::Empty => victim.intake.take(|there| there.div_ceil(2).min(max), &mut take),
        };
        match first {
            Some(first) => Stolen::Took { first, moved: took - 1 },
            None => Stolen::Empty,
        }
    }
}

impl<T: Send + 'static> LocalQueue<T> for BlockLocal<T> {
    type Shared = BlockShared<T>;

    fn push(&mut self, item: T) {
        self.owner.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.owner.pop()
    }

    fn pop_injected(&mut self) -> Option<T> {
        if !self.has_injected() {
            return None;
        }
        let mut first = None;
        self.core.intake.take(
            |there| there.min(INJECTED_BATCH),
            |item| match first {
                None => first = Some(item),
                Some(_) => self.owner.push(item),
            },
        );
        first
    }

    fn has_injected(&self) -> bool {
        self.core.intake.len() > 0
    }

    fn steal_from(&mut self, victim: &BlockShared<T>, max: usize) -> Stolen<T> {
        if max == 0 {
            return Stolen::Empty;
        }
        if Arc::ptr_eq(&self.core, &victim.core) {
            // Moving our own items to the back would let others pass them.
            return match self.pop().or_else(|| self.pop_injected()) {
                Some(first) => Stolen::Took { first, moved: 0 },
                None => Stolen::Empty,
            };
        }
        for _ in 0..STEAL_ATTEMPTS {
            match self.try_steal(&victim.core, max) {
                Stolen::Retry => spin_loop(),
                answer => return answer,
            }
        }
        Stolen::Retry
    }

    fn len(&self) -> usize {
        self.owner.len()
    }

    fn is_empty(&self) -> bool {
        self.owner.is_empty()
    }
}

impl<T> fmt::Debug for BlockLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockLocal")
            .field("owner", &self.owner)
            .field("injected", &self.core.intake.len())
            .finish()
    }
}

/// Everybody's end of a [`BlockQueue`].
pub struct BlockShared<T> {
    core: Arc<Core<T>>,
}

impl<T: Send + 'static> SharedQueue<T> for BlockShared<T> {
    fn inject(&self, item: T) {
        self.core.intake.add(item);
    }

    fn len_hint(&self) -> usize {
        // The injected first: the owner moves items from there to its blocks.
        let injected = self.core.intake.len();
        self.core.len() + injected
    }
}

impl<T> fmt::Debug for BlockShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockShared")
            .field("len", &self.core.len())
            .field("injected", &self.core.intake.len())
            .finish()
    }
}
