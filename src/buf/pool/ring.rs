//! The ring through which a program provides buffers to the kernel: `struct io_uring_buf_ring`.

use std::io;
use std::ptr::NonNull;
// Not from `primitive`: the other party is the kernel, which no model can see.
use std::sync::atomic::{AtomicU16, Ordering};

use crate::buf::pool::pages::Pages;

/// `struct io_uring_buf`: a buffer that is there to be taken. In the first entry the last field is
/// the ring's tail.
#[repr(C)]
struct Entry {
    addr: u64,
    len: u32,
    number: u16,
    tail: u16,
}

const _: () = assert!(size_of::<Entry>() == 16);

/// The provider's end of a ring of buffers. The consumer, which is the kernel, has no state of its
/// own in this memory: it counts what it took by itself.
#[derive(Debug)]
pub(crate) struct Ring {
    pages: Pages,
    entries: u16,
    /// The next entry to write; it counts on beyond the end of the ring, and wraps.
    tail: u16,
}

impl Ring {
    /// The most entries that the kernel takes.
    pub(crate) const MOST: usize = 1 << 15;

    /// An empty ring with room for at least so many buffers; at most [`Ring::MOST`].
    ///
    /// # Errors
    ///
    /// What the system answers to the wish for memory.
    pub(super) fn new(buffers: usize) -> io::Result<Self> {
        let entries = buffers.clamp(1, Self::MOST).next_power_of_two();
        let pages = Pages::new(entries * size_of::<Entry>())?;
        let entries = u16::try_from(entries).expect("32,768 is within u16");
        Ok(Self { pages, entries, tail: 0 })
    }

    /// Where the ring is. The memory stays there as long as the ring lives.
    pub(crate) fn address(&self) -> NonNull<u8> {
        self.pages.start()
    }

    /// How many entries it has: a power of two.
    pub(crate) fn entries(&self) -> u16 {
        self.entries
    }

    /// Writes an entry. The kernel sees it after [`publish`](Self::publish).
    ///
    /// There is room for it as long as no more buffers are in the ring than it has entries.
    pub(super) fn push(&mut self, buffer: NonNull<u8>, len: u32, number: u16) {
        let index = usize::from(self.tail & (self.entries - 1));
        let entries = self.pages.start().cast::<Entry>();
        // SAFETY: the index is below `entries`, for which the pages have room.
        let entry = unsafe { entries.add(index) }.as_ptr();
        // SAFETY: the entry is within the pages, which are aligned for it.
        let addr = unsafe { &raw mut (*entry).addr };
        // SAFETY: as above.
        let length = unsafe { &raw mut (*entry).len };
        // SAFETY: as above.
        let name = unsafe { &raw mut (*entry).number };
        // SAFETY: a field of an entry behind the tail, which the kernel does not read; `&mut self`
        // is the only writer.
        unsafe { addr.write(buffer.expose_provenance().get() as u64) };
        // SAFETY: as above.
        unsafe { length.write(len) };
        // SAFETY: as above. (The field behind it is the tail, and is left alone.)
        unsafe { name.write(number) };
        self.tail = self.tail.wrapping_add(1);
    }

    /// Begins anew, as an empty ring; for one that no kernel knows.
    pub(super) fn clear(&mut self) {
        self.tail = 0;
        self.publish();
    }

    /// Shows the kernel what was pushed.
    pub(super) fn publish(&mut self) {
        let first = self.pages.start().cast::<Entry>().as_ptr();
        // SAFETY: the first entry is within the pages.
        let tail = unsafe { &raw mut (*first).tail };
        // SAFETY: the field is aligned and lives as long as the pages; whoever else looks at it,
        // the kernel, does so atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail) };
        // Release pairs with the kernel's acquire load of the tail: it sees the entries before.
        tail.store(self.tail, Ordering::Release);
    }
}
