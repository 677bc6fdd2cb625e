//! The bytes of a stream: any part of them can be made, and so checked, without the rest.

/// Bytes of one stream, told from those of others by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    seed: u64,
}

impl Pattern {
    /// The pattern of the stream with this number.
    pub(crate) fn new(stream: u64) -> Self {
        Self { seed: mix(stream ^ 0x5bd1_e995_0000_0001) }
    }

    /// Writes the bytes from `offset` on, which is a multiple of 8, over the whole of `to`.
    pub(crate) fn fill(self, offset: u64, to: &mut [u8]) {
        for (word, chunk) in (offset / 8..).zip(to.chunks_mut(8)) {
            chunk.copy_from_slice(&self.word(word)[..chunk.len()]);
        }
    }

    /// The offset of the first byte that is not as it should be. `offset` is that of `bytes[0]` and
    /// a multiple of 8.
    pub(crate) fn first_mismatch(self, offset: u64, bytes: &[u8]) -> Option<u64> {
        let mut at = offset;
        for chunk in bytes.chunks(8) {
            let expected = self.word(at / 8);
            if chunk != &expected[..chunk.len()] {
                let within = chunk.iter().zip(expected).position(|(&is, should)| is != should);
                return Some(at + within.unwrap_or(0) as u64);
            }
            at += chunk.len() as u64;
        }
        None
    }

    fn word(self, index: u64) -> [u8; 8] {
        mix(self.seed.wrapping_add(index)).to_le_bytes()
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A checksum that is cheap and depends on the order: FNV-1a over words (Fowler, Noll, Vo).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Checksum(u64);

impl Checksum {
    /// Of no bytes.
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes; whether a run of bytes is added in one piece or in pieces of a multiple of 8
    /// makes no difference.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The checksum as a number.
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}
