//! Calls: a request and its reply, begun together.

use std::hint::spin_loop;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net as unix;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use spargio::Runtime;
use spargio::net::{Family, Stream, UnixStream};

use super::batch::shrink;
use super::{block_on, blocking, on_shard, pair, pattern, poll_once, read_total};
use crate::support::{Event, asleep, elsewhere, wait_until, watched};

fn unix_pair() -> (UnixStream, unix::UnixStream) {
    let (own, peer) = unix::UnixStream::pair().unwrap();
    (UnixStream::from_std(own).unwrap(), peer)
}

/// Gives back what comes, until the end, and thinks for so long before.
fn echo(mut peer: impl Read + Write + Send + 'static, thought: Duration) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut piece = [0; 4096];
        loop {
            let count = peer.read(&mut piece).unwrap();
            if count == 0 {
                return;
            }
            let came = Instant::now();
            while came.elapsed() < thought {
                spin_loop();
            }
            peer.write_all(&piece[..count]).unwrap();
        }
    })
}

/// What a shard has done: entries for the ring, entries into the kernel, direct calls that did
/// something.
#[derive(Clone, Copy, Debug)]
struct Counts {
    sqes: u64,
    enters: u64,
    direct: u64,
}

const CALLS: u64 = 10_000;
/// What else the shard does.
const OTHERS: u64 = CALLS / 20;

/// Calls of 64 bytes each.
async fn call_again_and_again<F: Family>(stream: &Stream<F>) {
    let (mut request, mut reply) = (vec![0; 64], Vec::with_capacity(64));
    for number in 0..CALLS {
        request[..8].copy_from_slice(&number.to_ne_bytes());
        let (sent, received) = stream.call(request, reply).await;
        sent.0.unwrap();
        assert_eq!(received.0.unwrap(), 64);
        (request, reply) = (sent.1, received.1);
        assert_eq!(reply, request);
    }
}

/// The same by a write and a read.
async fn write_and_read_again_and_again<F: Family>(stream: &Stream<F>) {
    let (mut request, mut reply) = (vec![0; 64], Vec::with_capacity(64));
    for number in 0..CALLS {
        request[..8].copy_from_slice(&number.to_ne_bytes());
        let (sent, came);
        (sent, request) = stream.write_all(request).await;
        sent.unwrap();
        reply.clear();
        (came, reply) = stream.read(reply).await;
        assert_eq!(came.unwrap(), 64);
        assert_eq!(reply, request);
    }
}

/// What a shard that spins for so long before it sleeps does for 10,000 requests, each kind, to a
/// peer that thinks for so long before it answers: of calls on each family, and of a write and a
/// read each.
fn count(spin: Duration, thought: Duration) -> [Counts; 3] {
    let runtime = Runtime::builder().shards(1).spin(spin).build().unwrap();
    let handle = runtime.handle();
    let task = handle.clone().spawn_stealable(async move {
        let counts = || {
            let total = handle.stats_snapshot().total();
            Counts { sqes: total.sqes, enters: total.enters, direct: total.inline_completions }
        };
        let since = |before: Counts| {
            let now = counts();
            let (sqes, enters) = (now.sqes - before.sqes, now.enters - before.enters);
            Counts { sqes, enters, direct: now.direct - before.direct }
        };
        let (stream, peer) = pair().await;
        let peer = echo(peer, thought);
        let before = counts();
        call_again_and_again(&stream).await;
        let tcp = since(before);
        let before = counts();
        write_and_read_again_and_again(&stream).await;
        let apart = since(before);
        drop(stream);
        blocking(move || peer.join().unwrap()).await;
        let (stream, peer) = unix_pair();
        let peer = echo(peer, thought);
        let before = counts();
        call_again_and_again(&stream).await;
        let unix = since(before);
        drop(stream);
        blocking(move || peer.join().unwrap()).await;
        [tcp, unix, apart]
    });
    runtime.block_on(task.unwrap()).unwrap()
}

