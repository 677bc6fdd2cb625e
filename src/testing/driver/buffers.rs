//! What a driver does with buffers that are provided to it.

use std::os::fd::AsRawFd;

use crate::buf::pool::{Loan, Supply, Tally};
use crate::driver::{BufferRing, Cqe, Driver, Sqe};
use crate::options::BufferOptions;
use crate::primitive::Arc;
use crate::testing::driver::{collect, expect_silence, flush, op, push, socket_pair, write};
use crate::testing::{Site, broken, demand};

/// The group that the checks provide.
const GROUP: u16 = 3;
/// How many buffers, and how many bytes each has.
const COUNT: usize = 4;
const SIZE: usize = 64;

/// **O10**: a receive that takes provided buffers fills each once, and its completions name it;
/// when none is left it says so and has lost nothing; a buffer that was put back is filled again;
/// and a ring that was taken back is left alone. Passed over for a driver that has no such
/// receives.
///
/// # Panics
///
/// If a buffer is named twice, or bytes are missing or in another buffer than the one named.
pub fn o10_a_provided_buffer_is_filled_once_and_named<D: Driver>(site: &Site<'_, D>) {
    let options = BufferOptions { size: SIZE, first: COUNT, most: COUNT };
    let supply = Supply::new(&options, Arc::new(Tally::default()));
    let mut supply = supply.expect("memory for four buffers");
    // After the supply, so that it goes before that does.
    let mut driver = site.driver(0);
    if !driver.caps().recv_multishot {
        return;
    }
    let armed = supply.arm(GROUP, false).expect("none of the buffers is used");
    provide(&mut driver, &supply);
    let (near, far) = socket_pair();
    push(&mut driver, Sqe::recv_multi(near.as_raw_fd(), GROUP, 0).token(op(0)));
    flush(&mut driver);
    let mut held: Vec<Loan> = Vec::new();
    for round in 0..COUNT as u8 {
        write(&far, &[round; 10]);
        let seen = collect(site, &mut driver, 1);
        held.push(loan::<D>(&seen, |number| {
            // SAFETY: the driver was provided the buffer and has named it just now; that it does so
            // once is what is checked.
            unsafe { Loan::new(armed.stock(), number) }
        }));
        for (at, loan) in held.iter().enumerate() {
            let right = loan.bytes()[..10] == [at as u8; 10];
            demand!(D, "O10", right, "receive {at} is gone from its buffer after {round}");
        }
    }
    write(&far, b"no room");
    let seen = collect(site, &mut driver, 1);
    let ended = seen[0].result == -libc::ENOBUFS && !seen[0].has_more();
    demand!(D, "O10", ended, "a receive without a buffer left gave {seen:?}");
    // What came meanwhile is still there, and goes to the buffers that came back.
    for loan in held {
        drop(supply.take_back(loan));
    }
    push(&mut driver, Sqe::recv_multi(near.as_raw_fd(), GROUP, 0).token(op(1)));
    let seen = collect(site, &mut driver, 1);
    let late = loan::<D>(&seen, |number| {
        // SAFETY: as above; all buffers are in the ring again.
        unsafe { Loan::new(armed.stock(), number) }
    });
    let right = late.bytes()[..7] == *b"no room";
    demand!(D, "O10", right, "bytes that waited for a buffer are lost");
    push(&mut driver, Sqe::cancel(op(1)).token(op(2)));
    collect(site, &mut driver, 2);
    let retracted = driver.retract(GROUP);
    demand!(D, "O10", retracted.is_ok(), "the ring is not taken back: {retracted:?}");
    // A receive finds no buffer in it any more.
    push(&mut driver, Sqe::recv_multi(near.as_raw_fd(), GROUP, 0).token(op(3)));
    write(&far, b"too late");
    let seen = collect(site, &mut driver, 1);
    let fails = seen[0].result < 0 && seen[0].buffer().is_none();
    demand!(D, "O10", fails, "a receive after the ring was taken back gave {seen:?}");
    expect_silence(&mut driver);
}

fn provide<D: Driver>(driver: &mut D, supply: &Supply) {
    let (address, entries) = (supply.ring().address().as_ptr(), supply.ring().entries());
    let ring = BufferRing { address, entries, group: GROUP };
    // SAFETY: the ring is taken back at the end of the check, and one that fails before that drops
    // the driver before the supply; nobody but the supply writes to it, and it is the only one.
    if let Err(error) = unsafe { driver.provide(ring) } {
        broken::<D>("O10", format_args!("it says that it takes buffers, and does not: {error}"));
    }
}

/// The loan of the one buffer that a completion names.
fn loan<D: Driver>(seen: &[Cqe], make: impl FnOnce(u16) -> Option<Loan>) -> Loan {
    let made = seen[0].buffer().and_then(make);
    match made {
        Some(loan) if seen.len() == 1 && seen[0].result > 0 => loan,
        _ => broken::<D>("O10", format_args!("a receive named no buffer of the ring: {seen:?}")),
    }
}
