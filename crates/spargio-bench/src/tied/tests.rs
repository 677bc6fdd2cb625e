//! Tests of values that stay on their thread.

use std::cell::Cell;
use std::panic;
use std::rc::Rc;
use std::thread;

use super::Tied;

#[test]
fn at_home_the_value_is_used_and_dropped() {
    let shared = Rc::new(Cell::new(1));
    let mut tied = Tied::new(Rc::clone(&shared));
    tied.get().set(2);
    assert_eq!(tied.get_mut().get(), 2);
    drop(tied);
    assert_eq!(Rc::strong_count(&shared), 1);
    assert_eq!(Tied::new(Rc::clone(&shared)).into_inner().get(), 2);
}

#[test]
fn elsewhere_it_may_pass_through() {
    let tied = Tied::new(Rc::new(5));
    let tied = thread::spawn(move || tied).join().unwrap();
    assert_eq!(**tied.get(), 5);
}

#[test]
fn elsewhere_using_it_panics() {
    let tied = Tied::new(Cell::new(5));
    let used = thread::spawn(move || {
        panic::catch_unwind(panic::AssertUnwindSafe(|| tied.get().get())).is_err()
    });
    assert!(used.join().unwrap());
}

#[test]
fn elsewhere_dropping_it_panics_and_leaks() {
    let shared = Rc::new(());
    let tied = Tied::new(Rc::clone(&shared));
    assert!(thread::spawn(move || drop(tied)).join().is_err());
    assert_eq!(Rc::strong_count(&shared), 2);
}
