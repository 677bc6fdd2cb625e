//! Who is woken, against a list of who waits.

use std::pin::Pin;
use std::sync::Arc;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::{Notified, Notify};
use crate::sync::testing::{Bell, block_on};

#[test]
fn a_permit_is_stored_once() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    block_on(notify.notified());
    let bell = Bell::new();
    assert!(bell.poll(Pin::new(&mut notify.notified())).is_pending());
}

#[test]
fn all_who_were_made_before_are_reached_polled_or_not() {
    let notify = Notify::new();
    let bell = Bell::new();
    let (mut waits, mut new) = (notify.notified(), notify.notified());
    assert!(bell.poll(Pin::new(&mut waits)).is_pending());
    notify.notify_waiters();
    let mut late = notify.notified();
    assert!(bell.poll(Pin::new(&mut late)).is_pending(), "no permit is stored");
    assert_eq!(bell.rung(), 1);
    assert!(bell.poll(Pin::new(&mut waits)).is_ready());
    assert!(bell.poll(Pin::new(&mut new)).is_ready());
}

#[test]
fn enabling_keeps_the_waker_and_says_what_has_come() {
    let notify = Notify::new();
    let bell = Bell::new();
    let mut waits = notify.notified();
    assert!(!waits.enable());
    assert!(bell.poll(Pin::new(&mut waits)).is_pending());
    assert!(!waits.enable());
    notify.notify_one();
    assert_eq!(bell.rung(), 1);
    assert!(waits.enable());
    drop(waits);
    assert!(notify.notified().enable(), "it was passed on");
}

#[test]
fn a_waiter_that_goes_gives_its_waker_back() {
    let notify = Notify::new();
    let bell = Bell::new();
    let mut waits = notify.notified();
    assert!(bell.poll(Pin::new(&mut waits)).is_pending());
    drop(waits);
    assert_eq!(Arc::strong_count(&bell), 1);
    notify.notify_one();
    block_on(notify.notified());
}

#[test]
fn a_ball_goes_to_and_fro_between_threads() {
    const ROUNDS: usize = 2_000;
    let court = Arc::new([Notify::new(), Notify::new()]);
    let other = std::thread::spawn({
        let court = Arc::clone(&court);
        move || {
            for _ in 0..ROUNDS {
                block_on(court[0].notified());
                court[1].notify_one();
            }
        }
    });
    for _ in 0..ROUNDS {
        court[0].notify_one();
        block_on(court[1].notified());
    }
    other.join().unwrap();
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Make,
    Poll(usize),
    Drop(usize),
    One,
    Last,
    All,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Make),
        4 => any::<usize>().prop_map(Step::Poll),
        2 => any::<usize>().prop_map(Step::Drop),
        2 => Just(Step::One),
        1 => Just(Step::Last),
        1 => Just(Step::All),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    New,
    Waits,
    One { last: bool },
    All,
    Done,
}

/// What should happen.
#[derive(Default)]
struct Model {
    stored: bool,
    /// Names of those in line.
    line: Vec<usize>,
    states: Vec<State>,
    wakes: Vec<usize>,
}

impl Model {
    fn one(&mut self, last: bool) {
        if self.line.is_empty() {
            self.stored = true;
            return;
        }
        let name = if last { self.line.pop().unwrap() } else { self.line.remove(0) };
        self.states[name] = State::One { last };
        self.wakes[name] += 1;
    }

    fn all(&mut self) {
        for state in &mut self.states {
            if *state == State::New {
                *state = State::All;
            }
        }
        for name in self.line.drain(..) {
            self.states[name] = State::All;
            self.wakes[name] += 1;
        }
    }

    fn poll(&mut self, name: usize) -> bool {
        if self.states[name] == State::New && !self.stored {
            self.states[name] = State::Waits;
            self.line.push(name);
        }
        if self.states[name] == State::Waits {
            return false;
        }
        if self.states[name] == State::New {
            self.stored = false;
        }
        self.states[name] = State::Done;
        true
    }

    fn drop(&mut self, name: usize) {
        self.line.retain(|&other| other != name);
        if let State::One { last } = self.states[name] {
            self.one(last);
        }
        self.states[name] = State::Done;
    }
}

proptest! {
    #[test]
    fn the_right_ones_are_woken_and_no_notification_is_lost(
        steps in proptest::collection::vec(step(), 0..120)
    ) {
        let notify = Notify::new();
        let mut model = Model::default();
        let mut waiters: Vec<(Option<Notified<'_>>, Arc<Bell>)> = Vec::new();
        for step in steps {
            match step {
                Step::Make => {
                    waiters.push((Some(notify.notified()), Bell::new()));
                    model.states.push(State::New);
                    model.wakes.push(0);
                }
                Step::Poll(pick) if !waiters.is_empty() => {
                    let name = pick % waiters.len();
                    let (waiter, bell) = &mut waiters[name];
                    if model.states[name] != State::Done
                        && let Some(future) = waiter
                    {
                        let ready = bell.poll(Pin::new(future)).is_ready();
                        assert_eq!(ready, model.poll(name));
                    }
                }
                Step::Drop(pick) if !waiters.is_empty() => {
                    let name = pick % waiters.len();
                    if waiters[name].0.take().is_some() {
                        model.drop(name);
                    }
                }
                Step::Poll(_) | Step::Drop(_) => {}
                Step::One => {
                    notify.notify_one();
                    model.one(false);
                }
                Step::Last => {
                    notify.notify_last();
                    model.one(true);
                }
                Step::All => {
                    notify.notify_waiters();
                    model.all();
                }
            }
            for ((_, bell), wakes) in waiters.iter().zip(&model.wakes) {
                assert_eq!(bell.rung(), *wakes);
            }
        }
        drop(waiters);
    }
}
