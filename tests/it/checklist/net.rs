//! Sockets.

use std::future::Future;
use std::io::Read as _;
use std::net;
use std::thread;
use std::time::{Duration, Instant};

use spargio::net::{
    Datagram, Family, StreamSessionPolicy, TcpListener, TcpStream, UdpSocket, UnixDatagram,
    UnixListener, UnixStream,
};
use spargio::{Runtime, ShardId, TaskPlacement, timeout};

use super::median_within;
use crate::custody::{connections, open_fds, poll_once};
use crate::support::{alone, elsewhere, here, wait_until, watched};

/// A stream that is dropped with a pending read ends for its peer within 10 ms, on a shard and off.
#[test]
fn c05_drop_sends_fin() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder());
        for on_a_shard in [true, false] {
            median_within(Duration::from_millis(10), "the end of a stream", || {
                let (own, mut peer) = connections(1).remove(0);
                let stream = TcpStream::from_std_on(&runtime.handle(), own).unwrap();
                let pending = async move {
                    let mut read = stream.read(vec![0; 16]);
                    assert!(poll_once(&mut read).await.is_pending());
                    spargio::yield_now().await;
                    drop(read);
                    let began = Instant::now();
                    drop(stream);
                    began
                };
                let began = match on_a_shard {
                    true => elsewhere(runtime.handle().spawn_stealable(pending).unwrap()).unwrap(),
                    false => elsewhere(pending),
                };
                assert_eq!(peer.read(&mut [0; 16]).unwrap(), 0);
                began.elapsed()
            });
        }
    });
}

/// Tasks that are spawned and connections that are accepted in turn use every shard equally, with 1
/// shard and with 9.
#[test]
fn c21_round_robin_is_uniform() {
    const TURNS: usize = 4;
    watched(|watch| {
        for shards in 1..=9 {
            let runtime = watch.build(Runtime::builder().shards(shards));
            let handle = runtime.handle();
            let count = |used: &mut dyn Iterator<Item = ShardId>| {
                let mut counts = vec![0; shards];
                used.for_each(|shard| counts[shard.index()] += 1);
                assert_eq!(counts, vec![TURNS; shards]);
            };
            let spawn = |_| {
                let task = handle.spawn_with_placement(TaskPlacement::RoundRobin, async { here() });
                elsewhere(task.unwrap()).unwrap()
            };
            count(&mut (0..TURNS * shards).map(spawn));

            let listener = elsewhere(TcpListener::bind_on(&handle, "127.0.0.1:0")).unwrap();
            let addr = listener.local_addr().unwrap();
            let connect = || net::TcpStream::connect(addr).unwrap();
            let accept = |_| {
                let _peer = connect();
                elsewhere(listener.accept_round_robin()).unwrap().0.session_shard()
            };
            count(&mut (0..TURNS * shards).map(accept));
            let mut incoming = listener.incoming().session_policy(StreamSessionPolicy::RoundRobin);
            let next = |_| {
                let _peer = connect();
                elsewhere(incoming.next()).unwrap().0.session_shard()
            };
            count(&mut (0..TURNS * shards).map(next));
        }
    });
}

/// Waits for what `send` makes come. Meanwhile the shard sleeps, and for as long as nothing comes.
fn waits_asleep<F>(runtime: &Runtime, receive: F, send: impl FnOnce()) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let total = || runtime.stats_snapshot().total();
    let task = runtime.spawn_on(0, receive).unwrap();
    wait_until("it is in flight", || total().in_flight > 0);
    let sleeps = || (total().parks, total().enters);
    wait_until("the shard sleeps", || {
        let before = sleeps();
        thread::sleep(Duration::from_millis(50));
        sleeps() == before
    });
    let before = sleeps();
    // Nothing is waited for: that nothing happens meanwhile is what is tested.
    thread::sleep(Duration::from_millis(200));
    assert_eq!(sleeps(), before, "somebody looks whether there is something");
    send();
    elsewhere(task).unwrap()
}

/// What both kinds of datagrams promise, of two that are connected to each other.
fn datagrams<F: Family>(runtime: &Runtime, near: Datagram<F>, far: Datagram<F>) {
    let recv = async move {
        let (count, buf) = near.recv(vec![0; 16]).await;
        assert_eq!((count.unwrap(), &buf[..4]), (4, &b"here"[..]));
        near
    };
    let near = waits_asleep(runtime, recv, || {
        assert_eq!(elsewhere(far.send("here")).0.unwrap(), 4);
    });
    // Time is that of the machine, and a datagram that comes after it is still there.
    let late = runtime.spawn_on(0, async move {
        let (began, limit) = (Instant::now(), Duration::from_millis(50));
        timeout(limit, near.recv(vec![0; 16])).await.unwrap_err();
        assert!(began.elapsed() >= limit);
        assert_eq!(far.send("late").await.0.unwrap(), 4);
        assert_eq!(near.recv(vec![0; 16]).await.0.unwrap(), 4);
        (near, far)
    });
    let (near, _far) = elsewhere(late.unwrap()).unwrap();
    // Dropped with a receive in flight.
    let task = runtime.spawn_on(0, async move {
        let mut recv = Box::pin(near.recv(vec![0; 16]));
        assert!(poll_once(&mut recv).await.is_pending());
        spargio::yield_now().await;
    });
    elsewhere(task.unwrap()).unwrap();
}

/// A shard sleeps while sockets of UDP and Unix wait, time is the machine's, and a socket that is
/// dropped leaves no operation and no descriptor. (QUIC endpoints are not there yet.)
#[test]
fn c25_datagrams_on_the_ring() {
    alone("checklist::net::c25_datagrams_on_the_ring", || {
        watched(|watch| {
            let runtime = watch.build(Runtime::builder().shards(1));
            let handle = runtime.handle();
            let before = open_fds();

            let bind = || elsewhere(UdpSocket::bind_on(&handle, "127.0.0.1:0")).unwrap();
            let (near, far) = (bind(), bind());
            elsewhere(near.connect(far.local_addr().unwrap())).unwrap();
            elsewhere(far.connect(near.local_addr().unwrap())).unwrap();
            datagrams(&runtime, near, far);
            let (near, far) = UnixDatagram::pair_on(&handle).unwrap();
            datagrams(&runtime, near, far);

            let path = std::env::temp_dir().join(format!("spargio-c25-{}", std::process::id()));
            let listener = elsewhere(UnixListener::bind_on(&handle, &path)).unwrap();
            let mut client = None;
            let accept = async move { listener.accept().await.unwrap().0 };
            let server = waits_asleep(&runtime, accept, || {
                client = Some(elsewhere(UnixStream::connect_on(&handle, &path)).unwrap());
            });
            let client = client.unwrap();
            let read = async move { client.read(vec![0; 16]).await.0.unwrap() };
            let read = waits_asleep(&runtime, read, || {
                assert_eq!(elsewhere(server.write("here")).0.unwrap(), 4);
            });
            assert_eq!(read, 4);

            drop(server);
            let in_flight = || runtime.stats_snapshot().total().in_flight;
            wait_until("nothing is left", || (open_fds(), in_flight()) == (before, 0));
        });
    });
}
