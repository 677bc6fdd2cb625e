//! Completions of any kind, in any order, at a real shard over a kernel that is a script.
//!
//! The shard does what it does in service, from the drain of its driver to the wake of who waits;
//! only its thread and its ring are missing. The model keeps a map from token to operation, and so
//! knows of each completion whom it is for, or that it is for nobody.

use arbitrary::Unstructured;

use crate::driver::{Cqe, cqe_flags};
use crate::fuzzing::Program;
use crate::fuzzing::source::{below, next, one_of, steps};

mod kernel;
mod model;
mod operation;
mod script;
#[cfg(test)]
mod tests;
mod world;

use world::World;

/// Results as kernels give them.
const RESULTS: [i32; 12] = [
    0,
    1,
    4096,
    i32::MAX,
    -libc::ECANCELED,
    -libc::EINVAL,
    -libc::EINTR,
    -libc::EAGAIN,
    -libc::ENOENT,
    -512,
    i32::MIN,
    i32::MIN + 1,
];

/// What happens at a shard.
#[derive(Debug)]
pub(super) struct Demux {
    setup: Setup,
    steps: Vec<Step>,
}

/// How the shard and its kernel are made.
#[derive(Clone, Copy, Debug)]
struct Setup {
    /// The most operations in flight.
    operations: usize,
    /// Entries of the submission queue.
    entries: usize,
    /// The doorbell of foreign threads is an eventfd.
    watches: bool,
}

/// Operations, entries and completions are named by a number that is cut to how many there are.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An operation is submitted, by a future that is polled on the shard or elsewhere.
    Submit { elsewhere: bool, receives: bool },
    /// Letters from elsewhere are read.
    ReadLetters,
    /// A future is polled.
    Poll(u8),
    /// A future is dropped, on the shard or elsewhere.
    Drop { operation: u8, elsewhere: bool },
    /// A future asks to cancel, and goes on waiting.
    Withdraw(u8),
    /// Receives that wait for a second look get it, and what they are told.
    LookAgain(Option<i32>),
    /// What is queued is handed over; the kernel takes so many entries.
    Flush { takes: u8 },
    /// The kernel completes an entry for good.
    Complete { entry: u8, result: i32, flags: u32 },
    /// The kernel completes an entry, and says that more will come.
    More { entry: u8, result: i32, flags: u32 },
    /// A completion that came before comes once more.
    Echo { cqe: u8, result: i32, flags: u32 },
    /// A completion comes of which nobody knows why.
    Stray(Stray),
    /// Completions are sorted.
    Collect,
    /// An fd is closed.
    Close,
    /// The other shard falls asleep.
    Sleep,
    /// The other shard gets work.
    Wake,
    /// The other shard ends.
    End,
    /// The other shard is sent a message that is to be a completion.
    Message(u32),
}

/// A completion that belongs to no entry.
#[derive(Clone, Copy, Debug)]
enum Stray {
    /// Of any token.
    Any(Cqe),
    /// Of a token close to one that was in use.
    Near { cqe: u8, generation: i8, index: i8, class: u8, result: i32, flags: u32 },
    /// Of a doorbell.
    Bell(i32),
}

impl Program for Demux {
    fn read(bytes: &mut Unstructured<'_>) -> Self {
        let setup = Setup {
            operations: one_of(bytes, &[1, 2, 3, 5, 64]),
            entries: one_of(bytes, &[1, 2, 4, 128]),
            watches: below(bytes, 2) == 1,
        };
        Self { setup, steps: steps(bytes, read_step) }
    }

    fn run(self) {
        let mut world = World::new(self.setup);
        for step in self.steps {
            world.step(step);
            world.check();
        }
        world.finish();
    }
}

/// Puts so many operations in flight and has a shard sort these completions, in drains of `batch`,
/// on behalf of a driver that is fuzzed by somebody else.
///
/// The operations have the tokens `Token::new(Class::Op, 0, n)` with `n` from 0 on. What belongs to
/// an fd or a doorbell of the shard that was not submitted is passed over.
///
/// # Panics
///
/// Where the shard and the model differ.
pub fn sort(in_flight: u32, batch: usize, cqes: &[Cqe]) {
    let operations = in_flight as usize;
    let mut world = World::new(Setup { operations, entries: 128, watches: false });
    for _ in 0..in_flight {
        world.step(Step::Submit { elsewhere: false, receives: false });
    }
    world.step(Step::Flush { takes: u8::MAX });
    for batch in cqes.chunks(batch.max(1)) {
        for cqe in batch {
            world.step(Step::Stray(Stray::Any(*cqe)));
        }
        world.step(Step::Collect);
        world.check();
    }
    world.finish();
}

fn read_step(bytes: &mut Unstructured<'_>) -> Step {
    match below(bytes, 40) {
        0..=6 => Step::Submit { elsewhere: false, receives: false },
        7 => Step::Submit { elsewhere: false, receives: true },
        8..=9 => Step::Submit { elsewhere: true, receives: below(bytes, 4) == 0 },
        10..=11 => Step::ReadLetters,
        12..=13 => Step::Poll(next(bytes)),
        14 => Step::Drop { operation: next(bytes), elsewhere: false },
        15 => Step::Drop { operation: next(bytes), elsewhere: true },
        16 => Step::Withdraw(next(bytes)),
        17 => Step::LookAgain((below(bytes, 2) == 1).then(|| result(bytes))),
        18..=20 => Step::Flush { takes: next(bytes) },
        21..=24 => {
            Step::Complete { entry: next(bytes), result: result(bytes), flags: flags(bytes) }
        }
        25..=26 => Step::More { entry: next(bytes), result: result(bytes), flags: flags(bytes) },
        27..=28 => Step::Echo { cqe: next(bytes), result: result(bytes), flags: flags(bytes) },
        29 => {
            let token = crate::driver::Token::from_bits(next(bytes));
            let (result, flags) = (result(bytes), next(bytes));
            Step::Stray(Stray::Any(Cqe { token, result, flags }))
        }
        30 => Step::Stray(Stray::Near {
            cqe: next(bytes),
            generation: next(bytes),
            index: next(bytes),
            class: next(bytes),
            result: result(bytes),
            flags: flags(bytes),
        }),
        31 => Step::Stray(Stray::Bell(result(bytes))),
        32..=34 => Step::Collect,
        35 => Step::Close,
        36 => Step::Sleep,
        37 => Step::Wake,
        38 => match below(bytes, 8) {
            0 => Step::End,
            _ => Step::Wake,
        },
        _ => Step::Message(next(bytes)),
    }
}

fn result(bytes: &mut Unstructured<'_>) -> i32 {
    let kind = next::<u8>(bytes);
    RESULTS.get(usize::from(kind)).copied().unwrap_or_else(|| next(bytes))
}

/// The flags that a completion of an operation may have, and now and then any.
fn flags(bytes: &mut Unstructured<'_>) -> u32 {
    let kind = next::<u8>(bytes);
    let mut flags = 0;
    for (bit, flag) in [
        (1, cqe_flags::BUFFER | 7 << 16),
        (2, cqe_flags::SOCK_NONEMPTY),
        (4, cqe_flags::NOTIF),
        (8, cqe_flags::MORE),
    ] {
        if kind & bit != 0 {
            flags |= flag;
        }
    }
    if kind >= 240 { next(bytes) } else { flags }
}
