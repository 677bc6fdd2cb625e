//! Accepting: no connection is lost, everybody is served, and what a closed listener leaves.

use std::collections::HashSet;
use std::io::{self, Read as _, Write as _};
use std::net;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;

use spargio::net::TcpListener;

use super::{
    PATIENCE, Tell, blocking, listener, on_shard, on_shards, poll_once, read_total, until_woken,
};

#[test]
fn a_dropped_accept_leaves_the_connection_to_the_next() {
    on_shard(async {
        let (listener, addr) = listener().await;
        let mut pending = listener.accept();
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        let peer = net::TcpStream::connect(addr).unwrap();
        let (_, peer_addr) = listener.accept().await.unwrap();
        assert_eq!(peer_addr, peer.local_addr().unwrap());

        let mut pending = listener.accept();
        let mut peer = None;
        until_woken(&mut pending, || peer = Some(net::TcpStream::connect(addr).unwrap())).await;
        drop(pending);
        let (_, peer_addr) = listener.accept().await.unwrap();
        assert_eq!(peer_addr, peer.unwrap().local_addr().unwrap());
    });
}

#[test]
fn an_accept_dropped_after_it_was_woken_wakes_the_next_in_line() {
    on_shard(async {
        let (listener, addr) = listener().await;
        let mut first = listener.accept();
        let mut second = Box::pin(listener.accept());
        // The waker of the second is another task's.
        let (woken, is_woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Tell(woken)));
        let mut peer = None;
        until_woken(&mut first, || {
            let polled = second.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            peer = Some(net::TcpStream::connect(addr).unwrap());
        })
        .await;
        assert!(is_woken.try_recv().is_err(), "one connection wakes one waiter");
        drop(first);
        is_woken.try_recv().unwrap();
        let (_, peer_addr) = second.await.unwrap();
        assert_eq!(peer_addr, peer.unwrap().local_addr().unwrap());
    });
}

#[test]
fn connections_beyond_the_limit_of_accepting_ahead_are_all_accepted() {
    const CLIENTS: u32 = 100;
    on_shard(async {
        let options = TcpListener::builder().accept_ahead(2);
        let listener = options.bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        for _ in 0..3 {
            // From the first accept on, connections are taken ahead.
            let mut pending = listener.accept();
            assert!(poll_once(&mut pending).await.is_pending());
            drop(pending);
            let peers = blocking(move || {
                let connect = |number: u32| {
                    let mut peer = net::TcpStream::connect(addr).unwrap();
                    peer.write_all(&number.to_le_bytes()).unwrap();
                    peer
                };
                (0..CLIENTS).map(connect).collect::<Vec<_>>()
            })
            .await;
            let mut numbers = HashSet::new();
            for _ in 0..CLIENTS {
                let (stream, _) = listener.accept().await.unwrap();
                let number = read_total(&stream, 4).await;
                numbers.insert(u32::from_le_bytes(number.try_into().unwrap()));
            }
            assert_eq!(numbers.len(), CLIENTS as usize);
            drop(peers);
        }
    });
}

#[test]
fn many_accepters_are_all_served() {
    const TASKS: usize = 8;
    const EACH: usize = 16;
    on_shards(2, async {
        let (listener, addr) = listener().await;
        let mut tasks = Vec::new();
        for _ in 0..TASKS {
            let listener = listener.clone();
            let task = spargio::spawn(async move {
                for _ in 0..EACH {
                    let (stream, _) = listener.accept().await.unwrap();
                    let got = read_total(&stream, 1).await;
                    stream.write_all(got).await.0.unwrap();
                }
            });
            tasks.push(task.unwrap());
        }
        let clients: Vec<_> = (0..TASKS * EACH)
            .map(|number| {
                thread::spawn(move || {
                    let mut peer = net::TcpStream::connect(addr).unwrap();
                    peer.write_all(&[number as u8]).unwrap();
                    let mut answer = [0];
                    peer.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, [number as u8]);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        blocking(move || clients.into_iter().for_each(|client| client.join().unwrap())).await;
    });
}

#[test]
fn a_dropped_listener_closes_what_nobody_accepted() {
    on_shard(async {
        let (listener, addr) = listener().await;
        let mut pending = listener.accept();
        let mut peer = None;
        until_woken(&mut pending, || peer = Some(net::TcpStream::connect(addr).unwrap())).await;
        drop(pending);
        drop(listener);
        let mut peer = peer.unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let ended = blocking(move || peer.read(&mut [0; 16])).await;
        // A reset would say as much.
        assert!(ended.is_ok_and(|read| read == 0));
    });
}

#[test]
fn a_closed_listener_gives_its_address_back() {
    on_shard(async {
        let (mut listener, addr) = listener().await;
        for _ in 0..10 {
            let mut pending = listener.accept();
            assert!(poll_once(&mut pending).await.is_pending());
            drop(pending);
            listener.close().await;
            assert_eq!(
                net::TcpStream::connect(addr).unwrap_err().kind(),
                io::ErrorKind::ConnectionRefused
            );
            listener = TcpListener::bind(addr).await.unwrap();
        }
    });
}
