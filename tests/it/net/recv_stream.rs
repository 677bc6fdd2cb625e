//! Streams of received buffers: no byte is lost, doubled or misplaced, no buffer is lost, and
//! nobody waits for a buffer that somebody else holds.

use std::future::Future;
pub(crate) mod buffers;

use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream as StdStream};
use std::os::fd::AsRawFd;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use spargio::io::AsyncWrite;
use spargio::net::{RecvBuf, RecvStream, TcpStream, UnixStream};
use spargio::{Runtime, RuntimeBuilder, RuntimeHandle};

use super::{pair, pattern, poll_once, read, read_total, until_woken, yield_now};
use crate::support::{elsewhere, wait_until, watched};

/// A pool so small that everything runs out of buffers.
pub(super) fn small(shards: usize) -> RuntimeBuilder {
    Runtime::builder().shards(shards).recv_buffer_size(256).recv_buffers(4, 4)
}

pub(super) fn leased(handle: &RuntimeHandle) -> u64 {
    handle.stats_snapshot().total().recv_buffers_leased
}

/// Runs the future as a task, and sees to it that every buffer comes back.
#[track_caller]
pub(super) fn with<F>(
    builder: RuntimeBuilder,
    future: impl FnOnce(RuntimeHandle) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    watched(move |watch| {
        let runtime = watch.build(builder);
        let handle = runtime.handle();
        let task = handle.spawn_stealable(future(handle.clone())).unwrap();
        elsewhere(task).unwrap();
        wait_until("all buffers are back", || leased(&handle) == 0);
        let report = runtime.shutdown_timeout(crate::support::SOON);
        assert_eq!((report.operations_leaked, report.shards_stuck), (0, 0), "{report}");
        assert_eq!(leased(&handle), 0);
    });
}

/// Every runtime that a test is to hold for: with buffers enough, with few, and with none.
#[track_caller]
pub(super) fn with_each<F>(future: impl FnOnce(RuntimeHandle) -> F + Send + Clone + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    with(Runtime::builder().shards(1), future.clone());
    with(small(1), future.clone());
    with(small(2), future.clone());
    with(Runtime::builder().shards(1).recv_buffers(0, 0), future);
}

async fn next(stream: &mut RecvStream) -> RecvBuf {
    stream.next().await.expect("not the end").unwrap()
}

/// Receives until the end.
async fn drain(stream: &mut RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.unwrap();
        assert!(!bytes.is_empty());
        all.extend_from_slice(&bytes);
    }
    all
}

/// Writes the pattern on a thread, in pieces of many sizes, and ends.
fn write_pattern(mut peer: StdStream, len: usize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let all = pattern(len);
        let (mut rest, mut size) = (&all[..], 1);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            peer.write_all(piece).unwrap();
            rest = after;
            size = size * 3 % 40_009 + 1;
        }
        peer.shutdown(Shutdown::Write).unwrap();
    })
}

/// What the peer does is done when the future returns, and the shard is not held up by it.
async fn join(thread: thread::JoinHandle<()>) {
    while !thread.is_finished() {
        spargio::sleep(Duration::from_millis(1)).await;
    }
    thread.join().unwrap();
}

