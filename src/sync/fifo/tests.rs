//! The line against one that is searched from end to end.

use std::collections::VecDeque;

use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use super::{Fifo, KEPT, Key};

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Pop,
    CallFirst,
    CallLast,
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::strategy::Just(Step::Push),
        2 => proptest::strategy::Just(Step::Pop),
        1 => proptest::strategy::Just(Step::CallFirst),
        1 => proptest::strategy::Just(Step::CallLast),
        3 => any::<usize>().prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn values_come_in_order_or_by_their_key(
        steps in proptest::collection::vec(step(), 0..200)
    ) {
        let mut fifo = Fifo::new();
        let mut line: VecDeque<u32> = VecDeque::new();
        let mut aside: Vec<u32> = Vec::new();
        let mut keys: Vec<Key> = Vec::new();
        for step in steps {
            match step {
                Step::Push => {
                    let name = u32::try_from(keys.len()).unwrap();
                    keys.push(fifo.push(name));
                    line.push_back(name);
                }
                Step::Pop => assert_eq!(fifo.pop(), line.pop_front()),
                Step::CallFirst => {
                    let called = line.pop_front();
                    assert_eq!(fifo.call_first().copied(), called);
                    aside.extend(called);
                }
                Step::CallLast => {
                    let called = line.pop_back();
                    assert_eq!(fifo.call_last().copied(), called);
                    aside.extend(called);
                }
                Step::Remove(pick) if !keys.is_empty() => {
                    let name = pick % keys.len();
                    let key = keys[name];
                    let name = u32::try_from(name).unwrap();
                    let there = line.contains(&name) || aside.contains(&name);
                    assert_eq!(fifo.get(key).copied(), there.then_some(name));
                    assert_eq!(fifo.get_mut(key).copied(), there.then_some(name));
                    assert_eq!(fifo.remove(key), there.then_some(name));
                    line.retain(|&other| other != name);
                    aside.retain(|&other| other != name);
                }
                Step::Remove(_) => {}
            }
            assert_eq!(fifo.len(), line.len());
            assert_eq!(fifo.is_empty(), line.is_empty());
            assert_eq!(fifo.held, line.len() + aside.len());
        }
    }
}

#[test]
fn memory_is_used_again_and_given_back_when_there_was_much() {
    let mut fifo = Fifo::new();
    for round in 0..1_000 {
        let key = fifo.push(round);
        assert_eq!(fifo.remove(key), Some(round));
        assert_eq!(fifo.remove(key), None, "a key finds one value ever");
    }
    assert_eq!(fifo.nodes.len(), 1);
    for round in 0..=KEPT {
        fifo.push(round);
    }
    while fifo.pop().is_some() {}
    assert_eq!(fifo.nodes.capacity(), 0);
    fifo.push(7);
    assert_eq!(fifo.pop(), Some(7));
}
