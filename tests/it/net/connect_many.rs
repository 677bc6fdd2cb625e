//! Many connections at once: where they belong, and that none is left when one fails.

use std::io;
use std::net::{self, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use spargio::net::{StreamSessionPolicy, TcpListener, TcpStream, UnixListener, UnixStream};
use spargio::{Runtime, ShardId};

use super::{block_on, on_shard, temp_path};
use crate::support::{alone, here, wait_until};

/// A listener of the standard library with room for many.
fn listen() -> (net::TcpListener, SocketAddr) {
    let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn homes(streams: &[TcpStream]) -> Vec<ShardId> {
    streams.iter().map(TcpStream::session_shard).collect()
}

#[test]
fn connections_go_round_all_shards_and_begin_anew_with_each_call() {
    for shards in 1..=5u16 {
        let runtime = Runtime::builder().shards(shards.into()).build().unwrap();
        let handle = runtime.handle();
        let (_listener, addr) = listen();
        let in_turn: Vec<_> = (0..11).map(|turn| ShardId::new(turn % shards)).collect();
        block_on(async {
            for _ in 0..2 {
                let streams = TcpStream::connect_many_round_robin_on(&handle, addr, 11).await;
                assert_eq!(homes(&streams.unwrap()), in_turn);
            }
        });
        // Also where a shard does it, whose ring all of them are connected on.
        let task = handle.spawn_pinned(shards - 1, TcpStream::connect_many_round_robin(addr, 11));
        let streams = block_on(task.unwrap()).unwrap();
        assert_eq!(homes(&streams.unwrap()), in_turn);
    }
}

#[test]
fn the_forms_for_an_address_alone_place_as_the_others_do() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let second = StreamSessionPolicy::Fixed(ShardId::new(1));
    let both = [0, 1].map(ShardId::new);
    block_on(async {
        let listener = TcpListener::bind_socket_addr_on(&handle, any).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let plain = TcpStream::connect_socket_addr_on(&handle, addr).await.unwrap();
        let (_accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, plain.local_addr().unwrap());
        let mut turns = Vec::new();
        for _ in 0..2 {
            let stream = TcpStream::connect_socket_addr_round_robin_on(&handle, addr).await;
            turns.push(stream.unwrap());
        }
        assert_eq!(homes(&turns), both);
        let fixed = TcpStream::connect_socket_addr_with_session_policy_on(&handle, addr, second);
        assert_eq!(fixed.await.unwrap().session_shard(), ShardId::new(1));
        let many = TcpStream::connect_many_socket_addr_round_robin_on(&handle, addr, 2);
        assert_eq!(homes(&many.await.unwrap()), both);
        let many = TcpStream::connect_many_socket_addr_with_session_policy_on;
        assert_eq!(homes(&many(&handle, addr, 2, second).await.unwrap()), [ShardId::new(1); 2]);
        // Without a runtime the forms that need one say so.
        let stray = TcpStream::connect_socket_addr(addr).await.unwrap_err();
        assert!(stray.to_string().contains("TcpStream::connect_on"), "{stray}");
    });
    let task = handle.spawn_pinned(1, async move {
        let listener = TcpListener::bind_socket_addr(any).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let here = StreamSessionPolicy::ContextPreferred;
        let plain = TcpStream::connect_socket_addr(addr).await.unwrap();
        let placed = TcpStream::connect_socket_addr_with_session_policy(addr, here).await.unwrap();
        let turn = TcpStream::connect_socket_addr_round_robin(addr).await.unwrap();
        let some = TcpStream::connect_many_socket_addr_round_robin(addr, 2).await.unwrap();
        let many = TcpStream::connect_many_socket_addr_with_session_policy(addr, 2, here).await;
        let shards = [plain, placed, turn].map(|stream| stream.session_shard());
        (shards, homes(&some), homes(&many.unwrap()))
    });
    let (shards, some, many) = block_on(task.unwrap()).unwrap();
    // Two turns were taken before.
    assert_eq!(shards, [1, 1, 0].map(ShardId::new));
    assert_eq!((&some[..], &many[..]), (&both[..], &[ShardId::new(1); 2][..]));
}

#[test]
fn single_connections_take_turns_together() {
    let runtime = Runtime::builder().shards(3).build().unwrap();
    let handle = runtime.handle();
    let (_listener, addr) = listen();
    block_on(async {
        let mut found = Vec::new();
        for _ in 0..6 {
            found.push(TcpStream::connect_round_robin_on(&handle, addr).await.unwrap());
        }
        assert_eq!(homes(&found), [0, 1, 2, 0, 1, 2].map(ShardId::new));
        let policy = StreamSessionPolicy::RoundRobin;
        for turn in 0..3 {
            let std = net::TcpStream::connect(addr).unwrap();
            let stream = TcpStream::from_std_with_session_policy_on(&handle, std, policy).unwrap();
            assert_eq!(stream.session_shard(), ShardId::new(turn));
        }
    });
}

#[test]
fn policies_say_where_connections_belong_and_unknown_shards_are_errors() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    let (_listener, addr) = listen();
    let fixed = StreamSessionPolicy::Fixed(ShardId::new(1));
    let nowhere = StreamSessionPolicy::Fixed(ShardId::new(2));
    let task = handle.spawn_pinned(1, async move {
        let here = StreamSessionPolicy::ContextPreferred;
        let one = TcpStream::connect_with_session_policy(addr, here).await.unwrap();
        let many = TcpStream::connect_many_with_session_policy(addr, 3, here).await.unwrap();
        (one.session_shard(), homes(&many))
    });
    block_on(async {
        let one = ShardId::new(1);
        assert_eq!(task.unwrap().await.unwrap(), (one, vec![one; 3]));
        let stream = TcpStream::connect_with_session_policy_on(&handle, addr, fixed).await;
        let stream = stream.unwrap();
        assert_eq!(stream.session_shard(), one);
        let found = stream.spawn_stealable_on_session(async { stream_is_here() }).unwrap();
        assert!(found.await.unwrap());
        let many = TcpStream::connect_many_with_session_policy_on(&handle, addr, 5, fixed).await;
        assert_eq!(homes(&many.unwrap()), [one; 5]);
        let least = StreamSessionPolicy::LeastLoaded;
        let many = TcpStream::connect_many_with_session_policy_on(&handle, addr, 4, least).await;
        assert_eq!(many.unwrap().len(), 4);

        let error = TcpStream::connect_with_session_policy_on(&handle, addr, nowhere).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
        let error = TcpStream::connect_many_with_session_policy_on(&handle, addr, 0, nowhere).await;
        assert!(error.unwrap_err().to_string().contains("no shard 2"));
        let std = net::TcpStream::connect(addr).unwrap();
        TcpStream::from_std_with_session_policy_on(&handle, std, nowhere).unwrap_err();

        let path = temp_path();
        let _listener = UnixListener::bind_on(&handle, &path).await.unwrap();
        let stream = UnixStream::connect_with_session_policy_on(&handle, &path, fixed).await;
        assert_eq!(stream.unwrap().session_shard(), one);
        UnixStream::connect_with_session_policy_on(&handle, &path, nowhere).await.unwrap_err();
    });
    let without = [
        block_on(TcpStream::connect_round_robin(addr)).unwrap_err(),
        block_on(TcpStream::connect_with_session_policy(addr, fixed)).unwrap_err(),
        block_on(TcpStream::connect_many_round_robin(addr, 1)).unwrap_err(),
        block_on(TcpStream::connect_many_with_session_policy(addr, 1, fixed)).unwrap_err(),
        block_on(UnixStream::connect_with_session_policy("/", fixed)).unwrap_err(),
    ];
    assert!(without.iter().all(|error| error.to_string().contains("_on`")), "{without:?}");
}

