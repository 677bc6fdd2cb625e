//! Tests of the lookup of names.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::addresses;
use crate::net::address::sealed::Wanted;

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