/// Ends the connection without a farewell.
fn reset(peer: StdStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the option is read from a live value of its size.
    let set = unsafe {
        let option = (&raw const linger).cast();
        libc::setsockopt(peer.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, option, size)
    };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

#[test]
fn all_bytes_come_in_order_and_then_the_end() {
    const LEN: usize = 1 << 20;
    with_each(|_| async {
        let (stream, peer) = pair().await;
        let writer = write_pattern(peer, LEN);
        let mut incoming = stream.recv_stream();
        assert!(drain(&mut incoming).await == pattern(LEN));
        assert!(incoming.next().await.is_none());
        join(writer).await;
    });
}

#[test]
fn a_slow_reader_gets_all_bytes_and_takes_a_bounded_number_of_buffers() {
    const LEN: usize = 3 << 20;
    with(Runtime::builder().shards(1), |handle| async move {
        let (stream, peer) = pair().await;
        let writer = write_pattern(peer, LEN);
        let mut incoming = stream.recv_stream().limit(4);
        let (mut all, mut most) = (Vec::new(), 0);
        while let Some(bytes) = incoming.next().await {
            most = most.max(leased(&handle));
            all.extend_from_slice(&bytes.unwrap());
            if all.len() % 7 == 0 {
                spargio::sleep(Duration::from_micros(300)).await;
            }
        }
        assert!(all == pattern(LEN));
        // The limit, and what the kernel fills before it hears of it.
        assert!(most <= 4 + 2 * 32, "{most} buffers for a reader who takes 4");
        join(writer).await;
    });
}

#[test]
fn a_reader_who_takes_nothing_does_not_go_on_receiving() {
    with(Runtime::builder().shards(1), |handle| async move {
        let (stream, mut peer) = pair().await;
        let mut incoming = stream.recv_stream().limit(2);
        until_woken(&mut Box::pin(incoming.next()), || peer.write_all(b"0").unwrap()).await;
        let writer = thread::spawn(move || {
            for at in 1..1000 {
                peer.write_all(format!(" {at}").as_bytes()).unwrap();
                if at < 200 {
                    thread::sleep(Duration::from_micros(100));
                }
            }
        });
        join(writer).await;
        spargio::sleep(Duration::from_millis(5)).await;
        let held = leased(&handle);
        assert!((2..=2 + 2 * 32).contains(&held), "{held} buffers for a reader who takes 2");
        let all = String::from_utf8(drain(&mut incoming).await).unwrap();
        let expected: Vec<String> = (0..1000).map(|at| at.to_string()).collect();
        assert_eq!(all, expected.join(" "));
    });
}

#[test]
fn a_stream_dropped_at_any_stage_leaves_its_bytes_to_the_next_reader() {
    with_each(|_| async {
        // Never polled.
        let (stream, mut peer) = pair().await;
        drop(stream.recv_stream());
        peer.write_all(b"one").unwrap();
        assert_eq!(read_total(&stream, 3).await, b"one");
        // Armed.
        let mut incoming = stream.recv_stream();
        assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
        drop(incoming);
        peer.write_all(b"two").unwrap();
        assert_eq!(read_total(&stream, 3).await, b"two");
        // Armed, and a turn of the shard later.
        let mut incoming = stream.recv_stream();
        assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
        yield_now().await;
        drop(incoming);
        peer.write_all(b"three").unwrap();
        assert_eq!(read_total(&stream, 5).await, b"three");
        // With bytes that came and nobody took.
        let mut incoming = stream.recv_stream();
        until_woken(&mut Box::pin(incoming.next()), || peer.write_all(b"four").unwrap()).await;
        drop(incoming);
        peer.write_all(b"five").unwrap();
        assert_eq!(read(&stream, 1).await, b"f");
        assert_eq!(read_total(&stream, 7).await, b"ourfive");
        // After the first of them was taken.
        let mut incoming = stream.recv_stream();
        peer.write_all(b"six").unwrap();
        assert!(b"six".starts_with(&next(&mut incoming).await));
        peer.write_all(b"seven").unwrap();
        spargio::sleep(Duration::from_millis(2)).await;
        drop(incoming);
        let rest = read_total(&stream, 5).await;
        assert!(b"seven".ends_with(&rest[rest.len() - 5..]), "{rest:?}");
        // And to a stream after it.
        let mut incoming = stream.recv_stream();
        until_woken(&mut Box::pin(incoming.next()), || peer.write_all(b"eight").unwrap()).await;
        drop(incoming);
        peer.write_all(b"nine").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(drain(&mut stream.recv_stream()).await, b"eightnine");
        assert_eq!(read(&stream, 1).await, b"");
    });
}

#[test]
fn readers_of_both_kinds_by_turns_lose_no_byte() {
    const LEN: usize = 200_000;
    with_each(|_| async {
        let (stream, peer) = pair().await;
        let writer = write_pattern(peer, LEN);
        let (mut all, mut turn) = (Vec::<u8>::new(), 0usize);
        while all.len() < LEN {
            turn += 1;
            if turn % 3 == 0 {
                let mut pending = stream.read(vec![0; turn % 500 + 1].into_boxed_slice());
                match poll_once(&mut pending).await {
                    Poll::Ready((count, bytes)) => all.extend(&bytes[..count.unwrap()]),
                    Poll::Pending if turn % 2 == 0 => yield_now().await,
                    Poll::Pending => {}
                }
                continue;
            }
            let mut incoming = stream.recv_stream().limit(turn % 5);
            for _ in 0..turn % 7 {
                match poll_once(&mut Box::pin(incoming.next())).await {
                    Poll::Ready(Some(bytes)) => all.extend_from_slice(&bytes.unwrap()),
                    Poll::Ready(None) => break,
                    Poll::Pending if turn % 2 == 0 => yield_now().await,
                    Poll::Pending => {}
                }
            }
        }
        assert!(all == pattern(LEN));
        assert_eq!(read(&stream, 1).await, b"");
        join(writer).await;
    });
}

#[test]
fn a_reset_in_the_middle_is_told_after_the_bytes_and_then_the_end() {
    with_each(|_| async {
        let (stream, mut peer) = pair().await;
        let mut incoming = stream.recv_stream();
        peer.write_all(b"last words").unwrap();
        assert!(b"last words".starts_with(&next(&mut incoming).await));
        reset(peer);
        let error = loop {
            match incoming.next().await.expect("not the end") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(incoming.next().await.is_none());
    });
}

#[test]
fn a_stream_of_a_runtime_that_ended_says_so() {
    watched(|watch| {
        let runtime = watch.build(small(1));
        let task = runtime.handle().spawn_pinned(0, async {
            let (stream, peer) = pair().await;
            let mut incoming = stream.recv_stream();
            assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
            (incoming, peer)
        });
        let (mut incoming, mut peer) = elsewhere(task.unwrap()).unwrap();
        peer.write_all(b"too late for most").unwrap();
        drop(runtime);
        let error = loop {
            match elsewhere(incoming.next()).expect("not the end") {
                Ok(bytes) => assert!(b"too late for most".starts_with(&bytes)),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
    });
}

#[test]
fn a_thread_of_no_runtime_receives() {
    const LEN: usize = 300_000;
    watched(|watch| {
        let runtime = watch.build(small(2));
        let handle = runtime.handle();
        let (stream, peer) = elsewhere(handle.spawn_stealable(pair()).unwrap()).unwrap();
        let writer = write_pattern(peer, LEN);
        let mut incoming = stream.recv_stream();
        assert!(elsewhere(drain(&mut incoming)) == pattern(LEN));
        writer.join().unwrap();
        wait_until("all buffers are back", || leased(&handle) == 0);
        assert!(handle.stats_snapshot().total().recv_buffers > 0);
    });
}

#[test]
fn a_socket_is_given_away_after_its_stream_of_buffers_has_ended() {
    with_each(|_| async {
        let (stream, mut peer) = pair().await;
        let mut incoming = stream.recv_stream();
        peer.write_all(b"x").unwrap();
        assert_eq!(next(&mut incoming).await[..], *b"x");
        assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
        drop(incoming);
        let mut stream: TcpStream = stream;
        let std = loop {
            match stream.into_std() {
                Ok(std) => break std,
                Err(back) => stream = back,
            }
            spargio::sleep(Duration::from_millis(1)).await;
        };
        drop(std);
    });
}

#[test]
fn unix_streams_do_the_same_and_an_echo_sends_the_buffers_as_they_are() {
    const LEN: usize = 300_000;
    with_each(|_| async {
        let (near, far) = UnixStream::pair().unwrap();
        let echo = spargio::spawn(async move {
            let mut incoming = far.recv_stream();
            while let Some(bytes) = incoming.next().await {
                far.write_all(bytes.unwrap()).await.0.unwrap();
            }
        });
        let writer = near.clone();
        let write = spargio::spawn(async move {
            writer.write_all(pattern(LEN)).await.0.unwrap();
            writer.shutdown(Shutdown::Write).await.unwrap();
        });
        assert!(drain(&mut near.recv_stream()).await == pattern(LEN));
        write.unwrap().await.unwrap();
        echo.unwrap().await.unwrap();
    });
}

#[test]
fn a_reading_half_receives_as_the_stream_does() {
    with_each(|_| async {
        let (stream, mut peer) = pair().await;
        let (reader, mut writer) = stream.into_split();
        let mut incoming = reader.recv_stream();
        peer.write_all(&pattern(3000)).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert!(drain(&mut incoming).await == pattern(3000));
        // The other direction goes on.
        AsyncWrite::write_all(&mut writer, "bye").await.0.unwrap();
        let mut last = [0; 3];
        io::Read::read_exact(&mut peer, &mut last).unwrap();
        assert_eq!(&last, b"bye");
    });
}
