//! Doorbells that break one promise each, and what the suite says of them.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::caught;
use crate::doorbell::{Answer, Doorbell, MsgRing, MsgRingRinger};
use crate::driver::{Cqe, Driver, Uring};
use crate::id::ShardId;
use crate::testing::doorbell::{
    o2_every_ring_of_many_is_heard, o5_a_foreign_thread_wakes_a_sleeping_shard,
};
use crate::testing::{self, Site};

/// One ring in 7 goes nowhere.
const DROPS_ONE_IN_SEVEN: u8 = 0;
/// Threads without a ring are not heard.
const DEAF_TO_STRANGERS: u8 = 1;
/// Each ring is handed over at once.
const FLUSHES: u8 = 2;
/// What was heard is reported as a failure.
const SAYS_FAILED: u8 = 3;
/// Nothing is wrong.
const NONE: u8 = 4;

struct Faulty<const FAULT: u8>(MsgRing);

#[derive(Debug)]
struct Ringer {
    far: MsgRingRinger,
    rings: AtomicU32,
}

impl<const FAULT: u8> Faulty<FAULT> {
    fn drops(to: &Ringer) -> bool {
        let number = to.rings.fetch_add(1, Ordering::Relaxed) + 1;
        FAULT == DROPS_ONE_IN_SEVEN && number.is_multiple_of(7)
    }
}

impl<const FAULT: u8> Doorbell<Uring> for Faulty<FAULT> {
    type Ringer = Ringer;

    fn open(driver: &mut Uring, shard: ShardId) -> io::Result<(Self, Ringer)> {
        let (bell, far) = MsgRing::open(driver, shard)?;
        Ok((Self(bell), Ringer { far, rings: AtomicU32::new(0) }))
    }

    fn ring(from: &mut Uring, to: &Ringer) -> io::Result<()> {
        if Self::drops(to) {
            return Ok(());
        }
        MsgRing::ring(from, &to.far)?;
        if FAULT == FLUSHES {
            from.flush()?;
        }
        Ok(())
    }

    fn ring_foreign(to: &Ringer) -> io::Result<()> {
        if Self::drops(to) || FAULT == DEAF_TO_STRANGERS {
            return Ok(());
        }
        <MsgRing as Doorbell<Uring>>::ring_foreign(&to.far)
    }

    fn answered(&mut self, driver: &mut Uring, cqe: Cqe) -> io::Result<Answer> {
        let answer = self.0.answered(driver, cqe)?;
        if FAULT == SAYS_FAILED {
            let error = io::Error::other("made up");
            return Ok(Answer::Failed { target: ShardId::new(0), error });
        }
        Ok(answer)
    }
}

/// Small rings, and as much patience as it takes to tell.
fn site() -> Site<'static, Uring> {
    Site::new(super::small()).patience(Duration::from_millis(300))
}

#[test]
fn the_same_doorbell_without_a_fault_passes() {
    testing::doorbell_at::<Uring, Faulty<NONE>>(&Site::new(super::small()));
}

#[test]
fn a_doorbell_that_drops_one_ring_in_seven_is_caught() {
    type Bell = Faulty<DROPS_ONE_IN_SEVEN>;
    let said = caught(|| o2_every_ring_of_many_is_heard::<Uring, Bell>(&site()));
    assert!(said.contains("breaks O2: ring 6 of 300, from a shard, was not heard"), "{said}");
}

#[test]
fn a_doorbell_that_is_deaf_to_strangers_is_caught() {
    type Bell = Faulty<DEAF_TO_STRANGERS>;
    let said = caught(|| o5_a_foreign_thread_wakes_a_sleeping_shard::<Uring, Bell>(&site()));
    assert!(said.contains("breaks O5: a thread without a ring rang"), "{said}");
}

#[test]
fn a_doorbell_that_makes_a_system_call_for_each_ring_is_caught() {
    let said = caught(|| {
        testing::doorbell_at::<Uring, Faulty<FLUSHES>>(&Site::new(super::small()));
    });
    assert!(said.contains("breaks O3: 1 system calls within 1 rings"), "{said}");
}

#[test]
fn a_doorbell_that_reports_what_did_not_fail_is_caught() {
    let said = caught(|| {
        testing::doorbell_at::<Uring, Faulty<SAYS_FAILED>>(&Site::new(super::small()));
    });
    assert!(said.contains("breaks O4: it says that a ring for shard 0 failed"), "{said}");
}
