//! Buffers on their way round, with a kernel that is written by hand.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::buf::pool::{Armed, Loan, Supply, Tally};
use crate::options::BufferOptions;
use crate::primitive::Arc;

/// The consumer of a ring, with the layout that the kernel documents.
struct Kernel {
    head: u16,
}

impl Kernel {
    /// A kernel that has just been provided the ring.
    fn new() -> Self {
        Self { head: 0 }
    }

    /// Takes the next buffer: address, length, number.
    fn take(&mut self, supply: &Supply) -> Option<(usize, u32, u16)> {
        let (start, entries) = (supply.ring().address().as_ptr(), supply.ring().entries());
        let place = |offset: usize| {
            std::ptr::with_exposed_provenance_mut::<u8>(start.expose_provenance() + offset)
        };
        // SAFETY: the tail is bytes 14 and 15 of the ring, aligned, and alive with the supply.
        let tail = unsafe { AtomicU16::from_ptr(place(14).cast()) };
        if tail.load(Ordering::Acquire) == self.head {
            return None;
        }
        let at = usize::from(self.head & (entries - 1)) * 16;
        self.head = self.head.wrapping_add(1);
        // SAFETY: an entry of the ring that was published.
        let addr = unsafe { place(at).cast::<u64>().read() };
        // SAFETY: as above.
        let len = unsafe { place(at + 8).cast::<u32>().read() };
        // SAFETY: as above.
        let number = unsafe { place(at + 12).cast::<u16>().read() };
        Some((usize::try_from(addr).unwrap(), len, number))
    }

    /// Fills the next buffer with one byte, and lends it.
    fn fill(&mut self, supply: &Supply, armed: &Armed, byte: u8) -> Option<Loan> {
        let (addr, len, number) = self.take(supply)?;
        let start = std::ptr::with_exposed_provenance_mut::<u8>(addr);
        // SAFETY: the buffer was in the ring, so it is the kernel's.
        unsafe { start.write_bytes(byte, len as usize) };
        // SAFETY: it was taken from the ring once.
        let loan = unsafe { Loan::new(armed.stock(), number) };
        Some(loan.expect("a buffer of the stock"))
    }
}

fn supply(size: usize, first: usize, most: usize) -> (Supply, Arc<Tally>) {
    let tally = Arc::new(Tally::default());
    let options = BufferOptions { size, first, most };
    (Supply::new(&options, Arc::clone(&tally)).unwrap(), tally)
}

#[test]
fn the_kernel_finds_each_buffer_once_and_none_overlap() {
    let (supply, _) = supply(192, 5, 5);
    let mut kernel = Kernel::new();
    let mut seen = Vec::new();
    while let Some((addr, len, number)) = kernel.take(&supply) {
        assert_eq!(len, 192);
        seen.push((addr, number));
    }
    seen.sort_unstable();
    assert_eq!(seen.iter().map(|(_, number)| *number).collect::<HashSet<_>>().len(), 5);
    assert!(seen.windows(2).all(|two| two[0].0 + 192 <= two[1].0), "{seen:?}");
    assert_eq!(supply.ring().entries(), 8);
}

#[test]
fn a_loan_keeps_its_bytes_until_it_is_dropped_and_then_goes_round() {
    let (mut supply, tally) = supply(64, 2, 2);
    let mut kernel = Kernel::new();
    let armed = supply.arm(0, false).unwrap();
    let mut one = kernel.fill(&supply, &armed, 1).unwrap();
    let two = kernel.fill(&supply, &armed, 2).unwrap();
    assert!(kernel.fill(&supply, &armed, 3).is_none());
    assert_eq!(tally.leased(), 2);
    assert!(supply.arm(0, false).is_none(), "there is none left");
    one.bytes_mut()[0] = 9;
    assert_eq!((one.bytes()[0], one.bytes()[63], two.bytes()[0]), (9, 1, 2));
    // One on its shard, the other on the way of everybody else.
    supply.take_back(two).unwrap();
    assert_eq!(tally.leased(), 1);
    assert_eq!(kernel.fill(&supply, &armed, 4).unwrap().bytes(), [4; 64]);
    drop(one);
    assert_eq!(tally.leased(), 0);
    supply.service();
    let again = [kernel.fill(&supply, &armed, 5), kernel.fill(&supply, &armed, 6)];
    assert_eq!(again.map(|loan| loan.unwrap().bytes()[0]), [5, 6]);
}

#[test]
fn a_loan_of_other_buffers_is_handed_back() {
    let (mut mine, _) = supply(64, 1, 1);
    let (mut other, tally) = supply(64, 1, 1);
    let armed = other.arm(0, false).unwrap();
    let loan = Kernel::new().fill(&other, &armed, 1).unwrap();
    let loan = mine.take_back(loan).unwrap_err();
    assert_eq!((loan.bytes()[0], tally.leased()), (1, 1));
    assert!(other.take_back(loan).is_ok());
    assert_eq!(tally.leased(), 0);
}

