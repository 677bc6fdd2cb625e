//! Explores the interleavings of a future and its home.

use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};
use std::sync::{Arc as StdArc, Mutex as StdMutex};
use std::task::{Wake, Waker};

use loom::sync::Notify;
use loom::thread;

use super::{Abandoned, Charge, Claim, Finished, Operation, Outcome, Unfinished, cell};
use crate::driver::{Class, Sqe, Token};
use crate::id::ShardId;
use crate::primitive::Arc;

const HOME: ShardId = ShardId::new(1);
const DONE: Outcome = Outcome { result: 7, flags: 0 };

fn token() -> Token {
    Token::new(Class::Op, 3, 5)
}

/// What became of the operation. Not part of the model: these do not add interleavings.
#[derive(Default)]
struct Tally {
    received: StdAtomicUsize,
    abandoned: StdMutex<Vec<Option<Outcome>>>,
}

struct Op {
    tally: StdArc<Tally>,
    /// Loom reports it if this is never dropped, as is meant when the home goes.
    _leak_check: Option<Arc<()>>,
    /// Written at each completion but the last, to show that the home has the operation alone.
    seen: u32,
}

// SAFETY: there is no address in the entry.
unsafe impl Operation for Op {
    fn entry(&mut self) -> Sqe {
        self.seen = 1;
        Sqe::nop()
    }

    fn more(&mut self, _: Outcome) -> Option<Waker> {
        self.seen += 1;
        None
    }

    fn lost(&mut self) -> Option<Waker> {
        self.seen += 1;
        None
    }

    fn abandon(self, outcome: Option<Outcome>) {
        self.tally.abandoned.lock().unwrap().push(outcome);
    }
}

/// A task that can be waited for; dropped once by every party or loom reports a leak.
struct Task {
    woken: Notify,
    _leak_check: Arc<()>,
}

impl Wake for Task {
    fn wake(self: StdArc<Self>) {
        self.woken.notify();
    }
}

fn task() -> (StdArc<Task>, Waker) {
    let task = StdArc::new(Task { woken: Notify::new(), _leak_check: Arc::new(()) });
    (StdArc::clone(&task), Waker::from(task))
}

fn operation() -> (Op, StdArc<Tally>) {
    let tally = StdArc::new(Tally::default());
    (Op { tally: StdArc::clone(&tally), _leak_check: Some(Arc::new(())), seen: 0 }, tally)
}

impl Tally {
    /// Whether the outcome was received; else the operation was abandoned once.
    fn settled(&self) -> bool {
        let received = self.received.load(StdOrdering::Relaxed);
        let abandoned = self.abandoned.lock().unwrap().len();
        assert_eq!(received + abandoned, 1, "received {received}, abandoned {abandoned} times");
        received == 1
    }

    /// The outcome that the operation was abandoned with.
    fn leftover(&self) -> Option<Outcome> {
        assert!(!self.settled(), "it was received");
        self.abandoned.lock().unwrap()[0]
    }
}

fn complete(charge: Charge) {
    if let Finished::Wake(waker) = charge.finish(DONE) {
        waker.wake();
    }
}

fn submit_and_complete(charge: Charge) {
    let Some((charge, sqe)) = charge.submit(token()) else { return };
    assert_eq!(sqe.token, token());
    complete(charge);
}

fn wait(mut claim: Claim<Op>, task: &Task, waker: &Waker) {
    loop {
        match claim.poll(waker) {
            Ok((operation, outcome)) => {
                assert_eq!(outcome, DONE);
                operation.tally.received.fetch_add(1, StdOrdering::Relaxed);
                return;
            }
            Err(Unfinished::Pending(pending)) => claim = pending,
            Err(Unfinished::Lost(home)) => panic!("{home} stays"),
        }
        task.woken.wait();
        // A future that met the home half-way wakes itself: let the home go on.
        thread::yield_now();
    }
}

fn check_cancel(abandoned: &Abandoned) {
    if let Abandoned::Cancel { home, token: target } = abandoned {
        assert_eq!((*home, *target), (HOME, token()));
    }
}

#[test]
fn loom_an_outcome_wakes_and_reaches_its_future() {
    loom::model(|| {
        let (op, tally) = operation();
        let (task, waker) = task();
        let (claim, charge) = cell(op, HOME, waker.clone());
        let home = thread::spawn(move || submit_and_complete(charge));
        // No poll before the wake: the waker of the creation is the one that counts.
        task.woken.wait();
        wait(claim, &task, &waker);
        home.join().unwrap();
        assert!(tally.settled());
    });
}

#[test]
fn loom_an_outcome_reaches_a_future_that_polls_meanwhile() {
    loom::model(|| {
        let (op, tally) = operation();
        let (task, waker) = task();
        let (claim, charge) = cell(op, HOME, waker.clone());
        let home = thread::spawn(move || submit_and_complete(charge));
        wait(claim, &task, &waker);
        home.join().unwrap();
        assert!(tally.settled());
    });
}

