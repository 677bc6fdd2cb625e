//! The ring of slots, the count of room, and who waits for what.
//!
//! **Room.** `claims` has the position of the next message and how much room is free. A sender
//! takes room and a position in one step; a permit takes room alone, and its position when it
//! sends. The receiver only moves `head`. What it has passed becomes free when a sender that finds
//! no room *settles*: under the lock, all positions between `settled` and `head` are counted as
//! free, or go to those who wait. So, at any time,
//!
//! ```text
//! free + permits + (next position - settled) = capacity
//! ```
//!
//! **Why a slot that was claimed is empty.** Whoever claims position `p` is the owner of a unit of
//! room, and so were those who claimed the positions before it: p + 1 units, of which all but
//! `capacity` became free when a message was received. A unit reaches its owner through `claims` or
//! under the lock, and each claim acquires what the claims before it released. So at least
//! `p + 1 - capacity` receptions happened before the claim, and as messages are received in order,
//! that of `p - capacity` did, and thus that of `p - slots`.
//!
//! **Waiting.** Senders that wait are in `room`, and `head` says so, so that the receiver looks
//! there after it has moved on. The receiver waits at the slot of the next message: the swap that
//! fills the slot finds it marked. Its waker is in `receiver` before.

use std::mem::MaybeUninit;
use std::task::Waker;

use crossbeam_utils::CachePadded;

use crate::contain;
use crate::primitive::{AtomicU8, AtomicU64, AtomicUsize, Mutex, Ordering, UnsafeCell, lock};
use crate::sync::{Granted, Notify, Place, WaitList};

/// One position in the upper half of `claims` and of `head`.
const POSITION: u64 = 1 << 32;
/// In `claims`: the receiver takes nothing more.
const CLOSED: u64 = 1 << 31;
/// In `claims`: how much room is free.
const FREE: u64 = CLOSED - 1;
/// In `head`: somebody waits for room. Set and cleared under the lock only.
const WANTED: u64 = 1;

/// Nothing is in the slot.
const EMPTY: u8 = 0;
/// Nothing is in the slot, and the receiver waits for that to change.
const AWAITED: u8 = 1;
/// A message is in the slot.
const FULL: u8 = 2;

pub(super) struct Channel<T> {
    /// As many as the next power of two from `capacity`.
    slots: Box<[Slot<T>]>,
    capacity: u32,
    /// The next position | [`CLOSED`] | [`FREE`]. Of the senders.
    claims: CachePadded<AtomicU64>,
    /// The position of the next message to be received | [`WANTED`]. Of the receiver.
    head: CachePadded<AtomicU64>,
    room: CachePadded<Mutex<Room>>,
    receiver: Mutex<Option<Waker>>,
    senders: AtomicUsize,
    /// Tells senders that wait for that of the end of the receiver.
    pub(super) closing: Notify,
}

struct Slot<T> {
    state: AtomicU8,
    message: UnsafeCell<MaybeUninit<T>>,
}

/// What the lock guards.
pub(super) struct Room {
    waiters: WaitList<Grant>,
    /// Positions before this have become room for others.
    settled: u32,
}

impl AsMut<WaitList<Grant>> for Room {
    fn as_mut(&mut self) -> &mut WaitList<Grant> {
        &mut self.waiters
    }
}

/// What a sender waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Grant {
    /// Room for a message is its.
    Room,
    /// The receiver takes nothing more.
    Closed,
}

/// Why there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    Full,
    Closed,
}

/// A step that was taken under the lock, or the place in line for it.
pub(super) enum Turn {
    Now(Grant),
    Waits(Place),
}

// SAFETY:
// - a message is written by the one sender that claimed its slot and read by the one receiver after
//   that, each on its own thread; values of type `T` go to another thread.
unsafe impl<T: Send> Send for Channel<T> {}

// SAFETY:
// - as above; of a shared reference, `T` is never lent.
unsafe impl<T: Send> Sync for Channel<T> {}

