//! A model of the scheduler: virtual shards in one thread over a real queue, a real placement and
//! the real words of the parking protocol.
//!
//! A generated program spawns tasks, wakes them, completes their operations and shuts the runtime
//! down, and says which actor goes on for how many steps when. A step is one operation of the
//! protocol in `doorbell/README.md`, one look or one act of a task; between any two the others may
//! do theirs. So the model finds orders that threads on a real machine meet once in a year. What it
//! does not find is what a processor does to the order of loads and stores: that is for loom.
//!
//! The virtual shard is a model of the loop in `shard` and not that loop itself; it has no ring, no
//! timers and does not spin. `world::Flaw` lists what it can be made to do wrong, with tests that
//! each is noticed: whoever changes when a real shard calls for help changes it here first.
//!
//! # What must hold
//!
//! After every step:
//!
//! 1. A task is polled by one shard at a time, after it was woken or spawned, and a pinned one on
//!    its own shard.
//! 2. No queue drops a task while the runtime runs.
//! 3. A shard that sleeps while something was left for it is about to be rung, or was rung.
//! 4. A placement names a shard that exists, and a thief gets no more than it asked for.
//!
//! When everybody who can go on has gone on, and polls that last do not end:
//!
//! 5. No shard sleeps while a task waits that it could take.
//!
//! When these polls have ended too:
//!
//! 6. Every task that was woken has been polled; nothing is left in a queue; a call for help is
//!    answered, so no searcher was forgotten.
//!
//! After the end:
//!
//! 7. Every shard has ended, and every handle is resolved.

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::doorbell::Gate;
use crate::placement::Placement;
use crate::queue::StealQueue;

mod mail;
mod program;
mod run;
mod shard;
mod sleep;
mod ticket;
mod turn;
mod world;

use program::{Program, programs};
use world::{Flaw, World};

/// How many programs a run tries unless `SPARGIO_MODEL_CASES` says otherwise.
const CASES: u32 = 2_000;

/// The variable that says how many programs to try.
const CASES_VARIABLE: &str = "SPARGIO_MODEL_CASES";

fn cases() -> u32 {
    let Ok(text) = std::env::var(CASES_VARIABLE) else { return CASES };
    text.parse().unwrap_or_else(|_| panic!("{CASES_VARIABLE} is {text:?}, not a number"))
}

/// Runs many programs; the smallest found that goes wrong, what went wrong, and how.
fn explore<Q: StealQueue, P: Placement>(
    make: impl Fn() -> P,
    cases: u32,
    flaw: Option<Flaw>,
) -> Result<(), String> {
    let config = Config {
        cases,
        failure_persistence: None,
        // Programs are short, and none of them sleeps.
        max_shrink_iters: 100_000,
        ..Config::default()
    };
    let run = |program: Program| {
        once::<Q, P>(&make, &program, flaw, false).map_err(|(seen, _)| TestCaseError::fail(seen))
    };
    // The same programs each time, so that a test says the same each time; a search that was asked
    // for by a number goes elsewhere each time.
    let mut runner = match std::env::var_os(CASES_VARIABLE) {
        None => {
            let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
            TestRunner::new_with_rng(config, rng)
        }
        Some(_) => TestRunner::new(config),
    };
    match runner.run(&programs(), run) {
        Ok(()) => Ok(()),
        Err(TestError::Fail(_, mut program)) => {
            let fails = |program: &Program| once::<Q, P>(&make, program, flaw, false).is_err();
            loop {
                let smaller = program.smaller().find(fails);
                let Some(smaller) = smaller else { break };
                program = smaller;
            }
            let (seen, trace) = once::<Q, P>(&make, &program, flaw, true)
                .expect_err("the same program goes the same way");
            Err(format!("{seen}\nThe program:\n{program}\nWhat happened:\n{trace}"))
        }
        Err(TestError::Abort(reason)) => panic!("the programs could not be made up: {reason}"),
    }
}

/// Runs one program. What went wrong, and what happened before.
fn once<Q: StealQueue, P: Placement>(
    make: impl Fn() -> P,
    program: &Program,
    flaw: Option<Flaw>,
    traced: bool,
) -> Result<(), (String, String)> {
    let gates: Vec<Gate> = (0..program.shards).map(|_| Gate::new()).collect();
    let placement = make();
    let mut world = World::<Q, P>::new(program, &gates, &placement, flaw, traced);
    world.run().map_err(|seen| (seen, world.trace().to_owned()))
}

/// As [`super::scheduler`].
pub(super) fn check<Q: StealQueue, P: Placement>(make: impl Fn() -> P) {
    if let Err(seen) = explore::<Q, P>(make, cases(), None) {
        let (queue, rule) = (std::any::type_name::<Q>(), std::any::type_name::<P>());
        panic!("the scheduler goes wrong over `{queue}` and `{rule}`: {seen}");
    }
}

#[cfg(test)]
mod tests;
