//! Memory that remembers: buffers that are kept, filled with a pattern, after they were dropped.

use std::alloc::{Layout, alloc, dealloc};
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use spargio::{IoBuf, IoBufMut};

/// What the memory of a dropped buffer holds. Nothing that a test sends contains it.
pub(super) const DEAD: u8 = 0xc5;

/// Good for direct I/O.
const ALIGN: usize = 4096;

/// Where the memory of dropped buffers lies until the test has ended.
#[derive(Clone, Default)]
pub(crate) struct Graveyard(Arc<Inner>);

#[derive(Default)]
struct Inner {
    dead: Mutex<Vec<Memory>>,
    made: AtomicUsize,
}

impl Graveyard {
    /// A buffer of so many zeros.
    pub(crate) fn buffer(&self, len: usize) -> Canary {
        self.0.made.fetch_add(1, Ordering::Relaxed);
        Canary { memory: Some(Memory::new(len)), yard: self.clone() }
    }

    /// A buffer with this content.
    pub(crate) fn filled(&self, bytes: &[u8]) -> Canary {
        let mut buffer = self.buffer(bytes.len());
        // SAFETY: the buffer is new and has as many bytes.
        unsafe { buffer.stable_mut_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        buffer
    }

    /// How many buffers exist that were not dropped.
    pub(crate) fn alive(&self) -> usize {
        self.0.made.load(Ordering::Relaxed) - self.0.dead.lock().unwrap().len()
    }

    /// Nobody wrote to the memory of a buffer after it was dropped.
    #[track_caller]
    pub(crate) fn assert_at_rest(&self) {
        let dead = self.0.dead.lock().unwrap();
        for (number, memory) in dead.iter().enumerate() {
            let bytes = memory.bytes();
            // The comparison of slices is fast also in a build that is not optimised.
            if bytes.chunks(ALIGN).all(|bytes| bytes == &[DEAD; ALIGN][..bytes.len()]) {
                continue;
            }
            if let Some(at) = bytes.iter().position(|byte| *byte != DEAD) {
                let (byte, all) = (bytes[at], dead.len());
                panic!("byte {at} of dropped buffer {number} of {all} became {byte:#x}");
            }
        }
    }
}

/// A buffer whose memory is never given back to the allocator while the test runs.
pub(crate) struct Canary {
    memory: Option<Memory>,
    yard: Graveyard,
}

impl Canary {
    fn memory(&self) -> &Memory {
        self.memory.as_ref().expect("taken by the destructor only")
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            // SAFETY: the memory has that many bytes and is this buffer's.
            unsafe { memory.start.write_bytes(DEAD, memory.len) };
            self.yard.0.dead.lock().unwrap().push(memory);
        }
    }
}

// SAFETY:
// - O1, O2, O3: an allocation of its own of `len` bytes, zeroed at the start, that does not move
//   with its owner and has no other while the value exists.
// - O4: two getters of fields that do not change.
unsafe impl IoBuf for Canary {
    fn stable_ptr(&self) -> *const u8 {
        self.memory().start.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.memory().len
    }
}

// SAFETY:
// - O5, O6: the same address of memory that is this buffer's alone.
// - O7: everything is initialised, always.
unsafe impl IoBufMut for Canary {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.memory().start.as_ptr()
    }

    unsafe fn set_init(&mut self, len: usize) {
        assert!(len <= self.bytes_init(), "{len} bytes in a buffer of {}", self.bytes_init());
    }
}

struct Memory {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it is the only owner of its allocation.
unsafe impl Send for Memory {}

impl Memory {
    fn new(len: usize) -> Self {
        // SAFETY: the layout is not of size 0.
        let start = unsafe { alloc(Self::layout(len)) };
        let start = NonNull::new(start).expect("there is memory");
        // SAFETY: the allocation has at least `len` bytes.
        unsafe { start.write_bytes(0, len) };
        Self { start, len }
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len.max(1), ALIGN).unwrap()
    }

    fn bytes(&self) -> &[u8] {
        // The kernel writes behind the compiler's back, if at all.
        let start = black_box(self.start.as_ptr());
        // SAFETY: all bytes of the allocation are initialised from the start; that nobody writes
        // to them any more is what the caller finds out.
        unsafe { std::slice::from_raw_parts(start, self.len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layout, and used no more.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.len)) };
    }
}

#[test]
#[should_panic(expected = "byte 3 of dropped buffer 0 of 1 became 0x1")]
fn a_write_to_a_dropped_buffer_is_seen() {
    let yard = Graveyard::default();
    let mut buffer = yard.buffer(8);
    let start = buffer.stable_mut_ptr();
    drop(buffer);
    yard.assert_at_rest();
    assert_eq!(yard.alive(), 0);
    // SAFETY: within the memory, which the graveyard keeps.
    let place = unsafe { start.add(3) };
    // SAFETY: as above; this is the crime that the graveyard looks for.
    unsafe { place.write(1) };
    yard.assert_at_rest();
}
