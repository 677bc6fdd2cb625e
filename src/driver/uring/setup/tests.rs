//! The ladder of flags, and the limits of values.

use std::io;
use std::time::Duration;

use crate::driver::Driver;
use crate::driver::uring::setup::setup_flags::{
    CLAMP, COOP_TASKRUN, CQSIZE, DEFER_TASKRUN, NO_SQARRAY, SINGLE_ISSUER, SQ_AFF, SQPOLL,
    SUBMIT_ALL, TASKRUN_FLAG,
};
use crate::driver::uring::{Uring, UringSetup};
use crate::id::ShardId;

fn every_kind() -> [UringSetup; 4] {
    let setup = UringSetup::default;
    [
        setup(),
        setup().with_coop_taskrun(true),
        setup().with_sqpoll(Duration::from_millis(5)),
        setup().with_sqpoll(Duration::from_millis(5)).with_sqpoll_cpu(0),
    ]
}

/// What the kernel refuses in itself, whatever its version.
fn is_legal(flags: u32) -> bool {
    let has = |wanted: u32| flags & wanted == wanted;
    let any = |wanted: u32| flags & wanted != 0;
    let deferred = !has(DEFER_TASKRUN) || has(SINGLE_ISSUER);
    let flagged = !has(TASKRUN_FLAG) || any(COOP_TASKRUN | DEFER_TASKRUN);
    let polled = !has(SQPOLL) || !any(COOP_TASKRUN | TASKRUN_FLAG | DEFER_TASKRUN);
    let pinned = !has(SQ_AFF) || has(SQPOLL);
    deferred && flagged && polled && pinned
}

#[test]
fn the_best_step_is_deferred_work_that_shows() {
    let all = SINGLE_ISSUER | DEFER_TASKRUN | TASKRUN_FLAG | SUBMIT_ALL | CLAMP | NO_SQARRAY;
    assert_eq!(UringSetup::default().ladder()[0], all | CQSIZE);
}

#[test]
fn every_step_is_legal_and_asks_for_less() {
    for setup in every_kind() {
        let ladder = setup.ladder();
        assert!(ladder.iter().all(|flags| is_legal(*flags)), "{setup:?}: {ladder:x?}");
        let counts: Vec<_> = ladder.iter().map(|flags| flags.count_ones()).collect();
        assert!(counts.is_sorted_by(|more, less| more > less), "{setup:?}: {ladder:x?}");
    }
}

#[test]
fn work_that_is_put_off_shows_in_a_flag() {
    for flags in every_kind().iter().flat_map(UringSetup::ladder) {
        if flags & (DEFER_TASKRUN | COOP_TASKRUN) != 0 {
            assert_eq!(flags & TASKRUN_FLAG, TASKRUN_FLAG, "{flags:x}");
        }
    }
}

#[test]
fn this_kernel_takes_every_step_that_it_should() {
    for setup in every_kind() {
        for flags in setup.ladder() {
            let ring = setup.builder(flags, setup.cq_size()).build(setup.entries);
            match ring {
                Ok(ring) => assert_eq!(ring.params().cq_entries(), 1024),
                Err(error) => assert_eq!(
                    (error.raw_os_error(), flags & (NO_SQARRAY | DEFER_TASKRUN | SINGLE_ISSUER)),
                    (Some(libc::EINVAL), 0),
                    "only what is new may be refused: {flags:x}"
                ),
            }
        }
    }
}

#[test]
fn a_default_completion_queue_is_four_times_the_submission_queue() {
    assert_eq!(UringSetup::default().cq_size(), 1024);
    let largest = UringSetup::default().with_entries(UringSetup::MAX_ENTRIES);
    assert!(largest.check().is_ok());
    assert_eq!(largest.cq_size(), 4 * UringSetup::MAX_ENTRIES);
}

#[test]
fn limits_hold_at_the_limit() {
    let setup = UringSetup::default;
    let (max, max_cq) = (UringSetup::MAX_ENTRIES, UringSetup::MAX_CQ_ENTRIES);
    assert!(setup().with_entries(max).with_cq_entries(max_cq).check().is_ok());
    assert!(setup().with_entries(max + 1).check().is_err());
    assert!(setup().with_cq_entries(max_cq + 1).check().is_err());
    assert!(setup().with_entries(1).with_cq_entries(1).check().is_ok());
    assert!(setup().with_entries(2).with_cq_entries(1).check().is_err());
    let longest = Duration::from_millis(u32::MAX.into());
    assert!(setup().with_sqpoll(longest).check().is_ok());
    assert!(setup().with_sqpoll(longest + Duration::from_millis(1)).check().is_err());
    let both = setup().with_sqpoll(longest).with_coop_taskrun(true);
    assert!(both.check().is_err());
}

#[test]
fn values_beyond_a_limit_are_named_with_it() {
    let refused = |setup: UringSetup| {
        let error = Uring::open(&setup, ShardId::new(0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        error.to_string()
    };
    let too_many = UringSetup::MAX_ENTRIES + 1;
    let text = refused(UringSetup::default().with_entries(too_many));
    assert!(text.contains("32769") && text.contains("32768"), "{text}");
    let text = refused(UringSetup::default().with_entries(0));
    assert!(text.contains("entries is 0"), "{text}");
    let text = refused(UringSetup::default().with_cq_entries(255));
    assert!(text.contains("255") && text.contains("256"), "{text}");
    let text = refused(UringSetup::default().with_cq_entries(UringSetup::MAX_CQ_ENTRIES + 1));
    assert!(text.contains("65537") && text.contains("65536"), "{text}");
    let text = refused(UringSetup::default().with_sqpoll_cpu(0));
    assert!(text.contains("sqpoll_cpu"), "{text}");
}
