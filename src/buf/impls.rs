//! The standard library's owners of bytes as buffers.

use std::sync::Arc;

use crate::buf::{IoBuf, IoBufMut};

// SAFETY:
// - O1: a vector's pointer is not null and points to `capacity` bytes of its own.
// - O2: they are on the heap, so moving the vector does not move them; only `&mut` reallocates.
// - O3: the first `len` bytes are initialised, `len <= capacity`; a vector is their only owner.
// - O4: three getters.
unsafe impl IoBuf for Vec<u8> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }

    fn bytes_total(&self) -> usize {
        self.capacity()
    }
}

// SAFETY:
// - O5: `as_mut_ptr` is the address of `as_ptr` and allows writes to the whole capacity.
// - O6: a vector is the only owner of its memory.
// - O7: the length becomes `len` and nothing is written.
unsafe impl IoBufMut for Vec<u8> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, len: usize) {
        // SAFETY: the caller promises that `len` is at most the capacity, which is `bytes_total`,
        // and that the first `len` bytes are initialised.
        unsafe { self.set_len(len) };
    }
}

// SAFETY:
// - O1, O3: pointer and length of one slice, which is initialised and owned by the box alone.
// - O2: the bytes are on the heap, so moving the box does not move them.
// - O4: two getters.
unsafe impl IoBuf for Box<[u8]> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY:
// - O5: the same address, derived from `&mut`, for the same length.
// - O6: a box is the only owner of its memory.
// - O7: everything is initialised, always.
unsafe impl IoBufMut for Box<[u8]> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, len: usize) {
        debug_assert!(len <= self.len(), "{len} bytes set in a buffer of {}", self.len());
    }
}

// SAFETY: as for `Box<[u8]>`: the array is on the heap and does not move with the box.
unsafe impl<const N: usize> IoBuf for Box<[u8; N]> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        N
    }
}

// SAFETY: as for `Box<[u8]>`.
unsafe impl<const N: usize> IoBufMut for Box<[u8; N]> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, len: usize) {
        debug_assert!(len <= N, "{len} bytes set in a buffer of {N}");
    }
}

// SAFETY:
// - O1, O3: pointer and length of one initialised slice; the bytes of a `String` are UTF-8, which
//   reading them cannot change.
// - O2: the bytes are on the heap.
// - O4: two getters. The spare capacity is not reported: a string is never read into.
unsafe impl IoBuf for String {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY:
// - O1, O3: pointer and length of one initialised slice. Other owners may exist, and none of them
//   can write: `Arc::get_mut` and `Arc::make_mut` need to be the only one.
// - O2: the bytes are on the heap and live as long as this owner.
// - O4: two getters.
unsafe impl IoBuf for Arc<[u8]> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY:
// - O1, O3: pointer and length of one initialised slice, which a shared reference keeps from being
//   written.
// - O2: the memory lives for ever, and a reference moves without what it refers to.
// - O4: two getters.
unsafe impl IoBuf for &'static [u8] {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: as for `&'static [u8]`.
unsafe impl IoBuf for &'static str {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}
