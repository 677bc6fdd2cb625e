//! Which shard a connection belongs to, and tasks that stay with it.

use std::collections::HashMap;
use std::io;
use std::net::{self, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_core::Stream as _;
use spargio::net::{StreamSessionPolicy, TcpListener, TcpStream, UnixListener, UnixStream};
use spargio::{Runtime, ShardId};

use super::{block_on, on_shard, poll_once, read_total, temp_path};
use crate::support::{Plug, here};

fn connect(addr: SocketAddr, count: usize) -> Vec<net::TcpStream> {
    (0..count).map(|_| net::TcpStream::connect(addr).unwrap()).collect()
}

#[test]
fn turns_are_uniform_for_every_number_of_shards_and_begin_anew_with_each_listener() {
    for shards in 1..=5u16 {
        let runtime = Runtime::builder().shards(shards.into()).build().unwrap();
        let handle = runtime.handle();
        block_on(async {
            for _ in 0..2 {
                let listener = TcpListener::bind_on(&handle, "127.0.0.1:0").await.unwrap();
                let peers = connect(listener.local_addr().unwrap(), 3 * usize::from(shards));
                let mut found = Vec::new();
                for _ in &peers {
                    let (stream, _) = listener.accept_round_robin().await.unwrap();
                    found.push(stream.session_shard());
                }
                let in_turn = (0..3 * shards).map(|turn| ShardId::new(turn % shards));
                assert_eq!(found, in_turn.collect::<Vec<_>>());
            }
        });
    }
}

#[test]
fn the_least_loaded_shard_gets_the_connections() {
    let runtime = Runtime::builder().shards(3).build().unwrap();
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 0);
    let waiting: Vec<_> = (0..50).map(|_| handle.spawn_pinned(0, async {}).unwrap()).collect();
    block_on(async {
        let home = handle.on(1).unwrap();
        let listener = TcpListener::bind_on(&home, "127.0.0.1:0").await.unwrap();
        assert_eq!(listener.session_shard(), ShardId::new(1));
        let peers = connect(listener.local_addr().unwrap(), 20);
        let mut incoming = listener.incoming().session_policy(StreamSessionPolicy::LeastLoaded);
        let mut found = Vec::new();
        for _ in &peers {
            found.push(incoming.next().await.unwrap().0.session_shard());
        }
        assert!(!found.contains(&ShardId::new(0)), "{found:?}");
        let _more = connect(listener.local_addr().unwrap(), 3);
        let mut in_turn = listener.incoming().session_policy(StreamSessionPolicy::RoundRobin);
        for turn in 0..3 {
            let (stream, _) = in_turn.next().await.unwrap();
            assert_eq!(stream.session_shard(), ShardId::new(turn));
        }
        drop(plug);
        for task in waiting {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_shard_that_is_named_gets_the_connection_and_one_that_is_not_there_is_an_error() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    block_on(async {
        let path = temp_path();
        let listener = UnixListener::bind_on(&handle.on(0).unwrap(), &path).await.unwrap();
        let _peer = UnixStream::connect_on(&handle, &path).await.unwrap();
        let policy = StreamSessionPolicy::Fixed(ShardId::new(2));
        let error = listener.accept_with_session_policy(policy).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("no shard 2"), "{error}");
        // The connection is still there.
        let policy = StreamSessionPolicy::Fixed(ShardId::new(1));
        let (stream, _) = listener.accept_with_session_policy(policy).await.unwrap();
        assert_eq!(stream.session_shard(), ShardId::new(1));
    });
}

#[test]
fn without_a_policy_a_connection_belongs_to_its_listener_and_with_the_default_to_who_accepts() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    let home = handle.on(0).unwrap();
    let listener = block_on(TcpListener::bind_on(&home, "127.0.0.1:0")).unwrap();
    let peers = connect(listener.local_addr().unwrap(), 3);
    let default = StreamSessionPolicy::default();
    let task = handle.spawn_pinned(1, async move {
        let (placed, _) = listener.accept_with_session_policy(default).await.unwrap();
        let (plain, _) = listener.accept().await.unwrap();
        (placed.session_shard(), plain.session_shard(), listener)
    });
    block_on(async {
        let (placed, plain, listener) = task.unwrap().await.unwrap();
        assert_eq!((placed, plain), (ShardId::new(1), ShardId::new(0)));
        let (stream, _) = listener.accept_with_session_policy(default).await.unwrap();
        assert_eq!(stream.session_shard(), ShardId::new(0));
    });
    drop(peers);
}

#[test]
fn a_task_of_a_session_runs_where_the_connection_belongs() {
    let runtime = Runtime::builder().shards(3).build().unwrap();
    let handle = runtime.handle();
    block_on(async {
        let listener = TcpListener::bind_on(&handle, "127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        for turn in 0..6 {
            let client = TcpStream::connect_on(&handle, addr).await.unwrap();
            let (stream, _) = listener.accept_round_robin().await.unwrap();
            let session = stream.clone();
            let task = session.spawn_on_session(async move {
                let got = read_total(&stream, 4).await;
                stream.write_all(got).await.0.unwrap();
                here()
            });
            client.write_all("ping").await.0.unwrap();
            assert_eq!(read_total(&client, 4).await, b"ping");
            assert_eq!(task.unwrap().await.unwrap(), ShardId::new(turn % 3));
        }
        let client = TcpStream::connect_on(&handle, addr).await.unwrap();
        drop(runtime);
        client.spawn_on_session(async {}).unwrap_err();
    });
}

#[test]
fn incoming_connections_are_a_stream_that_loses_none() {
    on_shard(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut peers = HashMap::new();
        for _ in 0..10 {
            let mut incoming = listener.incoming();
            assert!(poll_once(&mut pin!(incoming.next())).await.is_pending());
            for _ in 0..3 {
                let peer = net::TcpStream::connect(addr).unwrap();
                peers.insert(peer.local_addr().unwrap(), peer);
            }
            let (_, peer) = incoming.next().await.unwrap();
            peers.remove(&peer).unwrap();
            // Some have been taken ahead; the next one who asks gets them.
            drop(incoming);
            let mut incoming = listener.incoming();
            let next = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_next(cx)).await;
            let (_, peer) = next.unwrap().unwrap();
            peers.remove(&peer).unwrap();
            drop(incoming);
            let (_, peer) = listener.accept().await.unwrap();
            peers.remove(&peer).unwrap();
        }
        assert!(peers.is_empty());
    });
}

