//! The hierarchical timing wheel: slots of doubly-linked entries, cascading as time goes on.
//!
//! After G. Varghese and A. Lauck, "Hashed and Hierarchical Timing Wheels: Efficient Data
//! Structures for Implementing a Timer Facility" (SOSP 1987), scheme 7. Two things are added.
//! Occupancy bitmaps find the next slot with entries without stepping through empty ones, so a
//! jump over years costs as much as one over a tick. And each slot keeps a lower bound of its
//! deadlines, so that an owner which sleeps until [`Wheel::next_deadline`] wakes once for a lone
//! far timer instead of once for each level that the timer cascades through.

use std::fmt;

use crate::timer::place::{Occupancy, PLACES, Place};
use crate::timer::slab::{Full, NIL, Slab, TimerKey};

/// So many entries from each end of a slot are looked at ahead: those fit into a cache.
const WARMED: usize = 512;

/// Timers of one shard, ordered by deadline. See the module's documentation.
///
/// Time is `u64` nanoseconds since an epoch of the owner's choice. A timer fires at the first
/// [`advance`](Self::advance) whose time has reached its exact deadline: never before, and nothing
/// is added by rounding; the 256 ns ticks only bound how finely the *order* is kept.
pub(crate) struct Wheel<W> {
    /// The latest time that the wheel has heard of. Every entry is placed as seen from here.
    now_ns: u64,
    occupied: Occupancy,
    slots: Box<[Slot]>,
    slab: Slab<W>,
}

/// The list of the entries of one place.
#[derive(Clone, Copy, Debug)]
struct Slot {
    head: u32,
    tail: u32,
    /// No entry of the list is due before this; exact unless the earliest entry was removed.
    earliest_ns: u64,
}

impl Slot {
    const EMPTY: Self = Self { head: NIL, tail: NIL, earliest_ns: u64::MAX };
}

impl<W> Wheel<W> {
    /// A wheel that starts at `now_ns` and refuses to hold more than `max_timers` timers at once.
    pub(crate) fn new(now_ns: u64, max_timers: usize) -> Self {
        Self {
            now_ns,
            occupied: Occupancy::default(),
            slots: vec![Slot::EMPTY; PLACES].into_boxed_slice(),
            slab: Slab::new(max_timers),
        }
    }

    /// Adds a timer. A deadline that has passed fires at the next [`advance`](Self::advance).
    ///
    /// O(1). Allocates only when more timers are held than ever before.
    ///
    /// # Errors
    ///
    /// [`Full`], with the payload, if `max_timers` timers are held.
    pub(crate) fn insert(&mut self, deadline_ns: u64, payload: W) -> Result<TimerKey, Full<W>> {
        let place = Place::of(self.now_ns, deadline_ns);
        let key = self.slab.insert(deadline_ns, place, payload)?;
        self.link(key.index, place, deadline_ns);
        Ok(key)
    }

    /// Takes a timer out before it fires; `None` if it has fired or was removed. O(1).
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<W> {
        if !self.slab.is_live(key) {
            return None;
        }
        self.unlink(key.index);
        self.slab.free(key.index)
    }

    /// Gives a timer another deadline, behind all others of that tick; `false` if it has fired or
    /// was removed. O(1).
    #[must_use = "a timer that has fired already is not started again"]
    pub(crate) fn reset(&mut self, key: TimerKey, deadline_ns: u64) -> bool {
        if !self.slab.is_live(key) {
            return false;
        }
        self.unlink(key.index);
        let place = Place::of(self.now_ns, deadline_ns);
        self.slab.entry(key.index).deadline_ns = deadline_ns;
        self.link(key.index, place, deadline_ns);
        true
    }

    /// The payload of a timer that has neither fired nor been removed.
    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Option<&mut W> {
        self.slab.get_mut(key)
    }

    /// Moves the time on and hands every timer that is due to `sink`, in the order of their ticks
    /// and first come first served within a tick; a timer that was past when it was inserted
    /// counts for the tick it was inserted in.
    ///
    /// An earlier time than a previous call's counts as that call's. `advance(u64::MAX, sink)`
    /// empties the wheel. A panic of `sink` leaves the wheel whole: the timer it was given is gone,
    /// those behind it fire at the next call.
    ///
    /// Costs O(1) plus, over its whole life, at most one step per level for each timer.
    pub(crate) fn advance(&mut self, now_ns: u64, mut sink: impl FnMut(W)) {
        let now_ns = now_ns.max(self.now_ns);
        while let Some(place) = self.occupied.first() {
            let start_ns = place.start_ns(self.now_ns);
            if start_ns > now_ns {
                break;
            }
            // The present slot of level 0 began before the last call's time.
            self.now_ns = self.now_ns.max(start_ns);
            if place.level() > 0 {
                self.cascade(place);
            } else if self.fire(place, now_ns, &mut sink) {
                break;
            }
        }
        self.now_ns = now_ns;
    }

