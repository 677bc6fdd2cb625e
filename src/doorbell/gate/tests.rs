//! Each transition of the gate, one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Gate, Post};

#[test]
fn a_shard_that_is_awake_is_not_rung() {
    let gate = Gate::new();
    assert_eq!(gate.post(), Post::Awake);
    assert!(matches!(gate.post_foreign(), (Post::Awake, None)));
    assert!(!gate.is_parked());
}

#[test]
fn a_shard_that_sleeps_is_rung_once() {
    let gate = Gate::new();
    gate.announce();
    assert!(gate.is_parked());
    assert_eq!(gate.post(), Post::Ring);
    assert!(!gate.is_parked());
    assert_eq!(gate.post(), Post::Coalesced);
    assert!(matches!(gate.post_foreign(), (Post::Coalesced, None)));
    assert!(gate.withdraw(), "it was rung");
}

#[test]
fn a_shard_that_wakes_by_itself_was_not_rung() {
    let gate = Gate::new();
    gate.announce();
    assert!(!gate.withdraw());
    assert_eq!(gate.post(), Post::Awake);
}

#[test]
fn each_sleep_takes_a_ring_of_its_own() {
    let gate = Gate::new();
    for _ in 0..3 {
        gate.announce();
        assert_eq!(gate.post(), Post::Ring);
        assert!(gate.withdraw());
    }
}

#[test]
fn a_foreign_thread_that_rings_holds_the_duty() {
    let gate = Gate::new();
    gate.announce();
    let (post, duty) = gate.post_foreign();
    assert_eq!(post, Post::Ring);
    assert!(duty.is_some());
    drop(duty);
    assert!(gate.withdraw());
    gate.close();
}

#[test]
fn a_closed_gate_is_rung_by_nobody() {
    let gate = Gate::new();
    gate.announce();
    assert!(!gate.is_closed());
    gate.close();
    assert!(gate.is_closed());
    assert_eq!(gate.post(), Post::Awake);
    assert!(matches!(gate.post_foreign(), (Post::Awake, None)));
}

#[test]
fn closing_waits_for_the_foreign_thread_that_rings() {
    let gate = Arc::new(Gate::new());
    gate.announce();
    let (post, duty) = gate.post_foreign();
    assert_eq!(post, Post::Ring);
    let released = Arc::new(AtomicBool::new(false));
    let closer = {
        let (gate, released) = (Arc::clone(&gate), Arc::clone(&released));
        thread::spawn(move || {
            gate.close();
            // What the test asserts: no return from `close` before the duty was released.
            released.load(Ordering::SeqCst)
        })
    };
    while !gate.is_closed() {
        thread::yield_now();
    }
    released.store(true, Ordering::SeqCst);
    drop(duty);
    assert!(closer.join().unwrap());
}
