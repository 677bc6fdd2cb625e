//! A lane: the messages of one source to one target, in a ring with one writer and one reader.
//!
//! No index is shared for what was written: a slot itself says whether it is full, so that a
//! message crosses with the one line that it lies in, as in FastForward (Giacomoni, Moseley,
//! Vachharajani, "FastForward for efficient pipeline parallelism", PPoPP 2008). But the reader
//! does not empty slots, which would make it fetch each line twice, and the writer once more: a
//! slot carries a *mark* that changes from lap to lap. Where the writer learns of room is the
//! number of messages that the reader has taken, which receipts need in any case. The writer
//! keeps a copy of it and looks again when the copy leaves no room, once for many messages, as in
//! MCRingBuffer (Lee, Bu, Chandranmenon, "A lock-free, cache-efficient shared ring buffer for
//! multi-core architectures", ANCS 2009).
//!
//! # Why no message is lost, doubled or overtaken
//!
//! Positions count up for ever, and position `p` lives in slot `p % len`, with the mark of lap
//! `p / len`: set in lap 0, clear in lap 1, and so on. A slot starts as 0, which has the mark of a
//! lap before the first. The writer writes positions in order, the reader reads them in order.
//!
//! - *The reader reads what was written.* When it asks for `p` it has read `p - len` in this slot,
//!   so it reads that again, or what was written there since (coherence of one word). The next
//!   thing that is written there is `p`, and after that nothing is, until the reader has said that
//!   it has taken `p`. So a slot with the mark of lap `p / len` holds `p`, and one with the other
//!   mark is empty. The writer's Release and the reader's Acquire carry what was done before the
//!   message.
//! - *The writer overwrites nothing that was not read.* It writes `q` when it has read a number
//!   above `q - len`. The reader's Release of that number and the writer's Acquire of it put the
//!   reader's load of `q - len` before the store of `q`, and a load does not read a store that
//!   comes after it.
//! - *A full lane is not for ever.* The number grows with each look that takes something, and each
//!   message that finds no room in the copy looks at the number itself.

use crate::message::receipts::Receipts;
use crate::primitive::{Arc, AtomicU64, Ordering};

mod fetch;

/// Slots in a line. They are aligned to 8 bytes alone, so a multiple of it is somewhere in a line
/// and not at its start as a rule. Each line is asked for once all the same.
const LINE: usize = 8;
/// So many slots before it gets there an end asks for a line, if it knows that the other end is not
/// there.
const FETCH_AHEAD: usize = 4 * LINE;