impl<T> Channel<T> {
    /// With one sender. The capacity is between 1 and 2^30, and the first message gets `first` as
    /// its position.
    pub(super) fn new(capacity: usize, first: u32) -> Self {
        let slots = (0..capacity.next_power_of_two()).map(|_| Slot {
            state: AtomicU8::new(EMPTY),
            message: UnsafeCell::new(MaybeUninit::uninit()),
        });
        let slots = slots.collect();
        let start = u64::from(first) * POSITION;
        let capacity = u32::try_from(capacity).expect("the limit of a capacity is far below that");
        Self {
            slots,
            capacity,
            claims: CachePadded::new(AtomicU64::new(start | u64::from(capacity))),
            head: CachePadded::new(AtomicU64::new(start)),
            room: CachePadded::new(Mutex::new(Room { waiters: WaitList::new(), settled: first })),
            receiver: Mutex::new(None),
            senders: AtomicUsize::new(1),
            closing: Notify::new(),
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity as usize
    }

    fn slot(&self, position: u32) -> &Slot<T> {
        // There is a power of two of them, so positions may wrap around.
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    // What senders do.

    /// Takes room and a position, and sends.
    #[inline]
    pub(super) fn try_send(&self, message: T) -> Result<(), (Refusal, T)> {
        match self.claim(POSITION) {
            Ok(position) => {
                // SAFETY:
                // - claimed, with room, and sent to once.
                unsafe { self.fill(position, message) };
                Ok(())
            }
            Err(refusal) => Err((refusal, message)),
        }
    }

    /// Takes room for a message.
    pub(super) fn try_reserve(&self) -> Result<(), Refusal> {
        self.claim(0).map(drop)
    }

    /// Sends into room that was taken before.
    pub(super) fn send_reserved(&self, message: T) {
        // As in `claim`.
        let now = self.claims.fetch_add(POSITION, Ordering::AcqRel);
        // SAFETY:
        // - claimed, with room, and sent to once.
        unsafe { self.fill(position(now), message) };
    }

    /// Takes room, and as many positions as `positions` says; returns the first.
    #[inline]
    fn claim(&self, positions: u64) -> Result<u32, Refusal> {
        let mut now = self.claims.load(Ordering::Relaxed);
        loop {
            if now & CLOSED != 0 {
                return Err(Refusal::Closed);
            }
            if now & FREE == 0 {
                let mut room = lock(&self.room);
                // Another sender may have settled since, for both.
                let is_free = self.claims.load(Ordering::Relaxed) & (FREE | CLOSED) != 0;
                // Those who wait come first.
                if !room.waiters.is_empty() || !(is_free || self.settle(&mut room)) {
                    return Err(Refusal::Full);
                }
                now = self.claims.load(Ordering::Relaxed);
                continue;
            }
            let next = now.wrapping_add(positions) - 1;
            // Acquire and Release pair with each other, and with `settle`: the slot is empty, as
            // the top of this file says.
            match self.claims.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Ok(position(now)),
                Err(other) => now = other,
            }
        }
    }

    /// Puts the message into its slot, and wakes the receiver if it waits for this one.
    ///
    /// # Safety
    ///
    /// The position was claimed by whoever had room, and is filled once.
    #[inline]
    unsafe fn fill(&self, position: u32, message: T) {
        let slot = self.slot(position);
        slot.message.with_mut(|place| {
            // SAFETY:
            // - the slot is empty and the caller's, as the top of this file says.
            unsafe { &mut *place }.write(message);
        });
        // Release gives the message to the receiver. Acquire pairs with `wait`: its waker is there.
        if slot.state.swap(FULL, Ordering::AcqRel) == AWAITED {
            self.wake_receiver();
        }
    }

    /// Takes room under the lock, or goes to the end of the line.
    pub(super) fn queue(&self, waker: &Waker) -> Turn {
        let waker = waker.clone();
        let mut room = lock(&self.room);
        loop {
            // Those who wait come first.
            let at_once = if room.waiters.is_empty() { self.take_free() } else { self.end() };
            if let Some(grant) = at_once {
                drop(room);
                drop(waker);
                return Turn::Now(grant);
            }
            // Acquire pairs with `pass`, which either is seen here, or sees this.
            let head = self.head.fetch_or(WANTED, Ordering::AcqRel);
            if room.waiters.is_empty() && position(head) != room.settled {
                self.settle(&mut room);
                continue;
            }
            return Turn::Waits(room.waiters.join(Some(waker)));
        }
    }

    /// Takes room if it is free, or says that the receiver takes nothing more. Under the lock.
    fn take_free(&self) -> Option<Grant> {
        let mut now = self.claims.load(Ordering::Relaxed);
        loop {
            if now & CLOSED != 0 {
                return Some(Grant::Closed);
            }
            if now & FREE == 0 {
                return None;
            }
            // As in `claim`.
            let next = now - 1;
            match self.claims.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Some(Grant::Room),
                Err(other) => now = other,
            }
        }
    }