#[test]
fn each_shard_has_a_listener_on_the_same_address() {
    const CLIENTS: usize = 64;
    let runtime = Runtime::builder().shards(3).build().unwrap();
    let handle = runtime.handle();
    block_on(async {
        let options = TcpListener::builder();
        let listeners = options.bind_per_shard_on(&handle, "127.0.0.1:0").await.unwrap();
        let addr = listeners[0].local_addr().unwrap();
        let shards: Vec<_> = listeners.iter().map(TcpListener::session_shard).collect();
        assert_eq!(shards, [0, 1, 2].map(ShardId::new));
        let mut tasks = Vec::new();
        for listener in listeners {
            assert_eq!(listener.local_addr().unwrap(), addr);
            let task = handle.spawn_pinned(listener.session_shard(), async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    assert_eq!(stream.session_shard(), here());
                    stream.write_all("x").await.0.unwrap();
                }
            });
            tasks.push(task.unwrap());
        }
        for _ in 0..CLIENTS {
            let client = TcpStream::connect_on(&handle, addr).await.unwrap();
            assert_eq!(read_total(&client, 1).await, b"x");
        }
        tasks.iter().for_each(|task| task.abort());
    });
    let mut bind = pin!(TcpListener::builder().bind_per_shard("127.0.0.1:0"));
    let Poll::Ready(bound) = bind.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("there is nothing to wait for");
    };
    assert!(bound.unwrap_err().to_string().contains("bind_per_shard_on"));
}