#[test]
fn loom_a_task_that_moved_is_woken_where_it_polled_last() {
    loom::model(|| {
        let (op, tally) = operation();
        let (_, first) = task();
        let (claim, charge) = cell(op, HOME, first);
        let home = thread::spawn(move || submit_and_complete(charge));
        let elsewhere = thread::spawn(move || {
            let (task, waker) = task();
            wait(claim, &task, &waker);
        });
        home.join().unwrap();
        elsewhere.join().unwrap();
        assert!(tally.settled());
    });
}

#[test]
fn loom_a_task_that_polls_and_then_moves_is_woken() {
    loom::model(|| {
        let (op, tally) = operation();
        let (_, first) = task();
        let (claim, charge) = cell(op, HOME, first);
        let (claim, charge) = {
            let (charge, _) = charge.submit(token()).expect("the future is there");
            (claim, charge)
        };
        let home = thread::spawn(move || complete(charge));
        let (_, second) = task();
        match claim.poll(&second) {
            Ok((operation, outcome)) => {
                assert_eq!(outcome, DONE);
                operation.tally.received.fetch_add(1, StdOrdering::Relaxed);
            }
            Err(Unfinished::Lost(home)) => panic!("{home} stays"),
            Err(Unfinished::Pending(claim)) => {
                let elsewhere = thread::spawn(move || {
                    let (task, waker) = task();
                    wait(claim, &task, &waker);
                });
                elsewhere.join().unwrap();
            }
        }
        home.join().unwrap();
        assert!(tally.settled());
    });
}

#[test]
fn loom_a_future_dropped_before_submission_leaves_nothing_to_submit() {
    loom::model(|| {
        let (op, tally) = operation();
        let (_, waker) = task();
        let (claim, charge) = cell(op, HOME, waker);
        assert_eq!(claim.abandon(), Abandoned::Nothing);
        let home = thread::spawn(move || charge.submit(token()).is_none());
        assert!(home.join().unwrap());
        assert_eq!(tally.leftover(), None);
    });
}

#[test]
fn loom_a_future_dropped_while_it_waits_asks_for_a_cancel() {
    loom::model(|| {
        let (op, tally) = operation();
        let (_, waker) = task();
        let (claim, charge) = cell(op, HOME, waker);
        let (charge, _) = charge.submit(token()).expect("the future is there");
        let abandoned = claim.abandon();
        assert_eq!(abandoned, Abandoned::Cancel { home: HOME, token: token() });
        let home = thread::spawn(move || complete(charge));
        home.join().unwrap();
        assert_eq!(tally.leftover(), Some(DONE));
    });
}

#[test]
fn loom_a_drop_may_race_submission_and_completion() {
    loom::model(|| {
        let (op, tally) = operation();
        let (_, waker) = task();
        let (claim, charge) = cell(op, HOME, waker);
        let home = thread::spawn(move || submit_and_complete(charge));
        let abandoned = claim.abandon();
        check_cancel(&abandoned);
        home.join().unwrap();
        let leftover = tally.leftover();
        if matches!(abandoned, Abandoned::Cancel { .. }) {
            assert_eq!(leftover, Some(DONE));
        }
    });
}

#[test]
fn loom_a_drop_elsewhere_may_race_the_completion() {
    loom::model(|| {
        let (op, tally) = operation();
        let (_, waker) = task();
        let (claim, charge) = cell(op, HOME, waker);
        let (charge, _) = charge.submit(token()).expect("the future is there");
        let home = thread::spawn(move || complete(charge));
        let elsewhere = thread::spawn(move || check_cancel(&claim.abandon()));
        home.join().unwrap();
        elsewhere.join().unwrap();
        assert_eq!(tally.leftover(), Some(DONE));
    });
}

#[test]
fn loom_a_drop_after_arming_again_may_race_the_completion() {
    loom::model(|| {
        let (op, tally) = operation();
        let (_, first) = task();
        let (claim, charge) = cell(op, HOME, first);
        let home = thread::spawn(move || submit_and_complete(charge));
        let (_, second) = task();
        match claim.poll(&second) {
            Ok((operation, outcome)) => {
                assert_eq!(outcome, DONE);
                operation.tally.received.fetch_add(1, StdOrdering::Relaxed);
            }
            Err(Unfinished::Pending(claim)) => check_cancel(&claim.abandon()),
            Err(Unfinished::Lost(home)) => panic!("{home} stays"),
        }
        home.join().unwrap();
        tally.settled();
    });
}

