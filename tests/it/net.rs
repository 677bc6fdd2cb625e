//! TCP on real rings: nothing is lost when futures are dropped, and everything ends promptly.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::net::{self, Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use spargio::net::{TcpListener, TcpStream};
use spargio::{IoBuf, Runtime};

/// A test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a future as a task of a runtime with so many shards.
#[track_caller]
fn on_shards<F>(shards: usize, future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (done, result) = mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime = Runtime::builder().shards(shards).build().unwrap();
        let task = runtime.handle().spawn_stealable(future).unwrap();
        let output = runtime.block_on(task).unwrap();
        drop(runtime);
        done.send(output).unwrap();
    });
    match result.recv_timeout(PATIENCE) {
        Ok(output) => {
            thread.join().unwrap();
            output
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs since {PATIENCE:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
}

#[track_caller]
fn on_shard<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    on_shards(1, future)
}

/// Polls once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Polls once, runs `then`, and returns when the future has woken its task, without polling it
/// again.
async fn until_woken<F: Future + Unpin>(future: &mut F, then: impl FnOnce()) {
    let mut then = Some(then);
    poll_fn(|cx| match then.take() {
        Some(then) => {
            assert!(Pin::new(&mut *future).poll(cx).is_pending());
            then();
            Poll::Pending
        }
        None => Poll::Ready(()),
    })
    .await;
}

/// Lets the shard take a turn.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A listener and its address.
async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A stream of ours and its peer of the standard library.
async fn pair() -> (TcpStream, net::TcpStream) {
    let (listener, addr) = listener().await;
    let peer = net::TcpStream::connect(addr).unwrap();
    peer.set_nodelay(true).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (stream, peer_addr) = listener.accept().await.unwrap();
    assert_eq!(peer_addr, peer.local_addr().unwrap());
    (stream, peer)
}

/// Reads once, to a buffer of so many bytes.
async fn read(stream: &TcpStream, len: usize) -> Vec<u8> {
    let (read, buf) = stream.read(vec![0; len].into_boxed_slice()).await;
    buf[..read.unwrap()].to_vec()
}

/// Reads until so many bytes have come.
async fn read_total(stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let some = read(stream, len - all.len()).await;
        assert!(!some.is_empty(), "the end after {} of {len} bytes", all.len());
        all.extend(some);
    }
    all
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn bytes_come_back_from_an_echo_server() {
    on_shards(2, async {
        let (listener, addr) = listener().await;
        let server = spargio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            loop {
                let got = read(&stream, 4096).await;
                if got.is_empty() {
                    return;
                }
                stream.write_all(got).await.0.unwrap();
            }
        })
        .unwrap();
        let client = TcpStream::connect(addr).await.unwrap();
        for len in [1, 256, 4096, 100_000] {
            let sent = pattern(len);
            let writer = client.clone();
            let data = sent.clone();
            let write =
                spargio::spawn(async move { writer.write_all(data).await.0.unwrap() }).unwrap();
            assert_eq!(read_total(&client, len).await, sent);
            write.await.unwrap();
        }
        drop(client);
        server.await.unwrap();
    });
}

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

#[test]
fn sockets_are_nonblocking_and_send_small_writes_at_once() {
    on_shard(async {
        let (listener, addr) = listener().await;
        let client = TcpStream::connect(addr).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        for stream in [&client, &server] {
            assert!(stream.nodelay().unwrap());
            let link = format!("/proc/self/fdinfo/{}", stream.as_raw_fd());
            let info = std::fs::read_to_string(link).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
            assert_ne!(flags & 0o4000, 0, "O_NONBLOCK in {flags:o}");
            assert_ne!(flags & 0o2_000_000, 0, "O_CLOEXEC in {flags:o}");
        }
        client.set_nodelay(false).unwrap();
        assert!(!client.nodelay().unwrap());
        client.set_ttl(17).unwrap();
        assert_eq!(client.ttl().unwrap(), 17);
    });
}

#[test]
fn a_read_dropped_before_its_first_poll_takes_nothing() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        peer.write_all(b"hello").unwrap();
        drop(stream.read(vec![0; 16]));
        assert_eq!(read_total(&stream, 5).await, b"hello");
    });
}