/// A message as it lies in a slot, beside the mark of its lap.
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

    /// The bit that is not of the message.
    const MARK: u64 = 1 << 63;
    const DIRECT: u64 = 1 << 62;
    const NUMBER_SHIFT: u32 = 48;
    const NUMBER_MASK: u64 = (1 << Self::NUMBER_BITS) - 1;
    const TAG_SHIFT: u32 = 32;

    pub(super) const fn new(tag: u16, val: u32) -> Self {
        Self { tag, val, number: None }
    }

    #[inline]
    const fn pack(self) -> u64 {
        let message = (self.tag as u64) << Self::TAG_SHIFT | self.val as u64;
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

/// Where one end is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The slot that comes next.
    at: usize,
    /// The mark of the lap, in its place in a slot.
    mark: u64,
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Sender {
    ring: Arc<Ring>,
    receipts: Arc<Receipts>,
    place: Place,
    /// So many slots, from there on, are known to be read.
    room: usize,
    sent: u64,
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Receiver {
    ring: Arc<Ring>,
    receipts: Arc<Receipts>,
    place: Place,
    taken: u64,
    /// How many were taken when the lane was found empty last.
    emptied: u64,
}

/// A lane for this many messages; at least 1.
pub(super) fn lane(capacity: usize) -> (Sender, Receiver) {
    let slots = (0..capacity.max(1)).map(|_| AtomicU64::new(0)).collect();
    let ring = Arc::new(Ring { slots });
    let receipts = Arc::new(Receipts::new());
    let place = Place { at: 0, mark: Parcel::MARK };
    let room = ring.slots.len();
    let receiver = Receiver {
        ring: Arc::clone(&ring),
        receipts: Arc::clone(&receipts),
        place,
        taken: 0,
        emptied: 0,
    };
    (Sender { ring, receipts, place, room, sent: 0 }, receiver)
}

impl Place {
    #[inline]
    fn advance(&mut self, slots: usize) {
        self.at += 1;
        if self.at == slots {
            self.at = 0;
            self.mark ^= Parcel::MARK;
        }
    }

    /// The slot so many behind this one, which are fewer than there are slots.
    #[inline]
    fn ahead(&self, count: usize, slots: usize) -> usize {
        let at = self.at + count;
        if at < slots { at } else { at - slots }
    }

    /// Whether what lies in the slot is of this lap.
    #[inline]
    fn is_marked(&self, word: u64) -> bool {
        word & Parcel::MARK == self.mark
    }
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
            self.look_for_room()?;
        }
        let slots = &self.ring.slots;
        // Release pairs with `pop_if`: the reader sees what was done before.
        slots[self.place.at].store(parcel.pack() | self.place.mark, Ordering::Release);
        if self.place.at.is_multiple_of(LINE) && self.room > FETCH_AHEAD + LINE {
            fetch::to_write(&slots[self.place.ahead(FETCH_AHEAD, slots.len())]);
        }
        self.place.advance(slots.len());
        self.room -= 1;
        self.sent += 1;
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
    fn look_for_room(&mut self) -> Result<(), Refused> {
        // Acquire (in `taken`) pairs with `publish`: what was taken is read no more.
        let waiting = self.sent - self.receipts.taken();
        self.room = self.ring.slots.len() - waiting as usize;
        if self.room == 0 { Err(Refused::Full) } else { Ok(()) }
    }
}

impl Receiver {
    /// Takes the next message, if there is one. Its slot is used again after the next
    /// [`publish`](Self::publish).
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Parcel> {
        match self.pop_if(|_| true) {
            Popped::Taken(parcel) => Some(parcel),
            Popped::Left | Popped::Empty => None,
        }
    }

    /// As [`pop`](Self::pop), if the message is wanted.
    #[inline]
    pub(super) fn pop_if(&mut self, wanted: impl FnOnce(Parcel) -> bool) -> Popped {
        let slots = &self.ring.slots;
        // Acquire pairs with `push`.
        let word = slots[self.place.at].load(Ordering::Acquire);
        if !self.place.is_marked(word) {
            self.emptied = self.taken;
            return Popped::Empty;
        }
        let parcel = Parcel::unpack(word);
        if !wanted(parcel) {
            return Popped::Left;
        }
        if self.place.at.is_multiple_of(LINE) && self.is_behind() {
            fetch::to_read(&slots[self.place.ahead(FETCH_AHEAD, slots.len())]);
        }
        self.place.advance(slots.len());
        self.taken += 1;
        Popped::Taken(parcel)
    }

    /// Whether there is nothing to take. A hint, exact after the fences of the parking protocol.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.place.is_marked(self.ring.slots[self.place.at].load(Ordering::Relaxed))
    }

    /// Whether the writer is far from here, as far as one can tell: much was taken since the lane
    /// was empty. And whether there is a slot so far ahead, as [`Place::ahead`] requires: of a lane
    /// with few slots as many may be taken before it is found empty.
    #[inline]
    fn is_behind(&self) -> bool {
        self.taken - self.emptied > 2 * FETCH_AHEAD as u64 && self.ring.slots.len() > FETCH_AHEAD
    }

    /// Says how many were taken, which makes room for as many.
    #[inline]
    pub(super) fn publish(&self) {
        self.receipts.publish(self.taken);
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

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