#[test]
fn loom_the_home_keeps_the_operation_between_completions() {
    loom::model(|| {
        let (op, tally) = operation();
        let (_, first) = task();
        let (claim, charge) = cell(op, HOME, first);
        let home = thread::spawn(move || {
            let Some((charge, _)) = charge.submit(token()) else { return };
            assert!(charge.more(DONE).is_none());
            complete(charge);
        });
        let (_, second) = task();
        match claim.poll(&second) {
            Ok((operation, _)) => {
                assert_eq!(operation.seen, 2, "the future sees what the home wrote");
                operation.tally.received.fetch_add(1, StdOrdering::Relaxed);
            }
            Err(Unfinished::Pending(claim)) => check_cancel(&claim.abandon()),
            Err(Unfinished::Lost(home)) => panic!("{home} stays"),
        }
        home.join().unwrap();
        tally.settled();
    });
}

#[test]
fn loom_an_operation_refused_before_submission_answers_its_future() {
    loom::model(|| {
        let (op, tally) = operation();
        let (task, waker) = task();
        let (claim, charge) = cell(op, HOME, waker.clone());
        let home = thread::spawn(move || complete(charge));
        wait(claim, &task, &waker);
        home.join().unwrap();
        assert!(tally.settled());
    });
}

/// An operation that nobody will free, and a home that goes.
fn submit_and_lose(charge: Charge) {
    let Some((charge, _)) = charge.submit(token()) else { return };
    charge.lose(Waker::wake);
}

#[test]
fn loom_a_home_that_goes_wakes_its_future_wherever_it_polls() {
    loom::model(|| {
        let (mut op, tally) = operation();
        op._leak_check = None;
        let (_, first) = task();
        let (claim, charge) = cell(op, HOME, first);
        let home = thread::spawn(move || submit_and_lose(charge));
        // Its waker is dropped, or loom reports the leak of the task.
        let (task, waker) = task();
        let mut claim = claim;
        loop {
            match claim.poll(&waker) {
                Ok(_) => panic!("nothing completed it"),
                Err(Unfinished::Lost(home)) => break assert_eq!(home, HOME),
                Err(Unfinished::Pending(pending)) => claim = pending,
            }
            task.woken.wait();
            thread::yield_now();
        }
        home.join().unwrap();
        assert_eq!(tally.abandoned.lock().unwrap().len(), 0);
    });
}

#[test]
fn loom_a_drop_may_race_a_home_that_goes() {
    loom::model(|| {
        let (mut op, tally) = operation();
        op._leak_check = None;
        let (_, waker) = task();
        let (claim, charge) = cell(op, HOME, waker);
        let home = thread::spawn(move || submit_and_lose(charge));
        check_cancel(&claim.abandon());
        home.join().unwrap();
        // Before it was submitted it is nobody's but ours.
        let abandoned = tally.abandoned.lock().unwrap();
        assert!(abandoned.is_empty() || *abandoned == [None], "{abandoned:?}");
    });
}

#[test]
fn loom_a_withdrawal_leaves_nothing_to_submit_or_follows_the_operation_to_its_end() {
    loom::model(|| {
        let (op, tally) = operation();
        let (_, waker) = task();
        let (claim, charge) = cell(op, HOME, waker);
        let home = thread::spawn(move || submit_and_complete(charge));
        let kept = claim.withdraw();
        let abandoned = tally.abandoned.lock().unwrap().first().copied();
        if let Some((claim, target)) = kept {
            assert_eq!(target, token());
            let (task, waker) = task();
            wait(claim, &task, &waker);
            home.join().unwrap();
            assert!(tally.settled());
        } else {
            home.join().unwrap();
            // It had ended by then, or was never submitted.
            let leftover = tally.leftover();
            assert!(leftover.is_none() || abandoned == Some(Some(DONE)), "it went on");
        }
    });
}

/// The home looks at the waker while the future polls with another one, and completes then.
#[test]
fn loom_a_look_at_the_waker_loses_no_wake() {
    loom::model(|| {
        let (operation, tally) = operation();
        let (_, first) = task();
        let (claim, charge) = cell(operation, HOME, first);
        let (charge, _) = charge.submit(token()).expect("the future waits");
        let home = thread::spawn(move || {
            let _shown = charge.with_waker(|waker| waker.data().is_null());
            complete(charge);
        });
        let (task, waker) = task();
        wait(claim, &task, &waker);
        assert!(tally.settled());
        home.join().unwrap();
    });
}

#[test]
fn loom_a_look_at_the_waker_may_race_a_drop() {
    loom::model(|| {
        let (operation, tally) = operation();
        let (_, waker) = task();
        let (claim, charge) = cell(operation, HOME, waker);
        let (charge, _) = charge.submit(token()).expect("the future waits");
        let home = thread::spawn(move || {
            let _shown = charge.with_waker(|waker| waker.data().is_null());
            complete(charge);
        });
        let _cancel = claim.abandon();
        home.join().unwrap();
        assert_eq!(tally.leftover(), Some(DONE));
    });
}
