//! Calls: a request and its reply, begun together.

use std::hint::spin_loop;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net as unix;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use spargio::Runtime;
use spargio::net::{Family, Stream, UnixStream};

use super::batch::shrink;
use super::{block_on, blocking, on_shard, pair, pattern, poll_once, read_total};

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

/// Calls of 64 bytes each, with at most one entry for the ring and two into the kernel for each:
/// one that submits it, and one that sleeps until the reply.
async fn call_again_and_again<F: Family>(stream: &Stream<F>, counts: impl Fn() -> (u64, u64)) {
    const CALLS: u64 = 10_000;
    // What else the shard does.
    const OTHERS: u64 = CALLS / 20;
    let (mut request, mut reply) = (vec![0; 64], Vec::with_capacity(64));
    let before = counts();
    for number in 0..CALLS {
        request[..8].copy_from_slice(&number.to_ne_bytes());
        let (sent, received) = stream.call(request, reply).await;
        sent.0.unwrap();
        assert_eq!(received.0.unwrap(), 64);
        (request, reply) = (sent.1, received.1);
        assert_eq!(reply, request);
    }
    let after = counts();
    let (sqes, enters) = (after.0 - before.0, after.1 - before.1);
    assert!(sqes <= CALLS + OTHERS, "{sqes} entries for {CALLS} calls");
    assert!(enters <= 2 * CALLS + OTHERS, "{enters} enters for {CALLS} calls");
}

/// 10,000 calls on each family, by a shard that spins for so long before it sleeps, to a peer that
/// thinks for so long before it answers.
fn count_enters(spin: Duration, thought: Duration) {
    let runtime = Runtime::builder().shards(1).spin(spin).build().unwrap();
    let handle = runtime.handle();
    let task = handle.clone().spawn_stealable(async move {
        let counts = || {
            let total = handle.stats_snapshot().total();
            (total.sqes, total.enters)
        };
        let (stream, peer) = pair().await;
        let peer = echo(peer, thought);
        call_again_and_again(&stream, counts).await;
        drop(stream);
        blocking(move || peer.join().unwrap()).await;
        let (stream, peer) = unix_pair();
        let peer = echo(peer, thought);
        call_again_and_again(&stream, counts).await;
        drop(stream);
        blocking(move || peer.join().unwrap()).await;
    });
    runtime.block_on(task.unwrap()).unwrap();
}

#[test]
fn a_call_is_one_entry_for_the_ring_at_most() {
    for spin in [Duration::ZERO, Duration::from_micros(20)] {
        count_enters(spin, Duration::ZERO);
        // The receive is armed by then.
        count_enters(spin, Duration::from_micros(20));
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
        let mut got = [0; 3];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"one");
        peer.write_all(b"reply to one").unwrap();
        // It is taken by a call as by a read, in parts.
        let (sent, received) = stream.call("two", vec![0; 6].into_boxed_slice()).await;
        sent.0.unwrap();
        assert_eq!((received.0.unwrap(), &received.1[..]), (6, &b"reply "[..]));
        assert_eq!(read_total(&stream, 6).await, b"to one");
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"two");
    });
}

#[test]
fn what_came_before_the_request_was_sent_outlives_its_call() {
    on_shard(async {
        let (stream, mut peer) = unix_pair();
        shrink(&stream);
        let call = stream.call(pattern(1 << 20), vec![0; 16].into_boxed_slice());
        let mut call = Box::pin(call);
        assert!(poll_once(&mut call).await.is_pending());
        peer.write_all(b"early").unwrap();
        // The receive ends, and the request goes on.
        for _ in 0..10 {
            spargio::sleep(Duration::from_millis(1)).await;
            assert!(poll_once(&mut call).await.is_pending());
        }
        drop(call);
        let (result, early) = stream.read_exact(Box::new([0; 5])).await;
        result.unwrap();
        assert_eq!(*early, *b"early");
    });
}