    /// Says so if the receiver takes nothing more. Under the lock.
    fn end(&self) -> Option<Grant> {
        // Relaxed: who closes takes the lock afterwards, and finds whoever missed it here.
        (self.claims.load(Ordering::Relaxed) & CLOSED != 0).then_some(Grant::Closed)
    }

    /// What the receiver has passed becomes free. Whether that was anything. Under the lock, with
    /// nobody waiting.
    fn settle(&self, room: &mut Room) -> bool {
        // Acquire pairs with `pass`: the slots are empty.
        let passed = position(self.head.load(Ordering::Acquire));
        let freed = passed.wrapping_sub(room.settled);
        if freed == 0 {
            return false;
        }
        room.settled = passed;
        // Release pairs with `claim`.
        self.claims.fetch_add(u64::from(freed), Ordering::AcqRel);
        true
    }

    /// The lock, for those who wait in line.
    pub(super) fn room(&self) -> impl std::ops::DerefMut<Target = Room> {
        lock(&self.room)
    }

    /// Leaves the line; what was granted meanwhile is passed on.
    pub(super) fn leave(&self, place: Place) {
        let (grant, waker) = lock(&self.room).waiters.leave(place);
        contain::guard(|| drop(waker));
        if grant == Some(Grant::Room) {
            self.release();
        }
    }

    /// Gives room back that was not used.
    pub(super) fn release(&self) {
        let mut room = lock(&self.room);
        let granted = self.grant(&mut room);
        if granted.is_none() {
            // Release pairs with `claim`.
            self.claims.fetch_add(1, Ordering::AcqRel);
        }
        drop(room);
        match granted {
            Some(granted) => granted.wake(),
            // It may wait for the last permit.
            None if self.is_closed() => self.wake_receiver(),
            None => {}
        }
    }

    /// Grants room to the first in line, if somebody waits. Under the lock.
    fn grant(&self, room: &mut Room) -> Option<Granted> {
        let granted = room.waiters.grant_first(Grant::Room).ok();
        if room.waiters.is_empty() && self.head.load(Ordering::Relaxed) & WANTED != 0 {
            // Relaxed: who waits next sets it under the lock.
            self.head.fetch_and(!WANTED, Ordering::Relaxed);
        }
        granted
    }

