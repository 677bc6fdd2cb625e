//! The suites of `spargio::testing` on every part that the crate ships, and on those of the tests.
//!
//! A suite says which obligation a part breaks: its checks have the names of the obligations.

use std::time::Duration;

use spargio::doorbell::{EventFd, MsgRing};
use spargio::driver::{Uring, UringSetup};
use spargio::placement::{LeastLoaded, PowerOfTwo, RoundRobin, StickyHash};
use spargio::queue::{BlockQueue, ChaseLev, MutexQueue};
use spargio::testing::{self, Site};

use crate::parts::{GuestsFirst, Parity};

/// Makes a test of each line.
macro_rules! suites {
    ($($name:ident => $run:expr,)+) => {
        $(#[test]
        fn $name() {
            $run;
        })+
    };
}

suites! {
    steal_queue_block => testing::steal_queue::<BlockQueue>(),
    steal_queue_chase_lev => testing::steal_queue::<ChaseLev>(),
    steal_queue_mutex => testing::steal_queue::<MutexQueue>(),
    steal_queue_guests_first => testing::steal_queue::<GuestsFirst>(),
}

suites! {
    placement_least_loaded => testing::placement(LeastLoaded::new),
    placement_power_of_two => testing::placement(PowerOfTwo::new),
    placement_round_robin => testing::placement(RoundRobin::new),
    placement_sticky_hash => testing::placement(StickyHash::new),
    placement_parity => testing::placement(Parity::default),
}

suites! {
    doorbell_msg_ring => testing::doorbell::<Uring, MsgRing>(),
    doorbell_event_fd => testing::doorbell::<Uring, EventFd>(),
    doorbell_msg_ring_with_a_kernel_thread =>
        testing::doorbell_at::<Uring, MsgRing>(&Site::new(sqpoll())),
    doorbell_event_fd_with_a_kernel_thread =>
        testing::doorbell_at::<Uring, EventFd>(&Site::new(sqpoll())),
}

suites! {
    driver_uring => testing::driver::<Uring>(UringSetup::default()),
    driver_uring_of_small_queues => testing::driver::<Uring>(small()),
    driver_uring_with_a_kernel_thread => testing::driver::<Uring>(sqpoll()),
}

suites! {
    scheduler_chase_lev => testing::scheduler::<ChaseLev, _>(LeastLoaded::new),
    scheduler_mutex => testing::scheduler::<MutexQueue, _>(PowerOfTwo::new),
    scheduler_guests_first => testing::scheduler::<GuestsFirst, _>(Parity::default),
}

fn small() -> UringSetup {
    UringSetup::default().with_entries(8).with_cq_entries(16)
}

/// A kernel thread takes the submissions.
fn sqpoll() -> UringSetup {
    small().with_sqpoll(Duration::from_millis(1))
}
