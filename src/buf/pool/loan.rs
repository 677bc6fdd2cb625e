//! A buffer that the kernel has filled, and that is somebody's until it is dropped.

use std::fmt;
use std::mem::ManuallyDrop;

use crate::buf::pool::stock::Stock;
use crate::primitive::Arc;

/// The one right to a buffer of a stock. Dropping it gives the buffer back, from any thread.
pub(crate) struct Loan {
    stock: Arc<Stock>,
    number: u16,
}

impl Loan {
    /// The buffer that a completion names. `None` if the stock has no such buffer.
    ///
    /// # Safety
    ///
    /// The kernel was given the buffer of this number, and has named it in a completion that is
    /// turned into a loan once.
    pub(crate) unsafe fn new(stock: &Arc<Stock>, number: u16) -> Option<Self> {
        if usize::from(number) >= stock.count() {
            return None;
        }
        stock.note_lent();
        Some(Self { stock: Arc::clone(stock), number })
    }

    /// The bytes of the buffer, those included that the kernel did not write.
    pub(crate) fn bytes(&self) -> &[u8] {
        let start = self.stock.address(self.number);
        // SAFETY:
        // - the bytes are those of one buffer, within a mapping that the stock keeps; a mapping is
        //   zeroed, so they are initialised.
        // - the loan is the one right to them, and it is borrowed: nobody writes.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.stock.size()) }
    }

    /// The bytes of the buffer.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let start = self.stock.address(self.number);
        // SAFETY: as for `bytes`, and the loan is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), self.stock.size()) }
    }

    /// The stock that the buffer is of.
    pub(super) fn stock(&self) -> &Arc<Stock> {
        &self.stock
    }

    /// Takes the buffer, which is the caller's from then on and is counted as back.
    pub(super) fn into_number(self) -> u16 {
        self.stock.note_back();
        let mut loan = ManuallyDrop::new(self);
        // SAFETY: `loan` is never dropped, so its share is dropped once, here.
        unsafe { std::ptr::drop_in_place(&mut loan.stock) };
        loan.number
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.stock.give_back(self.number);
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("number", &self.number).finish_non_exhaustive()
    }
}