    pub(super) fn add_sender(&self) {
        // Relaxed: whoever adds one has one.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_sender(&self) {
        // Release pairs with `has_senders`: what this sender sent is seen. Acquire, that what the
        // others sent is.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wake_receiver();
        }
    }

    /// Whether the receiver takes nothing more.
    pub(super) fn is_closed(&self) -> bool {
        // Acquire pairs with `close`: who sees it sees what the receiver did before.
        self.claims.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Room for messages that is neither used nor reserved. A hint.
    pub(super) fn free(&self) -> usize {
        let room = lock(&self.room);
        if !room.waiters.is_empty() {
            return 0;
        }
        let passed = position(self.head.load(Ordering::Relaxed)).wrapping_sub(room.settled);
        (self.claims.load(Ordering::Relaxed) & FREE) as usize + passed as usize
    }

    fn wake_receiver(&self) {
        let waker = lock(&self.receiver).take();
        if let Some(waker) = waker {
            contain::wake(waker);
        }
    }

    // What the receiver does. There is one, and it has its position.

    /// Whether the message of this position is there.
    #[inline]
    pub(super) fn is_there(&self, position: u32) -> bool {
        // Acquire pairs with `fill`.
        self.slot(position).state.load(Ordering::Acquire) == FULL
    }

    /// Moves the message out of its slot.
    ///
    /// # Safety
    ///
    /// It [is there](Self::is_there), says the receiver, which has not taken it, and
    /// [passes](Self::pass) it next.
    #[inline]
    pub(super) unsafe fn take(&self, position: u32) -> T {
        let slot = self.slot(position);
        let message = slot.message.with(|place| {
            // SAFETY:
            // - the caller's promise: it is there, and nobody writes to it.
            let place = unsafe { &*place };
            // SAFETY:
            // - the caller's promise: it is there, and is not read again.
            unsafe { place.assume_init_read() }
        });
        // Relaxed: whoever fills it next has seen `pass`.
        slot.state.store(EMPTY, Ordering::Relaxed);
        message
    }

    /// As many messages were taken.
    #[inline]
    pub(super) fn pass(&self, messages: u32) {
        // Release pairs with `settle`: the slots are empty. Acquire pairs with `queue`: who waits
        // is in line when the lock is taken, as it is held until then.
        let before = self.head.fetch_add(u64::from(messages) * POSITION, Ordering::AcqRel);
        if before & WANTED != 0 {
            self.hand_out();
        }
    }

    /// Grants what the receiver has passed to those who wait.
    #[cold]
    fn hand_out(&self) {
        loop {
            let mut room = lock(&self.room);
            // Acquire pairs with `pass`.
            let passed = position(self.head.load(Ordering::Acquire));
            if passed == room.settled {
                return;
            }
            match self.grant(&mut room) {
                Some(granted) => {
                    room.settled = room.settled.wrapping_add(1);
                    drop(room);
                    granted.wake();
                }
                None => {
                    self.settle(&mut room);
                    return;
                }
            }
        }
    }

    /// Waits for the message of this position. `false`: it is there.
    pub(super) fn wait(&self, position: u32, waker: &Waker) -> bool {
        let same = lock(&self.receiver).as_ref().is_some_and(|there| there.will_wake(waker));
        if !same {
            let cloned = waker.clone();
            let before = lock(&self.receiver).replace(cloned);
            drop(before);
        }
        let slot = self.slot(position);
        // Release pairs with `fill`, which takes the waker; Acquire pairs with it too. A slot that
        // is awaited already: if it is filled before this look it is seen here, and else `fill`
        // finds the waker that was left above.
        let swap = slot.state.compare_exchange(EMPTY, AWAITED, Ordering::AcqRel, Ordering::Acquire);
        swap != Err(FULL)
    }

    /// Whether somebody may still send. If not, all that was sent is there.
    pub(super) fn has_senders(&self) -> bool {
        // Acquire pairs with `remove_sender`.
        self.senders.load(Ordering::Acquire) != 0
    }

    /// Whether no message is on its way and no permit is left, after [`close`](Self::close).
    pub(super) fn is_drained(&self) -> bool {
        let mut room = lock(&self.room);
        self.settle(&mut room);
        // Acquire: what permits sent is seen.
        self.claims.load(Ordering::Acquire) & FREE == u64::from(self.capacity)
    }

    /// Takes nothing more: who waits is told.
    pub(super) fn close(&self) {
        // Release pairs with `is_closed`.
        if self.claims.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED != 0 {
            return;
        }
        loop {
            // Who comes after this sees that it is closed, because the lock is taken after it.
            let granted = lock(&self.room).waiters.grant_first(Grant::Closed);
            match granted {
                Ok(granted) => granted.wake(),
                Err(_) => break,
            }
        }
        self.closing.notify_waiters();
    }
}

impl<T> Drop for Channel<T> {
    fn drop(&mut self) {
        // Messages that were sent by permits after the receiver was gone. Relaxed: nobody else is
        // left, and whoever was has given up its share of this.
        let mut next = position(self.head.load(Ordering::Relaxed));
        let end = position(self.claims.load(Ordering::Relaxed));
        while next != end {
            if self.is_there(next) {
                // SAFETY:
                // - it is there, and `next` goes on.
                drop(unsafe { self.take(next) });
            }
            next = next.wrapping_add(1);
        }
    }
}

/// The upper half of a word.
const fn position(word: u64) -> u32 {
    (word >> 32) as u32
}
