//! Tests of the lookup of names.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use super::{Job, Lookup, Slot, addresses};
use crate::net::address::sealed::Wanted;
use crate::primitive::{Arc, Mutex};

#[test]
fn known_addresses_are_ready_at_the_first_poll() {
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
    let mut future = pin!(addresses(Ok(Wanted::Known(vec![addr]))));
    let Poll::Ready(found) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing is to be waited for");
    };
    assert_eq!(found.unwrap(), [addr]);
}

#[test]
fn an_empty_list_is_an_error() {
    let mut future = pin!(addresses(Ok(Wanted::Known(Vec::new()))));
    let Poll::Ready(found) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing is to be waited for");
    };
    assert_eq!(found.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_waker_that_panics_does_not_end_the_thread_that_looks_up() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: StdArc<Self>) {
            panic!("a waker of somebody's");
        }
    }
    let slot = Arc::<Mutex<Slot>>::default();
    let job = Job { host: "127.0.0.1".to_owned(), port: 80, slot: Arc::clone(&slot) };
    let mut lookup = pin!(Lookup(slot));
    let waker = Waker::from(StdArc::new(Bad));
    assert!(lookup.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    job.run();
    let Poll::Ready(found) = lookup.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the answer is there");
    };
    assert_eq!(found.unwrap().len(), 1);
}
