//! Slots, generations and limits, and any sequence of them against a map.

use std::collections::HashMap;
use std::task::Waker;

use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use super::{Completed, Table};
use crate::driver::{Class, Cqe, Opcode, Sqe, Token, cqe_flags};
use crate::id::ShardId;
use crate::inflight::cell::{Charge, Claim, Finished, Operation, Outcome, cell};

/// An operation that counts the completions that are not the last.
struct Op(u32);

// SAFETY: there is no address in the entry.
unsafe impl Operation for Op {
    fn entry(&mut self) -> Sqe {
        Sqe::nop()
    }

    fn more(&mut self, _: Outcome) -> Option<Waker> {
        self.0 += 1;
        Some(Waker::noop().clone())
    }
}

fn start() -> (Claim<Op>, Charge) {
    cell(Op(0), ShardId::new(0), Waker::noop().clone())
}

/// Submits as a shard does.
fn submit(table: &mut Table, charge: Charge, opcode: Opcode) -> Option<Token> {
    let token = table.reserve()?;
    let (charge, _) = charge.submit(token).expect("the future waits");
    table.fill(token, opcode, charge);
    Some(token)
}

fn last(token: Token, result: i32) -> Cqe {
    Cqe { token, result, flags: 0 }
}

fn more(token: Token) -> Cqe {
    Cqe { token, result: 1, flags: cqe_flags::MORE }
}

fn finish(claim: Claim<Op>, completed: Completed) -> (u32, Outcome) {
    let Completed::Last(charge, outcome) = completed else {
        panic!("{completed:?} is not the last")
    };
    assert!(matches!(charge.finish(outcome), Finished::Wake(_)));
    let (operation, outcome) = claim.poll(Waker::noop()).expect("it is completed");
    (operation.0, outcome)
}

#[test]
fn a_completion_finds_its_operation() {
    let mut table = Table::new(8);
    let (claim, charge) = start();
    let token = submit(&mut table, charge, Opcode::READ).expect("there is room");
    assert!(table.is_in_flight(token));
    assert_eq!(table.in_flight().collect::<Vec<_>>(), [(token, Opcode::READ)]);
    let completed = table.complete(last(token, 5));
    assert!(!table.is_in_flight(token));
    assert_eq!(table.len(), 0);
    assert_eq!(finish(claim, completed), (0, Outcome { result: 5, flags: 0 }));
}

#[test]
fn the_table_refuses_at_its_limit_and_takes_again_below_it() {
    let mut table = Table::new(2);
    assert_eq!(table.limit(), 2);
    let tokens = [table.reserve(), table.reserve()].map(|token| token.expect("there is room"));
    assert_eq!(table.len(), 2);
    assert_eq!(table.reserve(), None);
    table.release(tokens[0]);
    assert!(table.reserve().is_some());
    assert_eq!(table.reserve(), None);
}

#[test]
fn a_table_for_nothing_takes_nothing() {
    assert_eq!(Table::new(0).reserve(), None);
}

#[test]
fn completions_with_more_keep_the_operation_and_the_last_one_ends_it() {
    let mut table = Table::new(1);
    let (claim, charge) = start();
    let token = submit(&mut table, charge, Opcode::ACCEPT).expect("there is room");
    for _ in 0..3 {
        let Completed::More(Some(_)) = table.complete(more(token)) else {
            panic!("more will come")
        };
        assert!(table.is_in_flight(token));
    }
    let completed = table.complete(last(token, -125));
    assert_eq!(finish(claim, completed), (3, Outcome { result: -125, flags: 0 }));
    assert!(matches!(table.complete(more(token)), Completed::Stale));
    assert_eq!(table.stale(), 1);
}

#[test]
fn a_completion_of_an_earlier_use_of_a_slot_is_refused_and_counted() {
    let mut table = Table::new(1);
    let (claim, charge) = start();
    let early = submit(&mut table, charge, Opcode::READ).expect("there is room");
    let completed = table.complete(last(early, 1));
    finish(claim, completed);
    let (claim, charge) = start();
    let late = submit(&mut table, charge, Opcode::READ).expect("there is room");
    assert_eq!(early.index(), late.index());
    assert!(matches!(table.complete(last(early, 9)), Completed::Stale));
    assert!(!table.is_in_flight(early));
    assert!(table.is_in_flight(late));
    assert_eq!(table.stale(), 1);
    let completed = table.complete(last(late, 2));
    assert_eq!(finish(claim, completed).1.result, 2);
}

#[test]
fn a_completion_for_no_slot_or_an_empty_or_a_reserved_one_is_refused() {
    let mut table = Table::new(4);
    let token = table.reserve().expect("there is room");
    assert!(matches!(table.complete(last(token, 0)), Completed::Stale));
    assert!(!table.is_in_flight(token));
    table.release(token);
    assert!(matches!(table.complete(last(token, 0)), Completed::Stale));
    let beyond = Token::new(Class::Op, 0, u32::MAX);
    assert!(matches!(table.complete(last(beyond, 0)), Completed::Stale));
    assert_eq!(table.stale(), 3);
}

#[test]
fn the_answer_to_a_cancel_does_not_complete_what_it_cancels() {
    let mut table = Table::new(1);
    let (claim, charge) = start();
    let token = submit(&mut table, charge, Opcode::READ).expect("there is room");
    let cancel = Token::new(Class::Cancel, token.generation(), token.index());
    assert!(matches!(table.complete(last(cancel, 0)), Completed::Stale));
    assert!(table.is_in_flight(token));
    let completed = table.complete(last(token, 0));
    finish(claim, completed);
}