#[test]
fn a_read_dropped_in_flight_leaves_its_bytes_to_the_next() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut pending = stream.read(vec![0; 16]);
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        peer.write_all(b"hello").unwrap();
        assert_eq!(read_total(&stream, 5).await, b"hello");
        peer.write_all(b"again").unwrap();
        assert_eq!(read_total(&stream, 5).await, b"again");
    });
}

#[test]
fn a_read_dropped_after_it_completed_leaves_its_bytes_to_the_next() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut pending = stream.read(vec![0; 16]);
        until_woken(&mut pending, || peer.write_all(b"hello").unwrap()).await;
        drop(pending);
        peer.write_all(b" again").unwrap();
        assert_eq!(read_total(&stream, 11).await, b"hello again");
    });
}

#[test]
fn an_adopted_receive_may_be_dropped_and_adopted_again() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        for _ in 0..5 {
            let mut pending = stream.read(vec![0; 16]);
            assert!(poll_once(&mut pending).await.is_pending());
        }
        peer.write_all(b"hello").unwrap();
        assert_eq!(read_total(&stream, 5).await, b"hello");
    });
}

#[test]
fn small_buffers_take_the_bytes_of_a_large_one_in_order() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut pending = stream.read(vec![0; 64]);
        until_woken(&mut pending, || peer.write_all(b"0123456789").unwrap()).await;
        drop(pending);
        peer.write_all(b"abc").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read(&stream, 4).await, b"0123");
        // Between them a read that is dropped untouched.
        drop(stream.read(vec![0; 4]));
        assert_eq!(read(&stream, 4).await, b"4567");
        let (result, buf) = stream.read_exact(vec![0; 5].into_boxed_slice()).await;
        result.unwrap();
        assert_eq!(&buf[..], b"89abc");
        assert_eq!(read(&stream, 4).await, b"");
    });
}

#[test]
fn the_end_is_not_lost_with_a_dropped_read() {
    on_shard(async {
        let (stream, peer) = pair().await;
        let mut pending = stream.read(vec![0; 16]);
        until_woken(&mut pending, || drop(peer)).await;
        drop(pending);
        assert_eq!(read(&stream, 16).await, b"");
        assert_eq!(read(&stream, 16).await, b"");
    });
}

#[test]
fn reads_dropped_in_a_loop_lose_no_byte_and_keep_the_order() {
    const LEN: usize = 3000;
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let writer = thread::spawn(move || {
            for byte in pattern(LEN) {
                peer.write_all(&[byte]).unwrap();
            }
            peer
        });
        let (mut all, mut dropped) = (Vec::<u8>::new(), 0);
        while all.len() < LEN {
            let mut pending = stream.read(vec![0; 1 + dropped % 3].into_boxed_slice());
            match poll_once(&mut pending).await {
                Poll::Ready((read, buf)) => all.extend(&buf[..read.unwrap()]),
                Poll::Pending => {
                    drop(pending);
                    dropped += 1;
                    yield_now().await;
                }
            }
        }
        assert_eq!(all, pattern(LEN));
        assert_ne!(dropped, 0);
        drop(writer.join().unwrap());
        assert_eq!(read(&stream, 1).await, b"");
    });
}

#[test]
fn a_stream_dropped_with_a_pending_receive_ends_for_its_peer() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut pending = stream.read(vec![0; 16]);
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        drop(stream);
        let ended = blocking(move || peer.read(&mut [0; 16])).await;
        assert_eq!(ended.unwrap(), 0);
    });
}

#[test]
fn a_task_aborted_in_a_read_ends_its_stream() {
    on_shards(2, async {
        let (stream, mut peer) = pair().await;
        let (reading, is_reading) = mpsc::channel();
        let task = spargio::spawn(async move {
            let mut pending = stream.read(vec![0; 16]);
            assert!(poll_once(&mut pending).await.is_pending());
            reading.send(()).unwrap();
            pending.await.0
        })
        .unwrap();
        blocking(move || is_reading.recv().unwrap()).await;
        task.abort();
        assert!(task.await.is_err());
        let ended = blocking(move || peer.read(&mut [0; 16])).await;
        assert_eq!(ended.unwrap(), 0);
    });
}

