//! The flag that tells of deferred work, raised by another thread at any moment.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Uring, UringSetup, post};
use crate::driver::{Class, Driver, RingDriver, Token};
use crate::id::ShardId;

/// A kernel older than 6.13 cannot post from a thread without a ring.
fn posts(driver: &Uring) -> bool {
    driver.caps().foreign_msg_ring
}

/// Ends the other thread, also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn after_a_call_that_found_nothing_the_driver_sleeps_whatever_the_flag_says() {
    const ROUNDS: usize = 40_000;
    let mut driver = Uring::open(&UringSetup::default(), ShardId::new(0)).expect("a ring");
    if !posts(&driver) {
        return;
    }
    let ring = driver.ring_fd().as_raw_fd();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0usize.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // A full queue is no matter here.
                drop(post(ring, Token::new(Class::Bell, 0, 1)));
                // Now in this, now in that moment of the other's call.
                (0..round % 97 * 20).for_each(|_| std::hint::spin_loop());
            }
        });
        let _stop = Stop(&stop);
        let mut in_vain = 0;
        for _ in 0..ROUNDS {
            driver.park(Some(Instant::now() + Duration::from_micros(30))).expect("it sleeps");
            driver.drain(|_| {});
            if !driver.pending() {
                continue;
            }
            driver.flush().expect("it collects");
            if driver.completions.is_empty() {
                in_vain += 1;
                assert!(!driver.pending(), "awake for ever after {in_vain} calls in vain");
            }
        }
    });
}
