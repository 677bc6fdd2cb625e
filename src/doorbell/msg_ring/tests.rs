//! The message doorbell on real rings.

#![cfg(not(loom))]

use std::time::{Duration, Instant};

use crate::doorbell::suite::{self, House, small, suite};
use crate::doorbell::{Answer, Doorbell, MsgRing, MsgRingRinger};
use crate::driver::{Class, Driver, Opcode, Uring, UringSetup};
use crate::id::ShardId;

/// An fd that no process of this machine has.
const NO_FD: i32 = i32::MAX;

fn old_kernel(driver: &mut Uring) {
    driver.pretend(|caps| caps.foreign_msg_ring = false);
}

crate::testing::doorbell::checks!(suite obligations MsgRing |_| {};);
crate::testing::doorbell::checks!(suite obligations_on_an_old_kernel MsgRing super::old_kernel;);

#[test]
fn one_ring_is_heard_once_and_is_silent_to_its_sender() {
    suite::one_ring_is_heard_once_and_is_silent_to_its_sender::<MsgRing>();
}

#[test]
fn a_full_queue_is_one_system_call() {
    suite::a_full_queue_is_one_system_call::<MsgRing>();
}

#[test]
fn o4_a_ring_for_a_closed_ring_says_that_it_failed() {
    let mut house = House::<MsgRing>::open();
    let far = MsgRingRinger { ring: NO_FD, target: ShardId::new(7), foreign: None };
    MsgRing::ring(&mut house.driver, &far).unwrap();
    house.driver.flush().unwrap();
    let seen = suite::drain(&mut house.driver);
    assert_eq!(seen.len(), 1);
    match house.bell.answered(&mut house.driver, seen[0]).unwrap() {
        Answer::Failed { target, error } => {
            assert_eq!((target, error.raw_os_error()), (ShardId::new(7), Some(libc::EBADF)));
        }
        Answer::Heard => panic!("a ring for nobody was heard"),
    }
    if house.driver.caps().foreign_msg_ring {
        let error = <MsgRing as Doorbell<Uring>>::ring_foreign(&far).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}

#[test]
fn a_ring_carries_the_class_of_a_bell_and_no_sender() {
    let mut house = House::<MsgRing>::open();
    let mut sender = small();
    MsgRing::ring(&mut sender, &house.far).unwrap();
    sender.flush().unwrap();
    house.driver.park(Some(Instant::now() + Duration::from_secs(10))).unwrap();
    let token = suite::drain(&mut house.driver)[0].token;
    assert_eq!(token.class(), Some(Class::Bell));
    assert_eq!(token.index(), u32::from(ShardId::EXTERNAL.get()));
}

#[test]
fn a_shard_can_ring_at_itself() {
    let mut house = House::<MsgRing>::open();
    MsgRing::ring(&mut house.driver, &house.far).unwrap();
    house.listen();
}

#[test]
fn rings_of_every_kind_hear_each_other() {
    let setups = [
        UringSetup::default(),
        UringSetup::default().with_coop_taskrun(true),
        UringSetup::default().with_sqpoll(Duration::from_millis(1)),
    ];
    for target in &setups {
        for sender in &setups {
            let mut driver = Uring::open(target, ShardId::new(1)).unwrap();
            let (bell, far) = MsgRing::open(&mut driver, ShardId::new(1)).unwrap();
            let mut from = Uring::open(sender, ShardId::new(2)).unwrap();
            MsgRing::ring(&mut from, &far).unwrap();
            from.flush().unwrap();
            House { driver, bell, far }.listen();
        }
    }
}

#[test]
fn a_kernel_without_messages_is_refused_with_the_way_out() {
    let mut driver = small();
    driver.pretend(|caps| *caps = Default::default());
    assert!(!driver.caps().supports(Opcode::MSG_RING));
    let error = MsgRing::open(&mut driver, ShardId::new(0)).unwrap_err();
    assert!(error.to_string().contains("EventFd"), "{error}");
}
