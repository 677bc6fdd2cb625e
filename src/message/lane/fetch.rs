//! Lines that are asked for before they are needed.
//!
//! A store to a line that another processor has read waits for that processor, and so do all stores
//! behind it, and the fence with which a message is posted. Who says early that it will write there
//! has the line when it does.

#[cfg(target_arch = "x86_64")]
#[cfg(not(any(loom, miri)))]
use std::arch::asm;

use crate::primitive::AtomicU64;

/// Asks for the line of a word that is written soon.
#[inline]
pub(super) fn to_write(word: &AtomicU64) {
    #[cfg(target_arch = "x86_64")]
    #[cfg(not(any(loom, miri)))]
    // SAFETY:
    // - a hint changes nothing that a program sees, and where a processor does not have it, it is
    //   an instruction that does nothing.
    unsafe {
        asm!("prefetchw [{}]", in(reg) word, options(readonly, nostack, preserves_flags));
    }
    #[cfg(any(not(target_arch = "x86_64"), loom, miri))]
    let _ = word; // There is no such hint.
}

/// Asks for the line of a word that is read soon.
#[inline]
pub(super) fn to_read(word: &AtomicU64) {
    #[cfg(target_arch = "x86_64")]
    #[cfg(not(any(loom, miri)))]
    // SAFETY:
    // - as above.
    unsafe {
        asm!("prefetcht0 [{}]", in(reg) word, options(readonly, nostack, preserves_flags));
    }
    #[cfg(any(not(target_arch = "x86_64"), loom, miri))]
    let _ = word; // There is no such hint.
}
