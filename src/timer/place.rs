//! Where in the wheel a deadline belongs: levels, slots, and which of them are occupied.

/// A tick is `1 << TICK_SHIFT` nanoseconds: 256 ns.
pub(super) const TICK_SHIFT: u32 = 8;

/// Slots of a level, as a power of two. Many, because each level that a timer goes through waits
/// for the memory of its entry, which among 100,000 is in no cache any more.
pub(super) const SLOT_BITS: u32 = 8;

/// Slots of a level.
const SLOTS: u64 = 1 << SLOT_BITS;

/// Words of bits for the slots of a level.
const WORDS: usize = SLOTS as usize / u64::BITS as usize;

/// Levels of the wheel. A slot of level `n` is `256^n` ticks long: 256 ns, 66 us, 17 ms, 4.3 s,
/// 18 min, 78 h, 2 years.
pub(super) const LEVELS: usize = 7;

/// Slots of all levels together.
pub(super) const PLACES: usize = LEVELS * SLOTS as usize;

// Every `u64` of nanoseconds has a slot of its own, so no deadline is ever out of range.
const _: () = assert!(TICK_SHIFT + SLOT_BITS * LEVELS as u32 == u64::BITS);

/// One slot of one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(u16);

impl Place {
    /// The slot for a deadline, seen from `now_ns`.
    ///
    /// The level is the highest group of eight bits in which the two ticks differ. Hence three
    /// facts that the wheel rests on: entries of level `n` share all higher groups with the
    /// present; at level 0 their slot is the present one or a later one, at other levels a later
    /// one; so the lowest slot of the lowest level holds the earliest deadlines, and as long as
    /// the present does not enter a slot, everything in it stays where it is.
    pub(super) const fn of(now_ns: u64, deadline_ns: u64) -> Self {
        let now = now_ns >> TICK_SHIFT;
        let tick = deadline_ns >> TICK_SHIFT;
        // What is past belongs to the present slot, which the next advance looks at.
        let tick = if tick < now { now } else { tick };
        let differing = (now ^ tick) | (SLOTS - 1);
        let level = differing.ilog2() / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) & (SLOTS - 1);
        Self((level << SLOT_BITS) as u16 | slot as u16)
    }

    const fn new(level: u32, slot: u32) -> Self {
        Self((level << SLOT_BITS | slot) as u16)
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) const fn level(self) -> usize {
        (self.0 >> SLOT_BITS) as usize
    }

    const fn slot(self) -> u64 {
        self.0 as u64 & (SLOTS - 1)
    }

    /// Which word of its level has the bit of this slot, and the bit.
    const fn bit(self) -> (usize, u64) {
        let slot = self.slot();
        (slot as usize / u64::BITS as usize, 1 << (slot % u64::BITS as u64))
    }

    /// The first nanosecond of this slot's span, in the turn of its level that `now_ns` is in.
    pub(super) const fn start_ns(self, now_ns: u64) -> u64 {
        let span = TICK_SHIFT + self.level() as u32 * SLOT_BITS;
        let turn = span + SLOT_BITS;
        let base = if turn == u64::BITS { 0 } else { now_ns >> turn << turn };
        base | self.slot() << span
    }
}

/// Which slots hold entries: one bit for a slot, and one for a level that has any.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    levels: u16,
    slots: [[u64; WORDS]; LEVELS],
}

impl Occupancy {
    pub(super) fn set(&mut self, place: Place) {
        let (word, bit) = place.bit();
        self.slots[place.level()][word] |= bit;
        self.levels |= 1 << place.level();
    }

    pub(super) fn clear(&mut self, place: Place) {
        let (word, bit) = place.bit();
        let slots = &mut self.slots[place.level()];
        slots[word] &= !bit;
        if *slots == [0; WORDS] {
            self.levels &= !(1 << place.level());
        }
    }

    /// The lowest occupied slot of the lowest occupied level: the one with the earliest deadlines.
    pub(super) fn first(&self) -> Option<Place> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let slots = &self.slots[level as usize];
        let word = slots.iter().position(|&word| word != 0)?;
        Some(Place::new(level, word as u32 * u64::BITS + slots[word].trailing_zeros()))
    }
}
