//! Programs that found something once, and that the door for drivers of others leads somewhere.

use std::panic;

use super::{Setup, Step, Stray, sort};
use crate::driver::{Class, Cqe, Token, cqe_flags};
use crate::fuzzing::demux::world::World;

fn op(generation: u32, index: u32) -> Token {
    Token::new(Class::Op, generation, index)
}

fn run(setup: Setup, steps: &[Step]) {
    let mut world = World::new(setup);
    for step in steps {
        world.step(*step);
        world.check();
    }
    world.finish();
}

#[test]
fn completions_of_a_driver_of_ones_own_are_sorted() {
    let cqe = |token, result, flags| Cqe { token, result, flags };
    let cqes = [
        cqe(op(0, 1), 5, cqe_flags::MORE),
        cqe(op(0, 1), 0, cqe_flags::NOTIF),
        cqe(op(0, 1), 0, 0),
        cqe(op(1, 0), 7, 0),
        cqe(op(0, 0), -libc::ECANCELED, 0),
        cqe(op(0, u32::MAX), 1, 0),
        cqe(Token::from_bits(u64::MAX), 1, 0),
    ];
    for batch in [0, 1, 3, 100] {
        sort(2, batch, &cqes);
    }
}

#[test]
fn a_bell_that_was_for_no_shard_of_the_runtime_is_of_no_effect() {
    for target in [2, u32::from(u16::MAX), u32::MAX] {
        let token = Token::new(Class::BellSent, 0, target);
        sort(1, 1, &[Cqe { token, result: -libc::EBADF, flags: 0 }]);
    }
}

#[test]
fn a_watch_that_is_refused_while_the_queue_is_full_is_armed_later() {
    let setup = Setup { operations: 64, entries: 1, watches: true };
    let submit = Step::Submit { elsewhere: false, receives: false };
    let steps = [
        Step::Flush { takes: 1 },
        submit,
        Step::Complete { entry: 0, result: -libc::EINVAL, flags: 0 },
        Step::Collect,
        Step::Flush { takes: 8 },
        submit,
    ];
    run(setup, &steps);
}

#[test]
fn a_completion_that_the_model_does_not_know_is_noticed() {
    let found = panic::catch_unwind(|| {
        let mut world = World::new(Setup { operations: 1, entries: 1, watches: false });
        world.step(Step::Stray(Stray::Bell(0)));
        world.step(Step::Collect);
        world.model.heard = 0;
        world.check();
    });
    assert!(found.is_err());
}
