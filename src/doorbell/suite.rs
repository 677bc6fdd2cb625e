//! The obligations of a doorbell as functions of the doorbell, run for each of ours on real rings.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::doorbell::{Answer, Doorbell};
use crate::driver::{Class, Cqe, Driver, Sqe, Token, Uring, UringSetup};
use crate::id::ShardId;

/// How long a test waits for what must come at once before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A shard as far as its doorbell is concerned.
pub(super) struct House<B: Doorbell<Uring>> {
    pub(super) driver: Uring,
    pub(super) bell: B,
    pub(super) far: B::Ringer,
}

impl<B: Doorbell<Uring>> House<B> {
    pub(super) fn open(change: impl FnOnce(&mut Uring)) -> Self {
        let mut driver = small();
        change(&mut driver);
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

pub(super) fn push_nop(driver: &mut Uring) {
    let nop = Sqe::nop().token(Token::new(Class::Op, 0, 0));
    // SAFETY: the entry names neither memory nor an fd.
    unsafe { driver.push(nop) }.unwrap();
}

/// O1, from a shard.
pub(super) fn a_shard_wakes_a_sleeping_shard<B: Doorbell<Uring>>(change: impl FnOnce(&mut Uring)) {
    let mut house = House::<B>::open(change);
    let far = &house.far;
    house.driver.park_while(|| {
        let mut sender = small();
        B::ring(&mut sender, far).unwrap();
        assert_eq!(sender.flush().unwrap(), 1);
        assert_eq!(drain(&mut sender), [], "a ring that arrived is silent to its sender");
    });
    assert_eq!(house.answer(), 1);
}

/// O1 and O5, from a thread without a ring.
pub(super) fn a_foreign_thread_wakes_a_sleeping_shard<B: Doorbell<Uring>>(
    change: impl FnOnce(&mut Uring),
) {
    let mut house = House::<B>::open(change);
    let far = &house.far;
    house.driver.park_while(|| B::ring_foreign(far).unwrap());
    assert_eq!(house.answer(), 1);
}

/// O1: the ring came before the sleep.
pub(super) fn a_ring_before_the_sleep_prevents_it<B: Doorbell<Uring>>(
    change: impl FnOnce(&mut Uring),
) {
    let mut house = House::<B>::open(change);
    B::ring_foreign(&house.far).unwrap();
    house.driver.park(Some(Instant::now() + PATIENCE)).unwrap();
    assert_eq!(house.answer(), 1);
}

/// O2: each ring is sent only when the one before was heard.
pub(super) fn every_ring_of_many_is_heard<B: Doorbell<Uring>>(change: impl FnOnce(&mut Uring)) {
    const RINGS: u32 = 300;
    let mut house = House::<B>::open(change);
    let (heard, go) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let far = &house.far;
        scope.spawn(move || {
            let mut sender = small();
            for number in 0..RINGS {
                if number % 2 == 0 {
                    B::ring(&mut sender, far).unwrap();
                    sender.flush().unwrap();
                } else {
                    B::ring_foreign(far).unwrap();
                }
                go.recv().unwrap();
            }
        });
        // The far end is lent to the other thread, so the rest is used by itself.
        let deadline = Instant::now() + PATIENCE;
        for _ in 0..RINGS {
            let mut rung = false;
            while !rung {
                assert!(Instant::now() < deadline, "a ring was not heard");
                house.driver.park(Some(deadline)).unwrap();
                for cqe in drain(&mut house.driver) {
                    let answer = house.bell.answered(&mut house.driver, cqe).unwrap();
                    rung |= matches!(answer, Answer::Heard);
                }
            }
            heard.send(()).unwrap();
        }
    });
}

/// O2: rings that meet a full completion queue are heard, and so is the one after them.
pub(super) fn a_full_completion_queue_does_not_silence_it<B: Doorbell<Uring>>(
    change: impl FnOnce(&mut Uring),
) {
    let mut house = House::<B>::open(change);
    for _ in 0..4 {
        while house.driver.queued() < 8 {
            push_nop(&mut house.driver);
        }
        house.driver.flush().unwrap();
    }
    for _ in 0..40 {
        B::ring_foreign(&house.far).unwrap();
        house.driver.flush().unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    let (mut nops, mut heard) = (0, 0);
    while house.driver.pending() || house.driver.queued() > 0 {
        assert!(Instant::now() < deadline, "the queue does not empty: {:?}", house.driver);
        for cqe in drain(&mut house.driver) {
            if cqe.token.class() == Some(Class::Op) {
                nops += 1;
            } else {
                let answer = house.bell.answered(&mut house.driver, cqe).unwrap();
                heard += usize::from(matches!(answer, Answer::Heard));
            }
        }
        house.driver.flush().unwrap();
    }
    // The watch took one of the 32 places that entries had.
    assert!((31..=32).contains(&nops), "{nops} of the entries completed");
    assert!(heard > 0);
    B::ring_foreign(&house.far).unwrap();
    house.listen();
}

/// O3.
pub(super) fn ringing_is_no_system_call_until_the_queue_is_full<B: Doorbell<Uring>>() {
    let mut house = House::<B>::open(|_| {});
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
