//! A lane: the messages of one source to one target, in a ring with one writer and one reader.
//!
//! The ring is that of FastForward (Giacomoni, Moseley, Vachharajani, "FastForward for efficient
//! pipeline parallelism", PPoPP 2008): no index is shared, a slot itself says whether it is empty
//! (0) or full, so that the two ends share the lines of the slots and nothing else. The writer
//! looks ahead for room as in B-Queue (Wang, Zhang, Tang, Hua, "B-Queue", IJPP 2013): it asks one
//! slot for many, because asking the very slot that it is about to write would fetch its line
//! twice.
//!
//! # Why no message is lost, doubled or overtaken
//!
//! Positions count up for ever, and position `p` lives in slot `p % len`. The writer writes them in
//! order, the reader reads and empties them in order.
//!
//! - *The reader reads what was written.* In its slot it finds its own 0 of a lap ago, or what the
//!   writer wrote since (coherence of one word): nothing, or the message of exactly this position.
//!   The writer's Release and the reader's Acquire carry what was done before the message.
//! - *The writer overwrites nothing that was not read.* It finds slot `p + k` empty. It had filled
//!   that slot itself a lap ago, so the 0 is the reader's, from after it had read `p + k - len`,
//!   and therefore all positions before that. The reader's Release and the writer's Acquire of that
//!   one slot put the 0 of each earlier slot before the writer's next store to it. Without them
//!   such a store could come before the 0 in the order of its word, and the 0 would erase it.
//! - *A full lane is not for ever.* The look ahead is halved down to the one slot that comes next.

use crate::message::receipts::Receipts;
use crate::primitive::{Arc, AtomicU64, Ordering};

/// How many slots the writer asks about at a time.
const LOOK_AHEAD: usize = 64;

/// A message as it lies in a slot: never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parcel {
    pub(super) tag: u16,
    pub(super) val: u32,
    /// The number, cut to its low [`NUMBER_BITS`](Self::NUMBER_BITS), of a direct message that
    /// could not go directly.
    pub(super) number: Option<u16>,
}

impl Parcel {
    /// How many bits of the number of a direct message a slot has room for.
    pub(super) const NUMBER_BITS: u32 = 14;

    const FULL: u64 = 1 << 63;
    const DIRECT: u64 = 1 << 62;
    const NUMBER_SHIFT: u32 = 48;
    const NUMBER_MASK: u64 = (1 << Self::NUMBER_BITS) - 1;
    const TAG_SHIFT: u32 = 32;

    pub(super) const fn new(tag: u16, val: u32) -> Self {
        Self { tag, val, number: None }
    }

    #[inline]
    const fn pack(self) -> u64 {
        let message = Self::FULL | (self.tag as u64) << Self::TAG_SHIFT | self.val as u64;
        match self.number {
            None => message,
            Some(number) => {
                let number = number as u64 & Self::NUMBER_MASK;
                message | Self::DIRECT | number << Self::NUMBER_SHIFT
            }
        }
    }

    #[inline]
    const fn unpack(word: u64) -> Self {
        let number = if word & Self::DIRECT == 0 {
            None
        } else {
            Some((word >> Self::NUMBER_SHIFT & Self::NUMBER_MASK) as u16)
        };
        Self { tag: (word >> Self::TAG_SHIFT) as u16, val: word as u32, number }
    }
}

/// Why a lane takes no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// As many as fit wait.
    Full,
    /// The target is gone.
    Closed,
}

/// What was at the reading end of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Popped {
    /// A message that was wanted.
    Taken(Parcel),
    /// One that was not.
    Left,
    Empty,
}

#[derive(Debug)]
struct Ring {
    slots: Box<[AtomicU64]>,
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Sender {
    ring: Arc<Ring>,
    receipts: Arc<Receipts>,
    /// The slot that is written next.
    at: usize,
    /// So many slots, from there on, are known to be empty.
    room: usize,
    sent: u64,
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Receiver {
    ring: Arc<Ring>,
    receipts: Arc<Receipts>,
    /// The slot that is read next.
    at: usize,
    taken: u64,
}

/// A lane for this many messages; at least 1.
pub(super) fn lane(capacity: usize) -> (Sender, Receiver) {
    let slots = (0..capacity.max(1)).map(|_| AtomicU64::new(0)).collect();
    let ring = Arc::new(Ring { slots });
    let receipts = Arc::new(Receipts::new());
    let receiver =
        Receiver { ring: Arc::clone(&ring), receipts: Arc::clone(&receipts), at: 0, taken: 0 };
    (Sender { ring, receipts, at: 0, room: 0, sent: 0 }, receiver)
}

impl Sender {
    /// Writes a message. The caller then posts the gate of the target.
    ///
    /// # Errors
    ///
    /// The message was not written.
    #[inline]
    pub(super) fn push(&mut self, parcel: Parcel) -> Result<(), Refused> {
        if self.receipts.is_closed() {
            return Err(Refused::Closed);
        }
        if self.room == 0 {
            self.look_ahead()?;
        }
        // Release pairs with `pop`: the reader sees what was done before.
        self.ring.slots[self.at].store(parcel.pack(), Ordering::Release);
        self.room -= 1;
        self.sent += 1;
        self.at = next(self.at, self.ring.slots.len());
        Ok(())
    }

    /// How many messages were written, ever.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Where it shows how many of them were taken.
    pub(super) fn receipts(&self) -> &Arc<Receipts> {
        &self.receipts
    }

    #[cold]
    fn look_ahead(&mut self) -> Result<(), Refused> {
        let slots = &self.ring.slots;
        let mut look = LOOK_AHEAD.min(slots.len());
        while look > 0 {
            let last = (self.at + look - 1) % slots.len();
            // Acquire pairs with `pop`: all slots up to this one were emptied before.
            if slots[last].load(Ordering::Acquire) == 0 {
                self.room = look;
                return Ok(());
            }
            look /= 2;
        }
        Err(Refused::Full)
    }
}

impl Receiver {
    /// Takes the next message, if there is one.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Parcel> {
        match self.pop_if(|_| true) {
            Popped::Taken(parcel) => Some(parcel),
            Popped::Left | Popped::Empty => None,
        }
    }

    /// Takes the next message, if there is one and it is wanted.
    #[inline]
    pub(super) fn pop_if(&mut self, wanted: impl FnOnce(Parcel) -> bool) -> Popped {
        let slot = &self.ring.slots[self.at];
        // Acquire pairs with `push`.
        let word = slot.load(Ordering::Acquire);
        if word == 0 {
            return Popped::Empty;
        }
        let parcel = Parcel::unpack(word);
        if !wanted(parcel) {
            return Popped::Left;
        }
        // Release pairs with `look_ahead`: what is written here next comes after this, and so it
        // is with all slots before this one.
        slot.store(0, Ordering::Release);
        self.taken += 1;
        self.at = next(self.at, self.ring.slots.len());
        Popped::Taken(parcel)
    }

    /// Whether there is nothing to take. A hint, exact after the fences of the parking protocol.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.ring.slots[self.at].load(Ordering::Relaxed) == 0
    }

    /// How many messages were taken, ever.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Where it shows how many were taken.
    pub(super) fn receipts(&self) -> &Receipts {
        &self.receipts
    }
}

#[inline]
const fn next(at: usize, len: usize) -> usize {
    if at + 1 == len { 0 } else { at + 1 }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