#[test]
fn numbers_of_closed_streams_are_not_read_by_their_old_receives() {
    on_shard(async {
        let mut numbers = HashSet::new();
        for round in 0..100u32 {
            let (stream, _peer) = pair().await;
            let mut pending = stream.read(vec![0; 16]);
            assert!(poll_once(&mut pending).await.is_pending());
            drop(pending);
            drop(stream);
            let (next, mut peer) = pair().await;
            numbers.insert(next.as_raw_fd());
            peer.write_all(&round.to_le_bytes()).unwrap();
            assert_eq!(read_total(&next, 4).await, round.to_le_bytes());
        }
        assert!(numbers.len() < 100, "no number was used again");
    });
}

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

#[test]
fn the_other_direction_goes_on_after_a_half_close() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        stream.write_all("request").await.0.unwrap();
        stream.shutdown(Shutdown::Write).await.unwrap();
        let peer = thread::spawn(move || {
            let mut request = Vec::new();
            peer.read_to_end(&mut request).unwrap();
            peer.write_all(b"answer to ").unwrap();
            peer.write_all(&request).unwrap();
        });
        assert_eq!(read_total(&stream, 17).await, b"answer to request");
        assert_eq!(read(&stream, 1).await, b"");
        let error = stream.write_all("more").await.0.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        peer.join().unwrap();
    });
}

#[test]
fn sixteen_mebibytes_arrive_at_a_slow_reader() {
    const LEN: usize = 16 << 20;
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let reader = thread::spawn(move || {
            let (mut all, mut piece) = (Vec::<u8>::new(), [0; 10_000]);
            loop {
                match peer.read(&mut piece).unwrap() {
                    0 => return all,
                    read => all.extend(&piece[..read]),
                }
                // Slower than the writer.
                thread::yield_now();
            }
        });
        let (result, buf) = stream.write_all(pattern(LEN)).await;
        result.unwrap();
        drop(stream);
        let got = blocking(move || reader.join().unwrap()).await;
        assert!(got == buf, "{} bytes", got.len());
    });
}

#[test]
fn single_writes_to_a_slow_reader_say_how_much_they_sent() {
    const LEN: usize = 4 << 20;
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        let mut rest = pattern(LEN).slice(..);
        while !rest.is_empty() {
            let (written, back) = stream.write(rest).await;
            let at = back.begin() + written.unwrap();
            rest = back.into_inner().slice(at..LEN);
        }
        drop(stream);
        let got = blocking(move || reader.join().unwrap()).await;
        assert!(got == pattern(LEN), "{} bytes", got.len());
    });
}

#[test]
fn buffers_of_no_size_are_done_at_once() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let (read, buf) = stream.read(Vec::new()).await;
        assert_eq!((read.unwrap(), buf.len()), (0, 0));
        let (written, _) = stream.write(Vec::new()).await;
        assert_eq!(written.unwrap(), 0);
        stream.write_all("").await.0.unwrap();
        stream.read_exact(Vec::new()).await.0.unwrap();
        peer.write_all(b"x").unwrap();
        assert_eq!(read_total(&stream, 1).await, b"x");
    });
}

#[test]
fn an_early_end_gives_back_what_came_before() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        peer.write_all(b"abc").unwrap();
        drop(peer);
        let (result, buf) = stream.read_exact(Vec::with_capacity(8).slice(..8)).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("3 of 8"), "{error}");
        assert_eq!(&buf[..], b"abc");
    });
}

#[test]
fn a_reset_is_an_error_of_the_pending_read() {
    on_shard(async {
        let (stream, peer) = pair().await;
        // Unread bytes make the close a reset.
        stream.write_all("unread").await.0.unwrap();
        let peek = blocking(move || peer.peek(&mut [0; 6]).map(|_| peer)).await;
        drop(peek.unwrap());
        let (result, _) = stream.read(vec![0; 16]).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_stream_goes_to_the_standard_library_and_back() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let clone = stream.clone();
        let stream = stream.into_std().unwrap_err();
        drop(clone);
        let mut pending = stream.read(vec![0; 16]);
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        let stream = stream.into_std().unwrap_err();
        peer.write_all(b"a").unwrap();
        assert_eq!(read(&stream, 16).await, b"a");
        let std = stream.into_std().unwrap();
        let stream = TcpStream::from_std(std).unwrap();
        peer.write_all(b"b").unwrap();
        assert_eq!(read(&stream, 16).await, b"b");
    });
}

