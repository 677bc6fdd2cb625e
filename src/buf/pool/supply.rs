//! The shard's end of its receive buffers: how many there are, and which of them the kernel may
//! fill.

use std::io;
use std::time::{Duration, Instant};

use crate::buf::pool::loan::Loan;
use crate::buf::pool::ring::Ring;
use crate::buf::pool::stock::{Armed, Stock, Tally};
use crate::options::BufferOptions;
use crate::primitive::Arc;

/// So long the most that were in use at a time must have been few before there are fewer buffers.
const CALM: Duration = Duration::from_secs(1);

/// Receive buffers of one shard, for its thread alone.
///
/// They are numbered. Those below `given` exist; they double when less than a quarter of them is
/// left to the kernel, and are halved when the shard rests after a second in which less than a
/// quarter was in use. Buffers to be withdrawn are not searched for: they are kept back when they
/// come by, and when all of them have, their memory goes.
#[derive(Debug)]
pub(crate) struct Supply {
    stock: Arc<Stock>,
    ring: Ring,
    /// How many there are when there is nothing to do.
    first: usize,
    given: usize,
    /// Buffers from this one on are kept back when they come.
    keep: usize,
    /// Buffers that were kept back.
    parked: Vec<u16>,
    /// The most that were in use at a time since `calm_since`, as far as somebody looked.
    peak: usize,
    calm_since: Option<Instant>,
}

impl Supply {
    /// The first buffers, in a ring that no kernel knows yet.
    ///
    /// # Errors
    ///
    /// What the system answers to the wish for memory.
    pub(crate) fn new(options: &BufferOptions, tally: Arc<Tally>) -> io::Result<Self> {
        let most = options.most.clamp(1, Ring::MOST);
        let first = options.first.clamp(1, most);
        let mut supply = Self {
            stock: Stock::new(most, options.size, tally)?,
            ring: Ring::new(most)?,
            first,
            given: 0,
            keep: 0,
            parked: Vec::new(),
            peak: 0,
            calm_since: None,
        };
        supply.give_up_to(first);
        supply.ring.publish();
        Ok(supply)
    }

    /// The ring, for a driver to provide.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// How many buffers there are.
    pub(crate) fn given(&self) -> usize {
        self.given
    }

    /// For an operation that is to be given buffers of this group, which the ring was provided as.
    /// `None` if the kernel has none to give.
    pub(crate) fn arm(&mut self, group: u16, is_bounded: bool) -> Option<Armed> {
        self.service();
        (self.available() > 0).then(|| Armed::new(&self.stock, group, is_bounded))
    }

    /// Hands the kernel what came back from elsewhere, and more buffers if few are left.
    pub(crate) fn service(&mut self) {
        let stock = Arc::clone(&self.stock);
        stock.take_returns(|number| self.put(number));
        self.peak = self.peak.max(stock.leased());
        if self.available() <= self.given / 4 {
            self.grow();
        }
        self.ring.publish();
    }

    /// Takes a buffer back on the shard's own thread.
    ///
    /// # Errors
    ///
    /// The loan comes back if it is of another shard's buffers.
    pub(crate) fn take_back(&mut self, loan: Loan) -> Result<(), Loan> {
        if !Arc::ptr_eq(loan.stock(), &self.stock) {
            return Err(loan);
        }
        self.put(loan.into_number());
        self.ring.publish();
        Ok(())
    }

    /// The shard has nothing to do: lets the kernel have what came back, and begins to withdraw
    /// buffers if there were too many for a while. Whether it is worth to [`reset`](Self::reset).
    pub(crate) fn rest(&mut self, now: impl FnOnce() -> Instant) -> bool {
        self.service();
        if self.given == self.first {
            return false;
        }
        if self.is_unused() {
            return true;
        }
        let now = now();
        let since = *self.calm_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= CALM {
            let half = (self.given / 2).max(self.first);
            if self.peak < self.given / 4 && self.keep > half {
                self.keep = half;
            }
            self.peak = self.stock.leased();
            self.calm_since = Some(now);
        }
        false
    }

    /// Whether no operation may be given buffers, and nobody has one.
    pub(crate) fn is_unused(&self) -> bool {
        // In this order: an operation counts what it was given before it goes.
        self.stock.armed() == 0 && self.stock.leased() == 0
    }

    /// Begins anew with the first buffers, and gives the memory of the others to the system.
    ///
    /// # Safety
    ///
    /// No kernel knows the ring: it was retracted, or never provided.
    pub(crate) unsafe fn reset(&mut self) {
        assert!(self.is_unused(), "buffers that are in use are not taken from under anybody");
        // Everything that was lent is on its way back (`Tally::leased`), and ends here: from now on
        // each number below `first` is in the ring, and none is anywhere else.
        self.stock.take_returns(drop);
        // SAFETY: the kernel has let go of the ring, no operation can be given a buffer, and none
        // is lent: all of them belong to the shard.
        unsafe { self.stock.forget(self.first..self.stock.count()) };
        self.ring.clear();
        self.parked = Vec::new();
        (self.given, self.keep, self.peak, self.calm_since) = (0, 0, 0, None);
        self.give_up_to(self.first);
        self.ring.publish();
    }

    /// How many buffers the kernel has, as far as is known: it may have used some up.
    fn available(&self) -> usize {
        self.given.saturating_sub(self.parked.len()).saturating_sub(self.stock.leased())
    }

    fn grow(&mut self) {
        if self.keep < self.given {
            // They were about to be withdrawn.
            self.keep = self.given;
            for number in std::mem::take(&mut self.parked) {
                self.push(number);
            }
        } else if self.given < self.stock.count() {
            self.give_up_to((self.given * 2).min(self.stock.count()));
        }
        (self.peak, self.calm_since) = (self.given, None);
    }

    /// Makes buffers, so that there are this many.
    fn give_up_to(&mut self, given: usize) {
        for number in self.given..given {
            self.push(u16::try_from(number).expect("no more than 32,768 buffers"));
        }
        (self.given, self.keep) = (given, given);
    }

    /// Puts a buffer that belongs to the shard where it is of use.
    fn put(&mut self, number: u16) {
        if usize::from(number) < self.keep {
            self.push(number);
            return;
        }
        self.parked.push(number);
        if self.parked.len() == self.given - self.keep {
            // SAFETY: every buffer of the range came back, and is with the shard.
            unsafe { self.stock.forget(self.keep..self.given) };
            self.given = self.keep;
            self.parked.clear();
        }
    }

    fn push(&mut self, number: u16) {
        let size = u32::try_from(self.stock.size()).expect("the builder limits sizes to 1 MiB");
        self.ring.push(self.stock.address(number), size, number);
    }
}
