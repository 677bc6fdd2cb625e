//! The eventfd doorbell on real rings.

#![cfg(not(loom))]

use std::fs::File;
use std::os::fd::OwnedFd;

use crate::doorbell::suite::{self, House, suite};
use crate::doorbell::{Answer, Doorbell, EventFd, EventFdRinger};
use crate::driver::{Class, Cqe, Driver, Token, Uring};
use crate::id::ShardId;

fn watch_token() -> Token {
    Token::new(Class::Watch, 0, 0)
}

crate::testing::doorbell::checks!(suite obligations EventFd |_| {};);

#[test]
fn one_ring_is_heard_once_and_is_silent_to_its_sender() {
    suite::one_ring_is_heard_once_and_is_silent_to_its_sender::<EventFd>();
}

#[test]
fn a_full_queue_is_one_system_call() {
    suite::a_full_queue_is_one_system_call::<EventFd>();
}

#[test]
fn o2_a_driver_that_watches_once_is_armed_after_each_ring() {
    let mut house = House::<EventFd>::open();
    house.driver.flush().unwrap();
    // The kernel watches until told otherwise; cancel that, and go on as after a refusal.
    let cancel = crate::driver::Sqe::cancel(watch_token()).token(Token::new(Class::Cancel, 0, 0));
    // SAFETY: the entry names neither memory nor an fd.
    unsafe { house.driver.push(cancel) }.unwrap();
    house.driver.flush().unwrap();
    assert_eq!(suite::drain(&mut house.driver).len(), 2);
    let refused = Cqe { token: watch_token(), result: -libc::EINVAL, flags: 0 };
    let answer = house.bell.answered(&mut house.driver, refused).unwrap();
    assert!(matches!(answer, Answer::Heard));
    assert!(!house.bell.multishot);
    for _ in 0..5 {
        house.driver.flush().unwrap();
        assert!(!house.driver.pending(), "the counter was not read back");
        <EventFd as Doorbell<Uring>>::ring_foreign(&house.far).unwrap();
        house.listen();
        assert_eq!(house.driver.queued(), 1, "the watch was not armed again");
    }
}

#[test]
fn o4_a_ring_that_cannot_be_written_says_that_it_failed() {
    let mut house = House::<EventFd>::open();
    let fd = OwnedFd::from(File::open("/dev/null").unwrap());
    let far = EventFdRinger { fd, target: ShardId::new(7) };
    EventFd::ring(&mut house.driver, &far).unwrap();
    house.driver.flush().unwrap();
    let seen = suite::drain(&mut house.driver);
    assert_eq!(seen.len(), 1);
    match house.bell.answered(&mut house.driver, seen[0]).unwrap() {
        Answer::Failed { target, error } => {
            assert_eq!((target, error.raw_os_error()), (ShardId::new(7), Some(libc::EBADF)));
        }
        Answer::Heard => panic!("a ring for nobody was heard"),
    }
    let error = <EventFd as Doorbell<Uring>>::ring_foreign(&far).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn o4_a_ring_that_failed_with_a_number_that_is_no_error_has_failed() {
    let token = Token::new(Class::BellSent, 0, 7);
    let answer = super::answer(Cqe { token, result: i32::MIN, flags: 0 });
    assert!(matches!(answer, Answer::Failed { target, .. } if target == ShardId::new(7)));
}

#[test]
fn o4_a_watch_that_fails_is_an_error_and_is_not_armed_for_ever() {
    let mut house = House::<EventFd>::open();
    house.driver.flush().unwrap();
    let failed = Cqe { token: watch_token(), result: -libc::ECANCELED, flags: 0 };
    let error = house.bell.answered(&mut house.driver, failed).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(house.driver.queued(), 0);
}