#[test]
fn a_call_is_one_system_call_for_a_shard_that_sleeps() {
    // The second: the receive is armed by then.
    for thought in [Duration::ZERO, Duration::from_micros(20)] {
        let [tcp, unix, apart] = count(Duration::ZERO, thought);
        for counts in [tcp, unix] {
            assert!(counts.enters + counts.direct <= CALLS + OTHERS, "{counts:?}");
            assert!(counts.sqes <= 2 * CALLS + OTHERS, "{counts:?}");
        }
        // A direct send, and a receive: a direct one, or submitted by the call that sleeps.
        assert!(apart.enters + apart.direct <= 2 * CALLS + OTHERS, "{apart:?}");
        assert!(apart.sqes <= CALLS + OTHERS, "{apart:?}");
    }
}

#[test]
fn a_call_is_two_system_calls_for_a_shard_that_spins() {
    for thought in [Duration::ZERO, Duration::from_micros(20)] {
        let [tcp, unix, _] = count(Duration::from_micros(20), thought);
        for counts in [tcp, unix] {
            assert!(counts.enters + counts.direct <= 2 * CALLS + OTHERS, "{counts:?}");
        }
    }
}

/// The peer reads all of a long request before it answers.
async fn call_with_much<F: Family>(
    stream: &Stream<F>,
    mut peer: impl Read + Write + Send + 'static,
) {
    const LEN: usize = 1 << 20;
    let server = thread::spawn(move || {
        let mut request = vec![0; LEN];
        peer.read_exact(&mut request).unwrap();
        peer.write_all(b"thanks").unwrap();
        (request, peer)
    });
    let (sent, received) = stream.call(pattern(LEN), vec![0; 6].into_boxed_slice()).await;
    sent.0.unwrap();
    assert_eq!((received.0.unwrap(), &received.1[..]), (6, &b"thanks"[..]));
    let (request, _peer) = blocking(move || server.join().unwrap()).await;
    assert!(request == pattern(LEN), "the request came changed");
    assert!(sent.1 == request, "the request came back changed");
}

#[test]
fn a_request_that_does_not_fit_is_sent_to_its_end() {
    on_shard(async {
        let (stream, peer) = pair().await;
        shrink(&stream);
        shrink(&peer);
        call_with_much(&stream, peer).await;
        let (stream, peer) = unix_pair();
        shrink(&stream);
        call_with_much(&stream, peer).await;
    });
}

#[test]
fn a_reply_of_no_size_is_not_waited_for() {
    on_shard(async {
        let (stream, mut peer) = unix_pair();
        let (sent, received) = stream.call("ping", Vec::new()).await;
        sent.0.unwrap();
        assert_eq!((received.0.unwrap(), received.1.len()), (0, 0));
        let mut got = [0; 4];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"ping");
    });
}

/// A stream that cannot send, and whose peer may yet.
fn mute_pair() -> (unix::UnixStream, unix::UnixStream) {
    let (own, peer) = unix::UnixStream::pair().unwrap();
    peer.shutdown(Shutdown::Read).unwrap();
    (own, peer)
}

#[test]
fn both_buffers_come_back_when_the_request_fails() {
    on_shard(async {
        let (own, mut peer) = mute_pair();
        let stream = UnixStream::from_std(own).unwrap();
        let (sent, received) = stream.call("ping", vec![7; 16].into_boxed_slice()).await;
        assert_eq!(sent.0.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(sent.1, "ping");
        assert_eq!(received.0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(&received.1[..], &[7; 16]);
        // The stream reads as before.
        peer.write_all(b"late").unwrap();
        assert_eq!(stream.read(Vec::with_capacity(16)).await.1, b"late");
    });
}

#[test]
fn a_request_that_fails_while_it_waits_for_room_ends_the_receive() {
    on_shard(async {
        let (stream, peer) = unix_pair();
        shrink(&stream);
        let call = stream.call(pattern(1 << 20), vec![7; 16].into_boxed_slice());
        let mut call = Box::pin(call);
        assert!(poll_once(&mut call).await.is_pending());
        peer.shutdown(Shutdown::Read).unwrap();
        let (sent, received) = call.await;
        assert_eq!(sent.0.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(sent.1 == pattern(1 << 20));
        assert_eq!(received.0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(&received.1[..], &[7; 16]);
    });
}

#[test]
fn calls_of_another_executor_go_to_the_shard() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    let (own, peer) = unix::UnixStream::pair().unwrap();
    let peer = echo(peer, Duration::ZERO);
    let stream = UnixStream::from_std_on(&handle, own).unwrap();
    for _ in 0..100 {
        let (sent, received) = block_on(stream.call("ping", Vec::with_capacity(16)));
        sent.0.unwrap();
        assert_eq!((received.0.unwrap(), &received.1[..]), (4, &b"ping"[..]));
    }
    drop(stream);
    peer.join().unwrap();
    for _ in 0..100 {
        let (own, _peer) = mute_pair();
        let stream = UnixStream::from_std_on(&handle, own).unwrap();
        let (sent, received) = block_on(stream.call("ping", Vec::with_capacity(16)));
        assert_eq!(sent.0.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(received.0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        assert_eq!((sent.1, received.1.len()), ("ping", 0));
    }
}

#[test]
fn the_reply_of_a_dropped_call_is_read_by_the_next() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut call = Box::pin(stream.call("one", Vec::with_capacity(16)));
        assert!(poll_once(&mut call).await.is_pending());
        drop(call);
        // The request may have been left to the ring.
        let mut peer = blocking(move || {
            let mut got = [0; 3];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"one");
            peer.write_all(b"reply to one").unwrap();
            peer
        })
        .await;
        // It is taken by a call as by a read, in parts.
        let (sent, received) = stream.call("two", vec![0; 6].into_boxed_slice()).await;
        sent.0.unwrap();
        assert_eq!((received.0.unwrap(), &received.1[..]), (6, &b"reply "[..]));
        assert_eq!(read_total(&stream, 6).await, b"to one");
        let mut got = [0; 3];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"two");
    });
}

