//! Messages of a few shards, without their rings, against lists of what was sent.
//!
//! The harness does what shards do with their desks: it takes turns, parks a shard when nothing is
//! left for it and unparks it when its gate is posted, runs tasks that were woken and no others,
//! and plays the kernel for messages that are completions. So a message that is lost, doubled,
//! overtaken or slept on shows.

use arbitrary::Unstructured;

use crate::fuzzing::Program;
use crate::fuzzing::source::{below, next, one_of, steps};
use crate::message::Kind;

mod model;
mod task;
mod world;

use world::World;

/// How many messages a lane may hold: the least, some, and beyond what may be on the way directly.
const CAPACITIES: [usize; 8] = [1, 2, 3, 4, 7, 33, 130, 300];
/// From which count on a waiting task is woken at once.
const THRESHOLDS: [u64; 4] = [1, 2, 40, u64::MAX];

/// What shards send to each other.
#[derive(Debug)]
pub(super) struct Messages {
    shards: u8,
    capacity: usize,
    threshold: u64,
    steps: Vec<Step>,
}

/// Shards, tasks and messages on the way are named by a number that is cut to how many there are.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many messages, one after the other.
    Send { from: u8, to: u8, form: Form, tag: u8, val: u32, count: u16 },
    /// A task waits for what was sent from one shard to another, or to all.
    Flush { from: u8, to: Option<u8> },
    /// A task waits for an event.
    Read { on: u8, kind: Kind },
    /// A task waits for a count.
    Count { on: u8, tag: u8 },
    /// A count is taken, without waiting.
    TakeCount { on: u8, tag: u8 },
    /// The messages of a shard are taken, and its tasks that were woken run.
    Turn(u8),
    /// A shard has nothing to do, and sleeps if nothing came.
    Park(u8),
    /// A task is polled that was not woken.
    Poll(u8),
    /// A task is dropped.
    Forget(u8),
    /// A message that is a completion arrives.
    Deliver(u8),
    /// A message that was to be a completion fails.
    Fail(u8),
    /// A completion comes once more that came before.
    Echo(u8),
    /// A completion comes that nobody sent.
    Stray { on: u8, from: u16, number: u32 },
    /// A shard ends.
    Close(u8),
}

/// How a message is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// To the lane, and forgotten.
    NoWait,
    /// To the lane, with a task that waits until it was taken.
    Ticket,
    /// As a completion.
    Direct,
    /// As a completion, for which the submission queue has no room.
    DirectCrowded,
}

impl Program for Messages {
    fn read(bytes: &mut Unstructured<'_>) -> Self {
        Self {
            shards: below(bytes, 4) + 1,
            capacity: one_of(bytes, &CAPACITIES),
            threshold: one_of(bytes, &THRESHOLDS),
            steps: steps(bytes, read_step),
        }
    }

    fn run(self) {
        let mut world = World::new(self.shards.into(), self.capacity, self.threshold);
        for step in self.steps {
            world.step(step);
            world.check();
        }
        world.finish();
    }
}

fn read_step(bytes: &mut Unstructured<'_>) -> Step {
    match below(bytes, 32) {
        kind @ 0..=9 => {
            let form = match kind {
                0..=3 => Form::NoWait,
                4..=5 => Form::Ticket,
                6..=8 => Form::Direct,
                _ => Form::DirectCrowded,
            };
            let (from, to, tag) = (next(bytes), next(bytes), next(bytes));
            // Few values: that of a message tells it from its neighbours, and the lists know more.
            let val = u32::from(next::<u8>(bytes)).wrapping_sub(1);
            Step::Send { from, to, form, tag, val, count: 1 }
        }
        10 => {
            let form = one_of(bytes, &[Form::NoWait, Form::Direct]);
            let (from, to, tag) = (next(bytes), next(bytes), next(bytes));
            let count = next::<u16>(bytes) % 400;
            Step::Send { from, to, form, tag, val: next(bytes), count }
        }
        11 => {
            let (from, to) = (next(bytes), next::<u8>(bytes));
            Step::Flush { from, to: (to < 128).then_some(to) }
        }
        12 => Step::Read { on: next(bytes), kind: Kind::Plain },
        13 => Step::Read { on: next(bytes), kind: Kind::Hot },
        14 => Step::Count { on: next(bytes), tag: next(bytes) },
        15 => Step::TakeCount { on: next(bytes), tag: next(bytes) },
        16..=20 => Step::Turn(next(bytes)),
        21..=22 => Step::Park(next(bytes)),
        23 => Step::Poll(next(bytes)),
        24 => Step::Forget(next(bytes)),
        25..=27 => Step::Deliver(next(bytes)),
        28 => Step::Fail(next(bytes)),
        29 => Step::Echo(next(bytes)),
        30 => Step::Stray { on: next(bytes), from: next(bytes), number: next(bytes) },
        _ => Step::Close(next(bytes)),
    }
}