#[test]
fn the_generation_of_a_slot_wraps() {
    let mut table = Table::new(1);
    let first = table.reserve().expect("there is room");
    table.slots[0].generation = Token::MAX_GENERATION;
    let oldest = Token::new(Class::Op, Token::MAX_GENERATION, 0);
    table.release(oldest);
    let wrapped = table.reserve().expect("there is room");
    assert_eq!((first.generation(), wrapped.generation()), (0, 0));
    assert!(matches!(table.complete(last(oldest, 0)), Completed::Stale));
    table.release(wrapped);
}

#[test]
#[should_panic(expected = "invariant I3")]
fn a_token_is_released_once() {
    let mut table = Table::new(1);
    let token = table.reserve().expect("there is room");
    table.release(token);
    let again = table.reserve().expect("there is room");
    assert_ne!(token, again);
    table.release(token);
}

#[derive(Clone, Debug)]
enum Step {
    Submit,
    ReserveAndRelease,
    /// Completes the operation at this place of the model, counted round.
    Last(usize),
    More(usize),
    /// Completes one that is over.
    Late(usize),
    /// A completion that the kernel never made.
    Noise(u64, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::strategy::Just(Step::Submit),
        1 => proptest::strategy::Just(Step::ReserveAndRelease),
        3 => any::<usize>().prop_map(Step::Last),
        2 => any::<usize>().prop_map(Step::More),
        1 => any::<usize>().prop_map(Step::Late),
        1 => (any::<u64>(), any::<bool>()).prop_map(|(bits, more)| Step::Noise(bits, more)),
    ]
}

proptest! {
    #[test]
    fn the_table_does_what_a_map_does(
        limit in 0_usize..6,
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut table = Table::new(limit);
        let mut model: HashMap<Token, (Claim<Op>, u32)> = HashMap::new();
        let mut order: Vec<Token> = Vec::new();
        let mut over: Vec<Token> = Vec::new();
        let mut stale = 0;
        for step in steps {
            match step {
                Step::Submit => {
                    let (claim, charge) = start();
                    if model.len() == limit {
                        assert_eq!(table.reserve(), None);
                        assert!(matches!(charge.finish(Outcome::error(105)), Finished::Wake(_)));
                        assert!(claim.poll(Waker::noop()).is_ok());
                        continue;
                    }
                    let token = submit(&mut table, charge, Opcode::NOP).expect("there is room");
                    assert!(model.insert(token, (claim, 0)).is_none(), "{token:?} is given twice");
                    order.push(token);
                }
                Step::ReserveAndRelease => {
                    if let Some(token) = table.reserve() {
                        assert!(!model.contains_key(&token));
                        table.release(token);
                        over.push(token);
                    }
                }
                Step::Last(at) if !order.is_empty() => {
                    let token = order.remove(at % order.len());
                    let (claim, times) = model.remove(&token).expect("it is in flight");
                    let completed = table.complete(last(token, 3));
                    assert_eq!(finish(claim, completed), (times, Outcome { result: 3, flags: 0 }));
                    over.push(token);
                }
                Step::More(at) if !order.is_empty() => {
                    let token = order[at % order.len()];
                    assert!(matches!(table.complete(more(token)), Completed::More(Some(_))));
                    model.get_mut(&token).expect("it is in flight").1 += 1;
                }
                Step::Late(at) if !over.is_empty() => {
                    let token = over[at % over.len()];
                    assert!(matches!(table.complete(last(token, 3)), Completed::Stale));
                    stale += 1;
                }
                Step::Noise(bits, is_more) => {
                    let token = Token::from_bits(bits);
                    if model.contains_key(&token) {
                        continue;
                    }
                    let cqe = if is_more { more(token) } else { last(token, 3) };
                    assert!(matches!(table.complete(cqe), Completed::Stale));
                    stale += 1;
                }
                Step::Last(_) | Step::More(_) | Step::Late(_) => {}
            }
            assert_eq!(table.len(), model.len());
            assert_eq!(table.stale(), stale);
            let mut listed: Vec<u64> = table.in_flight().map(|(token, _)| token.bits()).collect();
            let mut expected: Vec<u64> = model.keys().map(|token| token.bits()).collect();
            listed.sort_unstable();
            expected.sort_unstable();
            assert_eq!(listed, expected);
        }
        for token in order {
            let (claim, times) = model.remove(&token).expect("it is in flight");
            let completed = table.complete(last(token, 3));
            assert_eq!(finish(claim, completed).0, times);
        }
    }
}

#[test]
fn a_table_that_loses_all_is_empty_and_refuses_what_completes_yet() {
    let mut table = Table::new(8);
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let (claim, charge) = start();
        tokens.push((claim, submit(&mut table, charge, Opcode::READ).expect("there is room")));
    }
    assert!(matches!(table.complete(last(tokens[1].1, 1)), Completed::Last(..)));
    let lost = table.lose_all();
    assert_eq!((lost.len(), table.len()), (2, 0));
    lost.into_iter().for_each(|charge| charge.lose(drop));
    for (_, token) in &tokens {
        assert!(matches!(table.complete(last(*token, 1)), Completed::Stale));
    }
    assert_eq!(table.stale(), 3);
}
