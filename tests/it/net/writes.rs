//! Writes to a reader that is slow, and transfers of nothing.

use std::io::{self, Read as _, Write as _};
use std::net;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use spargio::net::TcpStream;
use spargio::{IoBuf, Runtime};

use super::{blocking, on_shard, pair, pattern, poll_once, read_total};
use crate::support::{Plug, elsewhere, receive, wait_until, watched};

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

/// Two connected sockets of the standard library, the first of which has no room for a write, and
/// how much fills it.
fn full_pair() -> (net::TcpStream, net::TcpStream, usize) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut own, _) = listener.accept().unwrap();
    own.set_nonblocking(true).unwrap();
    let mut filled = 0;
    loop {
        match own.write(&[b'a'; 1 << 16]) {
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (own, peer, filled),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
#[expect(clippy::async_yields_async, reason = "the write itself leaves the shard")]
fn all_writers_wait_for_the_end_of_a_dropped_write() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let handle = runtime.handle();
        let (own, mut peer, filled) = full_pair();
        let stream = TcpStream::from_std_on(&handle, own).unwrap();
        // On the ring of shard 0, waiting for room.
        let early = {
            let stream = stream.clone();
            let mut write = Box::pin(async move { stream.write(vec![b'b'; 64]).await.0 });
            handle.spawn_pinned(0, async move {
                assert!(poll_once(&mut write).await.is_pending());
                write
            })
        };
        let early = elsewhere(early.unwrap()).unwrap();
        wait_until("it is in flight", || runtime.stats_snapshot().total().in_flight == 1);
        // There is room, but shard 0 cannot look after its send.
        let plug = Plug::new(&handle, 0);
        peer.read_exact(&mut vec![0; filled]).unwrap();
        let (begin, begun) = mpsc::channel();
        let late = handle.spawn_pinned(1, async move {
            drop(early);
            let mut writes = Vec::new();
            for byte in [b'c', b'd', b'e'] {
                let stream = stream.clone();
                let mut write = Box::pin(async move { stream.write_all(vec![byte; 64]).await.0 });
                let at_once = poll_once(&mut write).await;
                writes.push((write, at_once));
            }
            // Those that wait for the one who looks after the end go on when it is dropped.
            drop(writes.remove(0));
            begin.send(()).unwrap();
            for (write, at_once) in writes {
                match at_once {
                    Poll::Ready(result) => result.unwrap(),
                    Poll::Pending => write.await.unwrap(),
                }
            }
        });
        receive(&begun, "the later writes have begun");
        drop(plug);
        elsewhere(late.unwrap()).unwrap();
        drop(runtime);
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        let early = rest.iter().take_while(|byte| **byte == b'b').count();
        let (_, late) = rest.split_at(early);
        assert!(!late.contains(&b'b'), "the dropped write came later: {rest:?}");
        assert_eq!(late, [[b'd'; 64], [b'e'; 64]].concat(), "what the others wrote");
    });
}
