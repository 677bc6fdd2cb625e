//! Addresses and names: which are tried, which are refused, and what the errors say.

use std::io;
use std::net;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use spargio::net::{TcpListener, TcpStream};

use super::{listener, on_shard};

#[test]
fn a_refused_connect_names_the_address() {
    on_shard(async {
        let addr = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = TcpStream::connect(addr).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
    });
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    on_shard(async {
        let refusing = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (listener, addr) = listener().await;
        let stream = TcpStream::connect(vec![refusing, addr]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addr);
        drop(listener);
    });
}

#[test]
fn an_address_in_use_is_named() {
    on_shard(async {
        let (_listener, addr) = listener().await;
        let error = TcpListener::bind(addr).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
    });
}

#[test]
fn two_listeners_share_a_port_if_both_ask_for_it() {
    on_shard(async {
        let options = TcpListener::builder().reuse_port(true).backlog(16);
        let first = options.clone().bind("127.0.0.1:0").await.unwrap();
        options.bind(first.local_addr().unwrap()).await.unwrap();
    });
}

#[test]
fn a_limit_of_no_connection_to_accept_ahead_is_refused() {
    on_shard(async {
        let bound = TcpListener::builder().accept_ahead(0).bind("127.0.0.1:0").await;
        assert_eq!(bound.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_host_name_is_looked_up() {
    on_shard(async {
        let (listener, addr) = listener().await;
        let stream = TcpStream::connect(("localhost", addr.port())).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1, stream.local_addr().unwrap());
        let error = TcpStream::connect("no-such-host.invalid:80").await.unwrap_err();
        assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    });
}

#[test]
fn outside_of_a_runtime_the_error_names_the_form_that_takes_one() {
    let mut bind = pin!(TcpListener::bind("127.0.0.1:0"));
    let Poll::Ready(bound) = bind.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("there is nothing to wait for");
    };
    assert!(bound.unwrap_err().to_string().contains("TcpListener::bind_on"));
}
