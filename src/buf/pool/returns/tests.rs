//! What is put to the list is taken from it, once.

use std::thread;

use super::Returns;

fn taken(returns: &Returns) -> Vec<u16> {
    let mut numbers = Vec::new();
    returns.take(|number| numbers.push(number));
    numbers
}

#[test]
fn what_was_put_there_is_taken_once_the_last_first() {
    let returns = Returns::new(4);
    assert!(returns.is_empty());
    for number in [2, 0, 3] {
        returns.push(number);
    }
    assert!(!returns.is_empty());
    assert_eq!(taken(&returns), [3, 0, 2]);
    assert!(returns.is_empty());
    assert_eq!(taken(&returns), []);
}

#[test]
fn a_number_may_come_back_while_the_others_are_taken() {
    let returns = Returns::new(3);
    returns.push(0);
    returns.push(1);
    let mut numbers = Vec::new();
    returns.take(|number| {
        numbers.push(number);
        if number == 1 {
            returns.push(1);
        }
    });
    assert_eq!(numbers, [1, 0]);
    assert_eq!(taken(&returns), [1]);
}

#[test]
fn many_threads_lose_and_double_no_number() {
    const EACH: u16 = 500;
    const ROUNDS: usize = 20;
    let returns = Returns::new(usize::from(4 * EACH));
    for _ in 0..ROUNDS {
        let mut numbers = thread::scope(|scope| {
            for from in (0..4).map(|thread| thread * EACH) {
                let returns = &returns;
                scope.spawn(move || (from..from + EACH).for_each(|number| returns.push(number)));
            }
            let mut numbers = Vec::new();
            while numbers.len() < usize::from(4 * EACH) {
                returns.take(|number| numbers.push(number));
                thread::yield_now();
            }
            numbers
        });
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..4 * EACH));
    }
}