#[test]
fn what_came_before_the_request_was_sent_outlives_its_call() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let handle = runtime.handle();
        let (own, mut peer) = unix::UnixStream::pair().unwrap();
        let stream = UnixStream::from_std_on(&handle, own).unwrap();
        shrink(&stream);
        let stream = Arc::new(stream);
        let in_flight = || runtime.stats_snapshot().total().in_flight;
        let both = Arc::clone(&stream);
        let call = handle.spawn_pinned(0, async move {
            both.call(pattern(1 << 20), vec![0; 16].into_boxed_slice()).await.0.0
        });
        let call = call.unwrap();
        wait_until("the call has begun", || in_flight() > 0);
        // What there was room for has gone, and the rest waits for more.
        asleep(&handle, 0);
        assert_eq!(in_flight(), 2, "a send and a receive");
        peer.write_all(b"early").unwrap();
        wait_until("the receive has ended", || in_flight() == 1);
        asleep(&handle, 0);
        assert!(!call.is_finished(), "the request goes on");
        call.abort();
        elsewhere(call).unwrap_err();
        let read = async move { stream.read_exact(Box::new([0; 5])).await };
        let (result, early) = elsewhere(handle.spawn_pinned(0, read).unwrap()).unwrap();
        result.unwrap();
        assert_eq!(*early, *b"early");
    });
}

#[test]
fn a_request_is_sent_before_the_next_task_is_polled() {
    watched(|watch| {
        for spin in [Duration::ZERO, Duration::from_micros(20)] {
            let runtime = watch.build(Runtime::builder().shards(1).spin(spin));
            let handle = runtime.handle();
            let (own, mut peer) = unix::UnixStream::pair().unwrap();
            peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut stream = UnixStream::from_std_on(&handle, own).unwrap();
            for _ in 0..20 {
                let begun = Event::default();
                let begin = begun.clone();
                let serve = handle.spawn_pinned(0, async move {
                    begun.wait().await;
                    let mut request = [0; 4];
                    peer.read_exact(&mut request).expect("the request is here");
                    assert_eq!(&request, b"ping");
                    peer.write_all(b"pong").unwrap();
                    peer
                });
                let serve = serve.unwrap();
                wait_until("the peer waits", || begin.waiting() == 1);
                asleep(&handle, 0);
                let call = handle.spawn_pinned(0, async move {
                    let mut call = Box::pin(stream.call("ping", Vec::with_capacity(4)));
                    assert!(poll_once(&mut call).await.is_pending());
                    begin.set();
                    let (sent, received) = call.await;
                    sent.0.unwrap();
                    received.0.unwrap();
                    (stream, received.1)
                });
                let reply;
                peer = elsewhere(serve).unwrap();
                (stream, reply) = elsewhere(call.unwrap()).unwrap();
                assert_eq!(reply, b"pong");
            }
            let total = runtime.stats_snapshot().total();
            assert_eq!(total.inline_completions, 0, "requests go to the ring");
        }
    });
}
