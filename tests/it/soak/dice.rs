//! Numbers that look random and are the same for the same seed.

use std::time::Duration;

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Others, for somebody else.
    pub(super) const fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `end`.
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Whether one of so many came up.
    pub(super) const fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// A span shorter than `end`.
    pub(super) const fn span(&mut self, end: Duration) -> Duration {
        Duration::from_nanos(self.below(end.as_nanos() as u64))
    }

    /// Bytes, at least one: mostly few, sometimes up to `most`.
    pub(super) fn bytes(&mut self, most: u64) -> Vec<u8> {
        let end = if self.one_in(4) { most } else { most.min(300) };
        let len = 1 + self.below(end);
        let mut word = self.next();
        let next = |_| {
            word = word.rotate_left(7).wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1);
            (word >> 56) as u8
        };
        (0..len).map(next).collect()
    }
}
