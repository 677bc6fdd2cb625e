//! Panics of a future, of its destructor, and of what it leaves behind: none reaches the shard.

use std::future::{Future, pending, poll_fn, ready};
use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Drops, Toy, is_canceled, join};
use crate::error::JoinError;
use crate::task::JoinHandle;

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic::panic_any(self.0);
    }
}

fn message<T>(handle: &mut JoinHandle<T>) -> String {
    match join(handle).expect("the task has ended") {
        Err(error) => error.panic_message().unwrap_or("no text").to_owned(),
        Ok(_) => "no panic".to_owned(),
    }
}

#[test]
fn a_panic_is_the_output_of_its_task() {
    let toy = Toy::new();
    let mut text = toy.spawn(async { panic!("a text") });
    let mut formatted = toy.spawn(async { panic!("number {}", 5) });
    let mut other = toy.spawn(async { panic::panic_any(17_u8) });
    let mut well = toy.spawn(ready(1));
    assert_eq!(toy.run(), 4);
    assert_eq!(message::<()>(&mut text), "a text");
    assert_eq!(message::<()>(&mut formatted), "number 5");
    let error: JoinError = join::<()>(&mut other).unwrap().unwrap_err();
    assert!(error.is_panic() && !error.is_canceled());
    assert_eq!(error.to_string(), "the task panicked");
    assert_eq!(*error.try_into_panic().unwrap().downcast::<u8>().unwrap(), 17);
    assert_eq!(join(&mut well).unwrap().unwrap(), 1, "the others go on");
    assert_eq!(toy.registry.len(), 0);
}

#[test]
fn a_task_that_panicked_drops_what_it_had() {
    let toy = Toy::new();
    let drops = Drops::default();
    let mut handle = toy.spawn({
        let guard = drops.guard();
        async move {
            let _guard = guard;
            panic!("with a guard")
        }
    });
    toy.run();
    assert_eq!(drops.count(), 1);
    assert_eq!(message::<()>(&mut handle), "with a guard");
}

#[test]
fn a_panic_of_an_aborted_futures_destructor_is_its_output() {
    let toy = Toy::new();
    let mut handle = toy.spawn({
        let bomb = Bomb("while it was aborted");
        async move {
            pending::<()>().await;
            drop(bomb);
        }
    });
    toy.run();
    handle.abort();
    toy.run();
    assert_eq!(message(&mut handle), "while it was aborted");
}

#[test]
fn a_panic_of_a_finished_futures_destructor_is_its_output() {
    /// Is ready at once and panics when it is dropped.
    struct ReadyBomb(#[expect(dead_code, reason = "it is there to be dropped")] Bomb);
    impl Future for ReadyBomb {
        type Output = Bomb;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Bomb> {
            Poll::Ready(Bomb("of the output"))
        }
    }
    let toy = Toy::new();
    let mut handle = toy.spawn(ReadyBomb(Bomb("of the future")));
    toy.run();
    assert_eq!(message(&mut handle), "of the future");
}

#[test]
fn the_first_of_two_panics_is_the_output() {
    /// Panics when it is polled and when it is dropped.
    struct Twice;
    impl Future for Twice {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            panic!("the first")
        }
    }
    impl Drop for Twice {
        fn drop(&mut self) {
            // A payload that panics again when it is dropped.
            panic::panic_any(Bomb("the third"));
        }
    }
    let toy = Toy::new();
    let mut handle = toy.spawn(Twice);
    toy.run();
    assert_eq!(message(&mut handle), "the first");
}

#[test]
fn a_panic_of_a_destructor_stays_in_a_task_that_is_thrown_away() {
    let toy = Toy::new();
    let mut handle = toy.spawn({
        let bomb = Bomb("thrown away");
        async move { drop(bomb) }
    });
    drop(toy.pop().expect("it was queued"));
    assert!(is_canceled(&mut handle));
    assert_eq!(toy.registry.len(), 0);
}

#[test]
fn a_panic_of_an_output_that_nobody_takes_ends_nothing_else() {
    let toy = Toy::new();
    drop(toy.spawn(async { Bomb("an output") }));
    drop(toy.spawn(poll_fn(|_| -> Poll<()> { panic::panic_any(Bomb("a payload")) })));
    assert_eq!(toy.run(), 2);
    // And one whose handle is dropped after the end.
    let handle = toy.spawn(async { Bomb("a late output") });
    toy.run();
    drop(handle);
    assert_eq!(Arc::strong_count(&toy), 1);
}

#[test]
fn errors_tell_canceled_from_panicked() {
    let canceled = JoinError::Canceled;
    assert!(canceled.is_canceled() && !canceled.is_panic());
    assert_eq!(canceled.to_string(), "the task was canceled");
    assert_eq!(canceled.panic_message(), None);
    assert!(canceled.try_into_panic().is_err());
    let error = std::io::Error::from(JoinError::Canceled);
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    let error = std::io::Error::from(JoinError::Panicked(Box::new("it fell")));
    assert_eq!(error.kind(), std::io::ErrorKind::Other);
    assert_eq!(error.to_string(), "the task panicked: it fell");
}