#[test]
fn a_number_that_is_no_buffer_is_no_loan() {
    let (mut supply, tally) = supply(64, 3, 3);
    let armed = supply.arm(0, false).unwrap();
    // SAFETY: there is no such buffer that anybody could use.
    assert!(unsafe { Loan::new(armed.stock(), 3) }.is_none());
    assert_eq!(tally.leased(), 0);
}

#[test]
fn a_loan_outlives_the_supply() {
    let (mut supply, tally) = supply(64, 1, 1);
    let armed = supply.arm(0, false).unwrap();
    let loan = Kernel::new().fill(&supply, &armed, 7).unwrap();
    drop((supply, armed));
    assert_eq!(loan.bytes(), [7; 64]);
    drop(loan);
    assert_eq!(tally.leased(), 0);
}

#[test]
fn buffers_double_while_few_are_left_and_not_beyond_the_most() {
    let (mut supply, _) = supply(64, 4, 10);
    let mut kernel = Kernel::new();
    let armed = supply.arm(0, false).unwrap();
    let (mut held, mut counts) = (Vec::new(), Vec::new());
    while let Some(loan) = kernel.fill(&supply, &armed, 0) {
        held.push(loan);
        supply.service();
        counts.push(supply.given());
    }
    assert_eq!(counts, [4, 4, 8, 8, 8, 10, 10, 10, 10, 10]);
    assert_eq!(held.len(), 10);
}

#[test]
fn rings_wrap_for_as_long_as_anybody_likes() {
    let (mut supply, _) = supply(64, 3, 3);
    let mut kernel = Kernel::new();
    let armed = supply.arm(0, false).unwrap();
    for round in 0..200_000u32 {
        let byte = round as u8;
        let loan = kernel.fill(&supply, &armed, byte).unwrap();
        assert_eq!(loan.bytes()[0], byte);
        if round % 2 == 0 {
            drop(loan);
            supply.service();
        } else {
            supply.take_back(loan).unwrap();
        }
    }
}

#[test]
fn an_unused_supply_begins_anew_with_the_first_buffers() {
    let (mut supply, _) = supply(4096, 2, 16);
    let mut kernel = Kernel::new();
    let armed = supply.arm(0, false).unwrap();
    let now = Instant::now();
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(kernel.fill(&supply, &armed, 1).unwrap());
        supply.service();
    }
    assert_eq!(supply.given(), 16);
    assert!(!supply.rest(|| now), "an operation may be given buffers");
    drop(armed);
    assert!(!supply.rest(|| now), "buffers are in use");
    drop(held);
    assert!(supply.rest(|| now));
    // SAFETY: this kernel looks no more, and the next one begins anew.
    unsafe { supply.reset() };
    assert_eq!(supply.given(), 2);
    let mut kernel = Kernel::new();
    let numbers: Vec<u16> =
        std::iter::from_fn(|| kernel.take(&supply)).map(|(_, _, number)| number).collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn buffers_too_many_are_kept_back_as_they_come_by() {
    const SECOND: Duration = Duration::from_millis(1001);
    let (mut supply, tally) = supply(4096, 2, 8);
    let mut kernel = Kernel::new();
    let armed = supply.arm(0, false).unwrap();
    let mut now = Instant::now();
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(kernel.fill(&supply, &armed, 1).unwrap());
        supply.service();
    }
    assert_eq!(supply.given(), 8);
    drop(held);
    for step in 0..4 {
        assert!(!supply.rest(|| now), "{step}");
        now += SECOND;
    }
    // Nothing has come by yet.
    assert_eq!(supply.given(), 8);
    let mut given = Vec::new();
    for _ in 0..4 {
        for round in 0..8 {
            let loan = kernel.fill(&supply, &armed, round).unwrap();
            assert_eq!(loan.bytes()[0], round);
            drop(loan);
            supply.service();
        }
        given.push(supply.given());
        now += SECOND;
        supply.rest(|| now);
    }
    assert_eq!(given.last(), Some(&2), "{given:?}");
    assert_eq!(tally.leased(), 0);
    // Each of the two is there once.
    let numbers: Vec<u16> =
        std::iter::from_fn(|| kernel.take(&supply)).map(|(_, _, number)| number).collect();
    assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), 2);
    assert_eq!(numbers.len(), 2);
}

#[test]
fn what_was_to_be_withdrawn_is_used_when_it_is_needed() {
    let (mut supply, _) = supply(64, 2, 8);
    let mut kernel = Kernel::new();
    let armed = supply.arm(0, false).unwrap();
    let now = Instant::now();
    let mut held: Vec<Loan> = Vec::new();
    for _ in 0..7 {
        held.push(kernel.fill(&supply, &armed, 1).unwrap());
        supply.service();
    }
    held.clear();
    supply.rest(|| now);
    supply.rest(|| now + Duration::from_secs(2));
    supply.rest(|| now + Duration::from_secs(4));
    // Half of them, from the fifth on, are kept back from here on; and then all are wanted.
    let mut numbers = HashSet::new();
    for _ in 0..8 {
        while let Some(loan) = kernel.fill(&supply, &armed, 2) {
            held.push(loan);
            supply.service();
        }
        numbers.insert(held.len());
        held.clear();
        supply.service();
    }
    assert!(numbers.contains(&8), "{numbers:?}");
}
