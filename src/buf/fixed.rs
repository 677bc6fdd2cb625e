//! Pages that rings know by number: buffers for fixed I/O, leased from a pool.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc as StdArc, Weak as StdWeak};

use crate::buf::pool::Pages;
use crate::buf::{IoBuf, IoBufMut};
use crate::primitive::{Mutex, lock};

/// Buffers of whole pages that the kernel can be told of once, instead of with each operation.
///
/// A [`File`](crate::fs::File) that reads to a [`FixedBuf`] or writes from one does so as fixed
/// I/O: the ring of the shard that submits the operation knows the pages of the pool, so the kernel
/// need not look them up and pin them each time. The first such operation of a shard registers the
/// pool with its ring, which takes as long as the pool has pages; a task that was stolen finds the
/// pool registered with its new shard's ring, or causes that. A ring knows
/// [`MAX_POOLS`](Self::MAX_POOLS) pools at a time.
///
/// Where the ring does not take the pool, the operation is an ordinary one, and never fails for
/// that reason. [`fs::register_fixed`](crate::fs::register_fixed) says why. Pinned pages count
/// against the limit of locked memory (`RLIMIT_MEMLOCK`, `ulimit -l`) once for each ring, unless
/// the process has `CAP_IPC_LOCK`.
///
/// All buffers are aligned to pages, and so is their size: they are fit for direct I/O
/// (`OpenOptions::custom_flags(libc::O_DIRECT)`), which is also where they gain most.
///
/// The pool is a handle: clones are the same pool. Its memory goes when the last handle and the
/// last buffer are gone; a ring lets go of it the next time that its shard has nothing to do.
///
/// # Examples
///
/// ```
/// use spargio::FixedPool;
/// use spargio::fs::OpenOptions;
///
/// # let dir = spargio::Runtime::builder().shards(1).build().unwrap();
/// # dir.block_on(async {
/// # let path = std::env::temp_dir().join(format!("spargio-doc-fixed-{}", std::process::id()));
/// let pool = FixedPool::new(16, 4096)?;
/// let file = OpenOptions::new().read(true).write(true).create(true).open(&path).await?;
/// let mut page = pool.try_lease().expect("nobody else has one");
/// page.set_len(4096);
/// page.fill(7);
/// let (written, page) = file.write_at(page, 0).await;
/// assert_eq!(written?, 4096);
/// let (read, page) = file.read_at(page, 0).await;
/// assert_eq!(read?, 4096);
/// assert!(page.iter().all(|byte| *byte == 7));
/// drop(page);
/// assert_eq!(pool.available(), 16);
/// # std::fs::remove_file(path)?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct FixedPool {
    stock: StdArc<FixedStock>,
}

impl FixedPool {
    /// The most bytes that a pool has: what the kernel registers as one.
    pub const MAX_BYTES: usize = 1 << 30;
    /// The most pools that one ring knows at a time. Buffers of further ones work as any others.
    pub const MAX_POOLS: usize = 64;

    /// A pool of `count` buffers, each of `size` bytes rounded up to whole pages. The memory is
    /// mapped here, and costs none until it is touched or registered.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if one of the two is 0, or if all are more than
    /// [`MAX_BYTES`](Self::MAX_BYTES); else what the system answers to the wish for memory.
    pub fn new(count: usize, size: usize) -> io::Result<Self> {
        let refused = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if count == 0 || size == 0 {
            return refused(format!("a pool of {count} buffers of {size} bytes has no memory"));
        }
        let page = Pages::page_size();
        let total = size.checked_next_multiple_of(page).and_then(|size| size.checked_mul(count));
        let Some(total) = total.filter(|total| *total <= Self::MAX_BYTES) else {
            let most = Self::MAX_BYTES;
            return refused(format!(
                "a pool of {count} buffers of {size} bytes is larger than {most} bytes"
            ));
        };
        let pages = Pages::new(total)?;
        let count = u32::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
        // The first is leased first.
        let free = Mutex::new((0..count).rev().collect());
        let size = total / count as usize;
        Ok(Self { stock: StdArc::new(FixedStock { pages, size, count, free }) })
    }

    /// Leases a buffer, empty and with room for [`buffer_size`](Self::buffer_size) bytes. It goes
    /// back when it is dropped, on any thread. `None` if all are leased.
    pub fn try_lease(&self) -> Option<FixedBuf> {
        let number = lock(&self.stock.free).pop()?;
        Some(FixedBuf { stock: StdArc::clone(&self.stock), number, len: 0 })
    }

    /// How many bytes a buffer has room for.
    pub fn buffer_size(&self) -> usize {
        self.stock.size
    }