    /// The earliest deadline, or a lower bound of it that is later than the last
    /// [`advance`](Self::advance) unless a past deadline was inserted since. O(1).
    ///
    /// The bound is exact unless a timer of the first slot was removed or reset; then one
    /// [`advance`](Self::advance) to the bound makes it exact. `None`: the wheel is empty.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.occupied.first().map(|place| self.slots[place.index()].earliest_ns)
    }

    /// Shows the deadline and the payload of each timer that waits, in no order. Costs one look at
    /// each entry that was ever used.
    pub(crate) fn for_each(&self, body: impl FnMut(u64, &W)) {
        self.slab.for_each(body);
    }

    /// How many timers wait.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether no timer waits.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves the entries of a slot that the present has just entered to lower levels.
    fn cascade(&mut self, place: Place) {
        self.warm(place);
        let mut index = self.take(place);
        while index != NIL {
            let entry = self.slab.entry(index);
            let (deadline_ns, next) = (entry.deadline_ns, entry.next);
            let lower = Place::of(self.now_ns, deadline_ns);
            debug_assert!(lower.level() < place.level(), "an entry must cascade downwards");
            self.link(index, lower, deadline_ns);
            index = next;
        }
    }

    /// Walks through a slot from both ends at once, until both meet. Each entry is found by the one
    /// before, so one walk waits for the memory of each entry by itself; two wait together.
    fn warm(&mut self, place: Place) {
        let Slot { head, tail, .. } = self.slots[place.index()];
        let (mut front, mut back) = (head, tail);
        for _ in 0..WARMED {
            if front == back {
                return;
            }
            front = self.slab.entry(front).next;
            if front == back {
                return;
            }
            back = self.slab.entry(back).prev;
        }
    }

    /// Fires what is due in a slot of level 0; says whether entries are left, all of them later.
    fn fire(&mut self, place: Place, now_ns: u64, sink: &mut impl FnMut(W)) -> bool {
        let slot = self.slots[place.index()];
        if slot.earliest_ns > now_ns {
            return true;
        }
        let mut left_ns = None;
        let mut index = slot.head;
        while index != NIL {
            let entry = self.slab.entry(index);
            let (deadline_ns, next) = (entry.deadline_ns, entry.next);
            if deadline_ns <= now_ns {
                // Out of the wheel before the sink runs, which may panic.
                self.unlink(index);
                self.slab.free(index).into_iter().for_each(&mut *sink);
            } else {
                left_ns = Some(left_ns.map_or(deadline_ns, |left| deadline_ns.min(left)));
            }
            index = next;
        }
        match left_ns {
            Some(earliest_ns) => {
                self.slots[place.index()].earliest_ns = earliest_ns;
                true
            }
            None => false,
        }
    }

    /// Empties a slot; the first of its entries, still linked forwards.
    fn take(&mut self, place: Place) -> u32 {
        self.occupied.clear(place);
        std::mem::replace(&mut self.slots[place.index()], Slot::EMPTY).head
    }

    /// Puts an entry that is in no list behind all others of a slot.
    fn link(&mut self, index: u32, place: Place, deadline_ns: u64) {
        let slot = &mut self.slots[place.index()];
        let prev = std::mem::replace(&mut slot.tail, index);
        slot.earliest_ns = slot.earliest_ns.min(deadline_ns);
        if prev == NIL {
            slot.head = index;
            self.occupied.set(place);
        } else {
            self.slab.entry(prev).next = index;
        }
        let entry = self.slab.entry(index);
        entry.place = place;
        entry.prev = prev;
        entry.next = NIL;
    }

    /// Takes an entry out of the list of its slot.
    fn unlink(&mut self, index: u32) {
        let entry = self.slab.entry(index);
        let (place, prev, next) = (entry.place, entry.prev, entry.next);
        if prev != NIL {
            self.slab.entry(prev).next = next;
        }
        if next != NIL {
            self.slab.entry(next).prev = prev;
        }
        let slot = &mut self.slots[place.index()];
        if prev == NIL {
            slot.head = next;
        }
        if next == NIL {
            slot.tail = prev;
        }
        if slot.head == NIL {
            *slot = Slot::EMPTY;
            self.occupied.clear(place);
        }
    }

    /// How many entries the slab has made, the free and retired ones included.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.slab.allocated()
    }

    /// Ages the entry of a key to its last generation; the key that names it from then on.
    #[cfg(test)]
    pub(super) fn wear_out(&mut self, key: TimerKey) -> TimerKey {
        self.slab.wear_out(key)
    }
}

impl<W> fmt::Debug for Wheel<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("now_ns", &self.now_ns)
            .field("len", &self.len())
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}
