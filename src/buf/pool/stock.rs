//! The memory of a shard's receive buffers, shared by everybody who holds one.

use std::fmt;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;

use crate::buf::pool::pages::Pages;
use crate::buf::pool::returns::Returns;
use crate::primitive::{Arc, AtomicU64, AtomicUsize, Ordering};

/// What the buffers of a shard are counted by, for its statistics; it outlives them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    leased: AtomicU64,
}

impl Tally {
    /// How many buffers are in use: filled, and not given back.
    pub(crate) fn leased(&self) -> u64 {
        // Acquire pairs with the Release of `Stock::give_back`: who sees a buffer uncounted finds
        // it among those that came back.
        self.leased.load(Ordering::Acquire)
    }
}

/// The memory of receive buffers of one size, and the way back for those in use.
///
/// It does not move, and it lives as long as anybody has a share of it.
pub(crate) struct Stock {
    memory: Pages,
    size: usize,
    count: usize,
    returns: Returns,
    /// Operations that the kernel may give buffers to.
    armed: AtomicUsize,
    tally: Arc<Tally>,
}

impl Stock {
    /// Memory for `count` buffers, at most 65,536, of `size` bytes; none of it is touched.
    ///
    /// # Errors
    ///
    /// What the system answers to the wish for memory.
    pub(super) fn new(count: usize, size: usize, tally: Arc<Tally>) -> io::Result<Arc<Self>> {
        let memory = Pages::new(count * size)?;
        let (returns, armed) = (Returns::new(count), AtomicUsize::new(0));
        Ok(Arc::new(Self { memory, size, count, returns, armed, tally }))
    }

    /// How many bytes a buffer has.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// How many buffers there may be.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Where a buffer begins.
    pub(super) fn address(&self, number: u16) -> NonNull<u8> {
        let index = usize::from(number);
        assert!(index < self.count, "buffer {number} of {}", self.count);
        // SAFETY: `index < count`, and the mapping has at least `count * size` bytes.
        unsafe { self.memory.start().add(index * self.size) }
    }

    /// Gives the memory of buffers back to the system.
    ///
    /// # Safety
    ///
    /// The buffers of the range belong to the caller.
    pub(super) unsafe fn forget(&self, numbers: Range<usize>) {
        // SAFETY: they are the caller's, and what they hold matters to nobody.
        unsafe { self.memory.forget(numbers.start * self.size..numbers.end * self.size) };
    }

    /// Counts a buffer that the kernel has filled.
    pub(super) fn note_lent(&self) {
        self.tally.leased.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a buffer that came back.
    pub(super) fn note_back(&self) {
        // Release pairs with `Tally::leased`.
        self.tally.leased.fetch_sub(1, Ordering::Release);
    }

    /// How many buffers of the shard are in use.
    pub(super) fn leased(&self) -> usize {
        usize::try_from(self.tally.leased()).unwrap_or(usize::MAX)
    }

    /// Takes a buffer from whoever had it, on any thread. It is with the shard when that looks.
    pub(super) fn give_back(&self, number: u16) {
        // Before it is uncounted: a shard that finds nothing lent finds everything here.
        self.returns.push(number);
        self.note_back();
    }

    /// Passes on what came back.
    pub(super) fn take_returns(&self, sink: impl FnMut(u16)) {
        self.returns.take(sink);
    }

    /// How many operations may be given buffers.
    pub(super) fn armed(&self) -> usize {
        // Acquire pairs with the drop of `Armed`: what such an operation was given is counted.
        self.armed.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stock")
            .field("size", &self.size)
            .field("count", &self.count)
            .field("bytes", &self.memory.len())
            .finish_non_exhaustive()
    }
}

/// What an operation has as long as the kernel may give it buffers: the name of their group, and a
/// share of their memory.
#[derive(Debug)]
pub(crate) struct Armed {
    stock: Arc<Stock>,
    group: u16,
    is_bounded: bool,
}

impl Armed {
    pub(super) fn new(stock: &Arc<Stock>, group: u16, is_bounded: bool) -> Self {
        // Relaxed: it is the shard's thread that counts up, and it that asks.
        stock.armed.fetch_add(1, Ordering::Relaxed);
        Self { stock: Arc::clone(stock), group, is_bounded }
    }

    /// The group, for an entry.
    pub(crate) fn group(&self) -> u16 {
        self.group
    }

    /// How many bytes to ask for, in order to fill so many buffers; 0 if the kernel knows no bound.
    pub(crate) fn bound(&self, buffers: usize) -> u32 {
        // Signed where it travels.
        const MOST: usize = i32::MAX as usize;
        let bytes = buffers.saturating_mul(self.stock.size());
        if self.is_bounded { u32::try_from(bytes.min(MOST)).unwrap_or(0) } else { 0 }
    }

    /// The memory that the kernel writes to.
    pub(crate) fn stock(&self) -> &Arc<Stock> {
        &self.stock
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        // Release pairs with `Stock::armed`.
        self.stock.armed.fetch_sub(1, Ordering::Release);
    }
}
