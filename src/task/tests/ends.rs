//! Tasks that are told to end, or whose runtime ends.

use std::future::{pending, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Door, Drops, HERE, Toy, is_canceled, join};
use crate::task::registry::Refusal;
use crate::task::{AbortHandle, spawn};

#[test]
fn an_abort_before_the_first_poll_drops_the_future_unpolled() {
    let toy = Toy::new();
    let drops = Drops::default();
    let polled = Arc::new(AtomicUsize::new(0));
    let mut handle = toy.spawn({
        let (guard, polled) = (drops.guard(), Arc::clone(&polled));
        async move {
            polled.store(1, Ordering::Relaxed);
            drop(guard);
        }
    });
    handle.abort();
    assert!(join(&mut handle).is_none(), "it ends on its shard");
    assert_eq!(toy.run(), 1);
    assert_eq!((polled.load(Ordering::Relaxed), drops.count()), (0, 1));
    assert!(is_canceled(&mut handle));
}

#[test]
fn an_abort_while_a_task_waits_brings_it_to_its_end() {
    let toy = Toy::new();
    let drops = Drops::default();
    let mut handle = toy.spawn({
        let guard = drops.guard();
        async move {
            pending::<()>().await;
            drop(guard);
        }
    });
    toy.run();
    let aborter = handle.abort_handle().expect("the output was not taken");
    assert!(!aborter.is_finished());
    aborter.abort();
    assert_eq!(drops.count(), 0);
    toy.run();
    assert_eq!(drops.count(), 1);
    assert!(aborter.is_finished());
    assert!(is_canceled(&mut handle));
    // Twice, and after the end, is once.
    aborter.abort();
    assert_eq!(toy.queued(), 0);
}

#[test]
fn a_task_may_abort_itself() {
    let toy = Toy::new();
    let slot: Arc<Mutex<Option<AbortHandle>>> = Arc::default();
    let mut handle = toy.spawn({
        let slot = Arc::clone(&slot);
        async move {
            slot.lock().unwrap().take().expect("it was put there").abort();
            pending::<()>().await;
        }
    });
    *slot.lock().unwrap() = handle.abort_handle();
    assert_eq!(toy.run(), 2);
    assert!(is_canceled(&mut handle));
}

#[test]
fn an_abort_does_not_take_the_output_of_a_finished_task() {
    let toy = Toy::new();
    let mut handle = toy.spawn(ready(3));
    toy.run();
    handle.abort();
    assert_eq!(toy.queued(), 0);
    assert_eq!(join(&mut handle).unwrap().unwrap(), 3);
}

#[test]
fn an_abort_handle_does_not_end_the_next_task_in_the_same_place() {
    let toy = Toy::with_limit(1);
    let first = toy.spawn(ready(1));
    let stale = first.abort_handle().expect("the output was not taken");
    toy.run();
    let mut second = toy.spawn(ready(2));
    stale.abort();
    assert!(stale.is_finished());
    toy.run();
    assert_eq!(join(&mut second).unwrap().unwrap(), 2);
}

#[test]
fn there_is_nothing_to_abort_once_the_output_was_taken() {
    let toy = Toy::new();
    let mut handle = toy.spawn(ready(3));
    toy.run();
    assert!(join(&mut handle).unwrap().is_ok());
    assert!(handle.abort_handle().is_none());
    assert!(handle.is_finished());
    handle.abort();
}

#[test]
fn aborting_all_ends_those_that_wait_and_those_that_are_queued() {
    let toy = Toy::new();
    let drops = Drops::default();
    let mut handles: Vec<_> = (0..4)
        .map(|_| {
            let guard = drops.guard();
            toy.spawn(async move {
                pending::<()>().await;
                drop(guard);
            })
        })
        .collect();
    // Two of them have been polled and wait.
    for _ in 0..2 {
        toy.pop().expect("four are queued").run();
    }
    toy.registry.abort_all();
    toy.run();
    assert_eq!((drops.count(), toy.registry.len()), (4, 0));
    assert!(handles.iter_mut().all(is_canceled));
    let refused = spawn(toy.scheduler(), HERE, ready(())).err().map(|(refusal, _)| refusal);
    assert_eq!(refused, Some(Refusal::Closed), "after the end of all none begins");
}

#[test]
fn the_handle_of_a_task_that_is_thrown_away_resolves() {
    let toy = Toy::new();
    let drops = Drops::default();
    let mut handle = toy.spawn({
        let guard = drops.guard();
        async move { drop(guard) }
    });
    assert!(join(&mut handle).is_none());
    drop(toy.pop().expect("it was queued"));
    assert_eq!((drops.count(), toy.registry.len()), (1, 0));
    assert!(handle.is_finished());
    assert!(is_canceled(&mut handle));
}

#[test]
fn the_handle_of_a_waiting_task_that_is_thrown_away_when_woken_resolves() {
    let toy = Toy::new();
    let door = Door::default();
    let mut handle = toy.spawn(door.clone());
    toy.run();
    door.open();
    drop(toy.pop().expect("it was woken"));
    assert!(is_canceled(&mut handle));
}

#[test]
fn an_aborted_task_may_spawn_and_wake_in_its_destructor() {
    struct Spawns(Arc<Toy>, Door);
    impl Drop for Spawns {
        fn drop(&mut self) {
            // The lock of the registry must not be held here.
            drop(self.0.spawn(ready(())));
            self.1.open();
        }
    }
    let toy = Toy::new();
    let door = Door::default();
    let mut other = toy.spawn(door.clone());
    let mut handle = toy.spawn({
        let guard = Spawns(Arc::clone(&toy), door);
        async move {
            pending::<()>().await;
            drop(guard);
        }
    });
    toy.run();
    handle.abort();
    toy.run();
    assert!(is_canceled(&mut handle));
    assert!(join(&mut other).unwrap().is_ok());
    assert_eq!(toy.registry.len(), 0);
}

#[test]
fn an_abort_from_another_thread_reaches_the_task() {
    let toy = Toy::new();
    let mut handle = toy.spawn(pending::<()>());
    toy.run();
    let aborter = handle.abort_handle().expect("the output was not taken");
    thread::spawn(move || aborter.abort()).join().unwrap();
    assert_eq!(toy.run(), 1);
    assert!(is_canceled(&mut handle));
}
