//! The list against a map, and what it keeps of memory.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{KEPT, Slab};

proptest! {
    #[test]
    fn it_holds_what_was_inserted_and_not_removed(
        steps in prop::collection::vec(prop::option::weighted(0.45, any::<usize>()), 1..400),
    ) {
        let mut slab = Slab::new();
        let mut model = HashMap::new();
        let mut keys = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Some(choice) if !keys.is_empty() => {
                    let key = keys.swap_remove(choice % keys.len());
                    prop_assert_eq!(slab.remove(key), model.remove(&key.0));
                    prop_assert_eq!(slab.remove(key), None);
                }
                _ => {
                    let key = slab.insert(number);
                    prop_assert_eq!(model.insert(key.0, number), None);
                    keys.push(key);
                }
            }
            prop_assert_eq!(slab.len(), model.len());
            prop_assert_eq!(slab.is_empty(), model.is_empty());
            for key in &keys {
                prop_assert_eq!(slab.get_mut(*key).copied(), model.get(&key.0).copied());
            }
        }
        let (mut held, mut wanted): (Vec<_>, Vec<_>) =
            (slab.into_values().collect(), model.into_values().collect());
        held.sort_unstable();
        wanted.sort_unstable();
        prop_assert_eq!(held, wanted);
    }
}

#[test]
fn memory_goes_back_when_the_last_value_does() {
    let mut slab = Slab::new();
    let keys: Vec<_> = (0..100_000).map(|number| slab.insert(number)).collect();
    assert!(slab.capacity() >= 100_000);
    for key in keys {
        slab.remove(key);
    }
    assert!(slab.capacity() <= KEPT, "{}", slab.capacity());
}

#[test]
fn one_value_after_the_other_takes_the_memory_of_one() {
    let mut slab = Slab::new();
    let stays = slab.insert(0);
    for number in 0..100_000 {
        let key = slab.insert(number);
        assert_eq!(slab.remove(key), Some(number));
    }
    assert!(slab.capacity() <= 8, "{}", slab.capacity());
    assert_eq!(slab.remove(stays), Some(0));
}