    /// How many buffers the pool has.
    pub fn buffers(&self) -> usize {
        self.stock.count as usize
    }

    /// How many buffers are not leased just now.
    pub fn available(&self) -> usize {
        lock(&self.stock.free).len()
    }

    pub(crate) fn part(&self) -> FixedPart<'_> {
        FixedPart(&self.stock)
    }
}

impl fmt::Debug for FixedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedPool")
            .field("buffers", &self.buffers())
            .field("buffer_size", &self.buffer_size())
            .field("available", &self.available())
            .finish()
    }
}

/// The memory of a pool, and which of its buffers are free.
///
/// It does not move, and it lives as long as anybody has a share of it.
pub(crate) struct FixedStock {
    pages: Pages,
    size: usize,
    count: u32,
    free: Mutex<Vec<u32>>,
}

impl FixedStock {
    fn address(&self, number: u32) -> NonNull<u8> {
        assert!(number < self.count, "buffer {number} of {}", self.count);
        // SAFETY: `number < count`, and the mapping has `count * size` bytes.
        unsafe { self.pages.start().add(number as usize * self.size) }
    }

    /// All of the memory.
    pub(crate) fn memory(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.pages.start(), self.size * self.count as usize)
    }
}

/// The pool that a buffer belongs to, for the ring that is to know it. A type of one's own that
/// wraps a [`FixedBuf`] passes it on in [`IoBuf::fixed`].
#[derive(Clone, Copy)]
pub struct FixedPart<'b>(&'b StdArc<FixedStock>);

impl FixedPart<'_> {
    /// Whether it is that of this memory.
    pub(crate) fn is(&self, of: &StdWeak<FixedStock>) -> bool {
        std::ptr::eq(StdArc::as_ptr(self.0), of.as_ptr())
    }

    /// The memory, without a share in it.
    pub(crate) fn downgrade(&self) -> StdWeak<FixedStock> {
        StdArc::downgrade(self.0)
    }

    /// All of the memory.
    pub(crate) fn memory(&self) -> NonNull<[u8]> {
        self.0.memory()
    }
}

impl fmt::Debug for FixedPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedPart").field("bytes", &self.memory().len()).finish()
    }
}

/// A buffer of a [`FixedPool`]: as a vector of bytes that cannot grow beyond its size.
///
/// It derefs to the bytes up to its length. A read fills it from the start and sets the length; to
/// bound a read, read to a [slice](IoBuf::slice). Memory of buffers that came back is not cleared.
pub struct FixedBuf {
    stock: StdArc<FixedStock>,
    number: u32,
    len: usize,
}

impl FixedBuf {
    /// How many bytes it has room for.
    pub fn capacity(&self) -> usize {
        self.stock.size
    }

    /// Makes it so many bytes long. What comes in is what the memory held: zeros, or what a former
    /// user left.
    ///
    /// # Panics
    ///
    /// If that is more than the [`capacity`](Self::capacity).
    #[track_caller]
    pub fn set_len(&mut self, len: usize) {
        let most = self.stock.size;
        assert!(len <= most, "a length of {len} bytes, where there is room for {most}");
        self.len = len;
    }
}

impl Deref for FixedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_init()
    }
}

impl DerefMut for FixedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        let (address, len) = (self.stable_mut_ptr(), self.len);
        // SAFETY: `len` bytes of the buffer, which is leased to this value alone; the mapping is
        // initialised with zeros.
        unsafe { std::slice::from_raw_parts_mut(address, len) }
    }
}

// SAFETY:
// - O1: `size` bytes of the mapping from the address of this number belong to the buffer, which is
//   leased once: its number left the free list, and goes back when it is dropped.
// - O2: the mapping does not move and lives as long as the share.
// - O3: a private mapping is initialised with zeros; nobody else has this number.
// - O4: the three compute from values that only `&mut` changes.
unsafe impl IoBuf for FixedBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.stock.address(self.number).as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len
    }

    fn bytes_total(&self) -> usize {
        self.stock.size
    }

    fn fixed(&self) -> Option<FixedPart<'_>> {
        Some(FixedPart(&self.stock))
    }
}

// SAFETY:
// - O5, O6: the same address, and nobody else uses the buffer while it is leased.
// - O7: it sets the length, which the caller vouches for.
unsafe impl IoBufMut for FixedBuf {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.stock.address(self.number).as_ptr()
    }

    unsafe fn set_init(&mut self, len: usize) {
        self.len = len;
    }
}

impl Drop for FixedBuf {
    fn drop(&mut self) {
        lock(&self.stock.free).push(self.number);
    }
}

impl fmt::Debug for FixedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedBuf")
            .field("number", &self.number)
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .finish()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