#[test]
fn a_listener_of_the_standard_library_is_taken_over() {
    on_shard(async {
        let std = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = std.local_addr().unwrap();
        let listener = TcpListener::from_std(std).unwrap();
        let stream = TcpStream::connect(addr).await.unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, stream.local_addr().unwrap());
        assert!(accepted.nodelay().unwrap());
    });
}

#[test]
fn a_stream_works_on_a_thread_and_executor_of_somebody_else() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    let thread = thread::spawn(move || {
        block_on(async move {
            let listener = TcpListener::bind_on(&handle, "127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let client = TcpStream::connect_on(&handle.on(1).unwrap(), addr).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            for _ in 0..100 {
                let mut pending = server.read(vec![0; 16]);
                assert!(poll_once(&mut pending).await.is_pending());
                drop(pending);
                client.write_all("ping").await.0.unwrap();
                assert_eq!(read_total(&server, 4).await, b"ping");
            }
            drop(client);
            assert_eq!(read(&server, 1).await, b"");
            // A task of the runtime goes on with it.
            let task = handle.spawn_stealable(async move {
                let client = TcpStream::connect(addr).await.unwrap();
                let (server, _) = listener.accept().await.unwrap();
                client.write_all("pong").await.0.unwrap();
                read_total(&server, 4).await
            });
            assert_eq!(task.unwrap().await.unwrap(), b"pong");
        });
    });
    thread.join().unwrap();
}

#[test]
fn a_runtime_ends_with_accepts_and_receives_in_flight() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let (stream, listener, mut peer) = runtime.block_on(async {
        let (listener, addr) = listener().await;
        let mut peer = net::TcpStream::connect(addr).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut pending = stream.read(vec![0; 16]);
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        let mut pending = listener.accept();
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        peer.write_all(b"late").unwrap();
        (stream, listener, peer)
    });
    drop(runtime);
    block_on(async {
        // What came before the end may still be there; then the runtime's end is an error.
        let (result, _) = stream.read(vec![0; 2]).await;
        assert!(result.is_err() || result.is_ok_and(|read| read == 2));
        loop {
            if stream.read(vec![0; 16]).await.0.is_err() {
                break;
            }
        }
        listener.accept().await.unwrap_err();
    });
    drop((stream, listener));
    // The sockets close without their runtime.
    loop {
        match peer.read(&mut [0; 16]) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                break;
            }
        }
    }
}

#[test]
fn futures_of_sockets_can_be_sent() {
    fn is_send(_: impl Send) {}
    fn is_shared<T: Clone + Send + Sync>() {}
    is_shared::<TcpStream>();
    is_shared::<TcpListener>();
    is_send(TcpListener::bind("127.0.0.1:0"));
    is_send(TcpStream::connect("127.0.0.1:0"));
    is_send(async {
        let (stream, _) = TcpListener::bind("127.0.0.1:0").await?.accept().await?;
        stream.write_all("x").await.0?;
        stream.write("x").await.0?;
        stream.read(vec![0]).await.0?;
        stream.read_exact(vec![0]).await.0?;
        stream.shutdown(Shutdown::Both).await
    });
}

/// Runs what blocks on a thread of its own.
async fn blocking<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (answer, result) = mpsc::channel();
    let mut body = Some(body);
    poll_fn(move |cx| {
        if let Some(body) = body.take() {
            let (waker, answer) = (cx.waker().clone(), answer.clone());
            thread::spawn(move || {
                let sent = answer.send(body());
                waker.wake();
                sent.unwrap();
            });
            return Poll::Pending;
        }
        match result.try_recv() {
            Ok(result) => Poll::Ready(result),
            Err(mpsc::TryRecvError::Empty) => Poll::Pending,
            Err(mpsc::TryRecvError::Disconnected) => panic!("the thread panicked"),
        }
    })
    .await
}

/// A waker that sends a message.
struct Tell(mpsc::Sender<()>);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        self.0.send(()).unwrap();
    }
}

/// An executor that knows no runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
