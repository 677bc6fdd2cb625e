//! The entries of a wheel: a slab with a free list and a generation per entry.

use std::error::Error;
use std::fmt;

use crate::timer::place::Place;

/// The index that stands for no entry.
pub(super) const NIL: u32 = u32::MAX;

/// Names one timer of one wheel. A key whose timer has fired or was removed names nothing, for
/// ever: an entry whose generations are used up is retired.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct TimerKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// The wheel holds as many timers as it may; the payload comes back.
pub(crate) struct Full<W> {
    /// What was to be inserted.
    pub(crate) payload: W,
    /// The most timers that this wheel may hold.
    pub(crate) limit: usize,
}

impl<W> fmt::Display for Full<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the shard already holds {} timers, its limit", self.limit)
    }
}

impl<W> fmt::Debug for Full<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<W> Error for Full<W> {}

/// A timer, and its links in the list of its slot.
#[derive(Debug)]
pub(super) struct Entry<W> {
    pub(super) deadline_ns: u64,
    pub(super) prev: u32,
    /// The next entry of the slot, or of the free list.
    pub(super) next: u32,
    pub(super) place: Place,
    generation: u32,
    /// `None` exactly while the entry is free or retired.
    payload: Option<W>,
}

/// All entries of a wheel.
#[derive(Debug)]
pub(super) struct Slab<W> {
    entries: Vec<Entry<W>>,
    free: u32,
    live: usize,
    limit: usize,
}

impl<W> Slab<W> {
    pub(super) const fn new(limit: usize) -> Self {
        Self { entries: Vec::new(), free: NIL, live: 0, limit }
    }

    /// Takes an entry from the free list, or makes one. Its links are the caller's to set.
    pub(super) fn insert(
        &mut self,
        deadline_ns: u64,
        place: Place,
        payload: W,
    ) -> Result<TimerKey, Full<W>> {
        // Only retired entries can use up the indices before the limit does.
        let exhausted = self.free == NIL && self.entries.len() >= NIL as usize;
        if self.live >= self.limit || exhausted {
            return Err(Full { payload, limit: self.limit });
        }
        self.live += 1;
        let payload = Some(payload);
        if self.free == NIL {
            let index = self.entries.len() as u32;
            let (prev, next, generation) = (NIL, NIL, 0);
            self.entries.push(Entry { deadline_ns, prev, next, place, generation, payload });
            return Ok(TimerKey { index, generation });
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        entry.deadline_ns = deadline_ns;
        entry.place = place;
        entry.payload = payload;
        Ok(TimerKey { index, generation: entry.generation })
    }

    /// Frees an entry that is in no list any more. Every key to it is stale from here on.
    pub(super) fn free(&mut self, index: u32) -> Option<W> {
        let entry = &mut self.entries[index as usize];
        let payload = entry.payload.take()?;
        self.live -= 1;
        // An entry whose generations are used up is never used again: a key that was kept for
        // four thousand million timers must not name somebody else's.
        if let Some(generation) = entry.generation.checked_add(1) {
            entry.generation = generation;
            entry.next = self.free;
            self.free = index;
        }
        Some(payload)
    }

    pub(super) fn get_mut(&mut self, key: TimerKey) -> Option<&mut W> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation == key.generation { entry.payload.as_mut() } else { None }
    }

    /// The entry at an index that came from a list of the wheel.
    pub(super) fn entry(&mut self, index: u32) -> &mut Entry<W> {
        &mut self.entries[index as usize]
    }

    /// Shows the deadline and the payload of each timer that waits, in no order.
    pub(super) fn for_each(&self, mut body: impl FnMut(u64, &W)) {
        for entry in &self.entries {
            if let Some(payload) = &entry.payload {
                body(entry.deadline_ns, payload);
            }
        }
    }

    pub(super) fn is_live(&self, key: TimerKey) -> bool {
        self.entries
            .get(key.index as usize)
            .is_some_and(|entry| entry.generation == key.generation && entry.payload.is_some())
    }

    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// Puts an entry's generation at its last value, as if it had been used that often.
    #[cfg(test)]
    pub(super) fn wear_out(&mut self, key: TimerKey) -> TimerKey {
        self.entries[key.index as usize].generation = u32::MAX;
        TimerKey { index: key.index, generation: u32::MAX }
    }

    /// How many entries exist, free and retired ones included.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.entries.len()
    }
}
