//! What the tests of our doorbells share: shards on small real rings, and the checks of
//! `testing::doorbell` as tests of each.

#![cfg(not(loom))]

use std::time::{Duration, Instant};

use crate::doorbell::{Answer, Doorbell};
use crate::driver::{Cqe, Driver, Uring, UringSetup};
use crate::id::ShardId;
use crate::testing::Site;

/// How long a test waits for what must come at once before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a test of each check, for one doorbell on drivers that were changed after opening.
macro_rules! suite {
    ($module:ident $doorbell:ident $change:expr; $($check:ident)*) => {
        mod $module {
            $(#[test]
            fn $check() {
                let site = crate::doorbell::suite::site($change);
                crate::testing::doorbell::$check::<_, crate::doorbell::$doorbell>(&site);
            })*
        }
    };
}
pub(super) use suite;

/// Small rings, changed after opening.
pub(super) fn site(change: fn(&mut Uring)) -> Site<'static, Uring> {
    Site::opened_by(move |_| {
        let mut driver = small();
        change(&mut driver);
        Ok(driver)
    })
}

/// A shard as far as its doorbell is concerned.
pub(super) struct House<B: Doorbell<Uring>> {
    pub(super) driver: Uring,
    pub(super) bell: B,
    pub(super) far: B::Ringer,
}

impl<B: Doorbell<Uring>> House<B> {
    pub(super) fn open() -> Self {
        let mut driver = small();
        let (bell, far) = B::open(&mut driver, ShardId::new(3)).unwrap();
        Self { driver, bell, far }
    }

    /// Answers what has arrived; tells how often it was rung at.
    pub(super) fn answer(&mut self) -> usize {
        let heard = drain(&mut self.driver).into_iter().map(|cqe| {
            match self.bell.answered(&mut self.driver, cqe).unwrap() {
                Answer::Heard => 1,
                Answer::Failed { target, error } => panic!("ring for {target} failed: {error}"),
            }
        });
        heard.sum()
    }

    /// Parks until it was rung at.
    pub(super) fn listen(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.answer() == 0 {
            assert!(Instant::now() < deadline, "nobody rang: {:?}", self.driver);
            self.driver.park(Some(deadline)).unwrap();
        }
    }
}

pub(super) fn small() -> Uring {
    let setup = UringSetup::default().with_entries(8).with_cq_entries(16);
    Uring::open(&setup, ShardId::new(0)).unwrap()
}

pub(super) fn drain(driver: &mut Uring) -> Vec<Cqe> {
    let mut seen = Vec::new();
    driver.drain(|cqe| seen.push(cqe));
    seen
}

/// A ring that arrived once is heard once, and is silent to its sender.
pub(super) fn one_ring_is_heard_once_and_is_silent_to_its_sender<B: Doorbell<Uring>>() {
    let mut house = House::<B>::open();
    let far = &house.far;
    house.driver.park_while(|| {
        let mut sender = small();
        B::ring(&mut sender, far).unwrap();
        assert_eq!(sender.flush().unwrap(), 1);
        assert_eq!(drain(&mut sender), []);
    });
    assert_eq!(house.answer(), 1);
}

/// The ninth ring of a queue of eight is one system call.
pub(super) fn a_full_queue_is_one_system_call<B: Doorbell<Uring>>() {
    let mut house = House::<B>::open();
    let mut sender = small();
    let enters = sender.enters();
    for _ in 0..8 {
        B::ring(&mut sender, &house.far).unwrap();
    }
    assert_eq!((sender.enters(), sender.queued()), (enters, 8));
    B::ring(&mut sender, &house.far).unwrap();
    assert_eq!((sender.enters(), sender.queued()), (enters + 1, 1));
    house.listen();
}
