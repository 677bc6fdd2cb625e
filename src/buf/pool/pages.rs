//! Memory straight from the system: aligned to pages, zeroed, and given back in parts.

use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};

/// A private mapping of its own. What was never touched takes no memory.
///
/// It says nothing about who may use which part: that is for whoever owns it.
#[derive(Debug)]
pub(in crate::buf) struct Pages {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone and is bound to no thread.
unsafe impl Send for Pages {}

// SAFETY: a shared reference gives out an address and a length; `forget` is unsafe.
unsafe impl Sync for Pages {}

impl Pages {
    /// Maps at least so many bytes, all of them 0.
    ///
    /// # Errors
    ///
    /// What the system answers: no memory, or a limit of the address space.
    pub(in crate::buf) fn new(len: usize) -> io::Result<Self> {
        let len = len.next_multiple_of(Self::page_size());
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address that the system chooses touches nobody's memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    /// How many bytes a page has.
    pub(in crate::buf) fn page_size() -> usize {
        // SAFETY: the call takes no memory.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
    }

    /// The first byte.
    pub(in crate::buf) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes there are.
    pub(in crate::buf) fn len(&self) -> usize {
        self.len
    }

    /// Gives the memory behind the whole pages of this part back; it reads as 0 from then on.
    ///
    /// # Safety
    ///
    /// Nobody uses the bytes of the range during the call, nor relies on what they hold.
    pub(super) unsafe fn forget(&self, range: Range<usize>) {
        let page = Self::page_size();
        let (from, to) =
            (range.start.next_multiple_of(page), range.end.min(self.len) / page * page);
        if from >= to {
            return;
        }
        // SAFETY: `from < to <= len`, so it is within the mapping.
        let start = unsafe { self.start.add(from) };
        // SAFETY: whole pages of this mapping, which nobody uses: the caller's promise. A refusal
        // leaves the memory as it is.
        let _kept = unsafe { libc::madvise(start.as_ptr().cast(), to - from, libc::MADV_DONTNEED) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length and is unmapped once. A refusal
        // leaves it there.
        let _kept = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
