//! What frames contain, so that each byte of each frame can be checked, and their order with it.

use crate::measure::Wrong;

/// The frames of one connection: 64-bit words that count up, from a number that no other frame of
/// this connection and hardly one of another begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern(u64);

/// Odd, so that products with it differ as long as the factors do.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
const WORD: usize = size_of::<u64>();

impl Pattern {
    /// Of the connection with this number.
    pub(super) const fn of(connection: usize) -> Self {
        Self((connection as u64).wrapping_mul(SPREAD).rotate_left(32))
    }

    const fn first_word(self, number: u64) -> u64 {
        number.wrapping_mul(SPREAD) ^ self.0
    }

    /// Makes this the frame with this number. Frames are whole words.
    pub(super) fn fill(self, frame: &mut [u8], number: u64) {
        let first = self.first_word(number);
        for (at, word) in frame.chunks_exact_mut(WORD).enumerate() {
            word.copy_from_slice(&first.wrapping_add(at as u64).to_le_bytes());
        }
    }

    /// As [`fill`](Self::fill), behind a word that says something else.
    pub(super) fn fill_behind(self, word: u64, frame: &mut [u8], number: u64) {
        put_word(frame, word);
        self.fill(&mut frame[WORD..], number);
    }

    /// Whether this is the frame with this number, behind this word.
    pub(super) fn check_behind(self, word: u64, frame: &[u8], number: u64) -> Result<(), Wrong> {
        Wrong::unless_equal("the first word of a frame", word_of(frame), word)?;
        self.check(&frame[WORD..], number)
    }

    /// Whether this is the frame with this number, all of it.
    pub(super) fn check(self, frame: &[u8], number: u64) -> Result<(), Wrong> {
        let first = self.first_word(number);
        let (words, rest) = frame.as_chunks::<WORD>();
        // No early end: without one, this is a few instructions for several words.
        let mut differences = 0;
        for (at, word) in words.iter().enumerate() {
            differences |= u64::from_le_bytes(*word) ^ first.wrapping_add(at as u64);
        }
        if differences == 0 && rest.is_empty() {
            return Ok(());
        }
        Err(Wrong(format!("frame {number} is not what was sent")))
    }
}

/// The word at the start of a frame.
pub(super) fn word_of(frame: &[u8]) -> u64 {
    let (word, _) = frame.split_first_chunk().expect("a frame has several words");
    u64::from_le_bytes(*word)
}

/// Puts another one there.
pub(super) fn put_word(frame: &mut [u8], word: u64) {
    frame[..WORD].copy_from_slice(&word.to_le_bytes());
}

#[cfg(test)]
mod tests;
