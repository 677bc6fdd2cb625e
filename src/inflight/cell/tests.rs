//! A cell on one thread: each way from its making to its end.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::{Abandoned, Charge, Claim, Finished, Operation, Outcome, Unfinished, cell};
use crate::driver::{Class, Sqe, Token};
use crate::id::ShardId;

const HOME: ShardId = ShardId::new(4);
const OUTCOME: Outcome = Outcome { result: 12, flags: 3 };

fn token() -> Token {
    Token::new(Class::Op, 1, 2)
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn waker() -> (Arc<Wakes>, Waker) {
    let wakes = Arc::new(Wakes::default());
    (Arc::clone(&wakes), Waker::from(wakes))
}

/// An operation whose buffer lies inside of it, so that moving it would show.
#[derive(Debug)]
struct Op {
    buffer: [u8; 32],
    /// How many operations are alive.
    alive: Arc<AtomicUsize>,
    panics: bool,
}

// SAFETY: the address is into the operation itself.
unsafe impl Operation for Op {
    fn entry(&mut self) -> Sqe {
        let buffer = self.buffer.as_mut_ptr();
        // The test plays the kernel and makes a pointer of the address again.
        buffer.expose_provenance();
        Sqe::read(0, buffer, 32, 0)
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
        assert!(!self.panics, "a destructor of the user's");
    }
}

fn op(alive: &Arc<AtomicUsize>) -> Op {
    alive.fetch_add(1, Ordering::Relaxed);
    Op { buffer: [0; 32], alive: Arc::clone(alive), panics: false }
}

fn start(alive: &Arc<AtomicUsize>, waker: &Waker) -> (Claim<Op>, Charge) {
    cell(op(alive), HOME, waker.clone())
}

fn pending(claim: Claim<Op>, waker: &Waker) -> Claim<Op> {
    let Err(Unfinished::Pending(claim)) = claim.poll(waker) else { panic!("it is completed") };
    claim
}

#[test]
fn the_outcome_wakes_the_future_and_comes_with_the_operation() {
    let alive = Arc::default();
    let (wakes, waker) = waker();
    let (claim, charge) = start(&alive, &waker);
    assert_eq!((claim.home(), charge.home()), (HOME, HOME));
    let (charge, sqe) = charge.submit(token()).expect("the future waits");
    assert_eq!((sqe.token, sqe.len), (token(), 32));
    assert!(!claim.is_done());
    let claim = pending(claim, &waker);
    let Finished::Wake(woken) = charge.finish(OUTCOME) else { panic!("somebody waits") };
    woken.wake();
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert!(claim.is_done());
    let (operation, outcome) = claim.poll(&waker).expect("it is completed");
    assert_eq!(outcome, OUTCOME);
    drop(operation);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(Arc::strong_count(&wakes), 2, "the cell kept a waker");
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    let alive = Arc::default();
    let ((first, old), (second, new)) = (waker(), waker());
    let (claim, charge) = start(&alive, &old);
    drop(old);
    let claim = pending(claim, &new);
    assert_eq!(Arc::strong_count(&first), 1, "the first waker was replaced");
    let Finished::Wake(woken) = charge.finish(OUTCOME) else { panic!("somebody waits") };
    woken.wake();
    assert_eq!(first.0.load(Ordering::Relaxed), 0);
    assert_eq!(second.0.load(Ordering::Relaxed), 1);
    assert!(claim.poll(&new).is_ok());
}

#[test]
fn an_orphan_is_not_submitted() {
    let alive = Arc::default();
    let (wakes, waker) = waker();
    let (claim, charge) = start(&alive, &waker);
    assert_eq!(claim.abandon(), Abandoned::Nothing);
    assert_eq!(alive.load(Ordering::Relaxed), 1, "the home has it");
    assert!(charge.submit(token()).is_none());
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(Arc::strong_count(&wakes), 2);
}

#[test]
fn an_orphan_in_flight_is_kept_until_it_completes() {
    let alive = Arc::default();
    let (_, waker) = waker();
    let (claim, charge) = start(&alive, &waker);
    let (charge, _) = charge.submit(token()).expect("the future waits");
    assert_eq!(claim.abandon(), Abandoned::Cancel { home: HOME, token: token() });
    assert_eq!(alive.load(Ordering::Relaxed), 1, "the kernel has it");
    assert!(matches!(charge.finish(OUTCOME), Finished::Quiet));
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn an_outcome_that_nobody_took_goes_with_the_claim() {
    let alive = Arc::default();
    let (_, waker) = waker();
    let (claim, charge) = start(&alive, &waker);
    let (charge, _) = charge.submit(token()).expect("the future waits");
    drop(charge.finish(OUTCOME));
    assert_eq!(claim.abandon(), Abandoned::Nothing);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn a_panic_while_an_orphan_is_dropped_stays_away_from_its_home() {
    let alive = Arc::default();
    let (_, waker) = waker();
    let mut operation = op(&alive);
    operation.panics = true;
    let (claim, charge) = cell(operation, HOME, waker);
    let (charge, _) = charge.submit(token()).expect("the future waits");
    assert!(matches!(claim.abandon(), Abandoned::Cancel { .. }));
    assert!(matches!(charge.finish(OUTCOME), Finished::Quiet));
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn a_payload_that_panics_in_its_turn_stays_away_from_the_home_too() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic::panic_any("the payload of a panic");
        }
    }
    struct Nasty;
    // SAFETY: there is no address in the entry.
    unsafe impl Operation for Nasty {
        fn entry(&mut self) -> Sqe {
            Sqe::nop()
        }
        fn abandon(self, _: Option<Outcome>) {
            panic::panic_any(Payload);
        }
    }
    let (_, waker) = waker();
    let (claim, charge) = cell(Nasty, HOME, waker);
    assert_eq!(claim.abandon(), Abandoned::Nothing);
    assert!(charge.submit(token()).is_none());
}

#[test]
fn a_panic_while_the_future_gives_up_a_result_is_the_futures_own() {
    let alive = Arc::default();
    let (wakes, waker) = waker();
    let (claim, charge) = start(&alive, &waker);
    drop(charge.finish(OUTCOME));
    let (mut operation, _) = claim.poll(&waker).expect("it is completed");
    operation.panics = true;
    let (claim, charge) = cell(operation, HOME, waker.clone());
    drop(charge.finish(OUTCOME));
    let caught = panic::catch_unwind(panic::AssertUnwindSafe(|| claim.abandon()));
    assert!(caught.is_err());
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(Arc::strong_count(&wakes), 2);
}

#[test]
fn an_operation_is_where_it_was_when_it_was_submitted_until_it_completes() {
    let alive = Arc::default();
    let (_, waker) = waker();
    let (claim, charge) = start(&alive, &waker);
    let (charge, sqe) = charge.submit(token()).expect("the future waits");
    let claim = pending(claim, &waker);
    let mut moved = Vec::from([(claim, charge)]);
    moved.reserve(64);
    let (claim, charge) = moved.pop().expect("one was pushed");
    // What the kernel does.
    let address = std::ptr::with_exposed_provenance_mut::<u8>(sqe.addr as usize);
    // SAFETY:
    // - the buffer is alive and still until the operation is finished, and its pointer was exposed.
    unsafe { address.write_bytes(7, 32) };
    drop(charge.finish(OUTCOME));
    let (operation, _) = claim.poll(&waker).expect("it is completed");
    assert_eq!(operation.buffer, [7; 32]);
}

#[test]
fn a_home_that_goes_wakes_the_future_and_leaves_the_operation_to_the_kernel() {
    let alive = Arc::default();
    let (wakes, waker) = waker();
    let (claim, charge) = start(&alive, &waker);
    let (charge, _) = charge.submit(token()).expect("the future waits");
    charge.lose(Waker::wake);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    let Err(Unfinished::Lost(home)) = claim.poll(&waker) else { panic!("its home is gone") };
    assert_eq!(home, HOME);
    assert_eq!(alive.load(Ordering::Relaxed), 1, "the kernel may still use it");
    assert_eq!(Arc::strong_count(&wakes), 2, "the cell kept a waker");
}

#[test]
fn a_home_that_goes_leaves_an_orphan_to_the_kernel_too() {
    let alive = Arc::default();
    let (wakes, waker) = waker();
    let (claim, charge) = start(&alive, &waker);
    let (charge, _) = charge.submit(token()).expect("the future waits");
    let Abandoned::Cancel { .. } = claim.abandon() else { panic!("it is in flight") };
    charge.lose(|_| panic!("nobody waits"));
    assert_eq!(alive.load(Ordering::Relaxed), 1, "the kernel may still use it");
    assert_eq!(Arc::strong_count(&wakes), 2, "the cell kept a waker");
    // A future that is dropped after its home has gone has nobody to ask for a cancel.
    let (claim, charge) = start(&alive, &waker);
    charge.lose(drop);
    assert_eq!(claim.abandon(), Abandoned::Nothing);
    assert_eq!(alive.load(Ordering::Relaxed), 2);
}