fn stream_is_here() -> bool {
    here().index() < 2
}

#[test]
fn more_than_are_made_at_once_are_all_connected_to_each_other() {
    const COUNT: usize = 200;
    on_shard(async {
        let (listener, addr) = listen();
        let accepting = std::thread::spawn(move || {
            (0..COUNT).map(|_| listener.accept().unwrap().1).collect::<Vec<_>>()
        });
        let streams = TcpStream::connect_many_round_robin(addr, COUNT).await.unwrap();
        let mut ours: Vec<_> = streams.iter().map(|it| it.local_addr().unwrap()).collect();
        let mut theirs = accepting.join().unwrap();
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs);
        assert!(TcpStream::connect_many_round_robin(addr, 0).await.unwrap().is_empty());
    });
}

#[test]
fn nothing_is_left_when_a_connection_fails_or_the_future_is_dropped() {
    let name =
        "net::connect_many::nothing_is_left_when_a_connection_fails_or_the_future_is_dropped";
    alone(name, || {
        let runtime = Runtime::builder().shards(2).build().unwrap();
        let handle = runtime.handle();
        let (listener, addr) = listen();
        let refusing = {
            let (closed, addr) = listen();
            drop(closed);
            addr
        };
        // What the runtime opens once.
        block_on(TcpStream::connect_many_round_robin_on(&handle, addr, 4)).unwrap();
        (0..4).for_each(|_| drop(listener.accept().unwrap()));
        let before = open_fds();
        let is_clean = || open_fds() == before;
        for _ in 0..20 {
            let many = TcpStream::connect_many_round_robin_on(&handle, refusing, 100);
            let error = block_on(many).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            assert!(error.to_string().contains(&refusing.to_string()), "{error}");
        }
        wait_until("all that failed is closed", is_clean);

        // Dropped after any number of polls, here and on a shard.
        let context = &mut Context::from_waker(Waker::noop());
        for polls in 0..20 {
            let mut many = pin!(TcpStream::connect_many_round_robin_on(&handle, addr, 8));
            for _ in 0..polls {
                if let Poll::Ready(streams) = many.as_mut().poll(context) {
                    assert_eq!(streams.unwrap().len(), 8);
                    break;
                }
            }
        }
        for _ in 0..20 {
            let task = handle.spawn_stealable(TcpStream::connect_many_round_robin(addr, 8));
            task.unwrap().abort();
        }
        wait_until("all that was dropped is closed", is_clean);
        listener.set_nonblocking(true).unwrap();
        while listener.accept().is_ok() {}
        let streams = block_on(TcpStream::connect_many_round_robin_on(&handle, addr, 8)).unwrap();
        assert_eq!(open_fds(), before + streams.len());
        drop(streams);
        wait_until("all are closed", is_clean);
    });
}
