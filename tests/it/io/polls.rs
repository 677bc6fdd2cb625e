//! The traits of `futures-io`: polls that nobody follows up lose nothing.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use spargio::IoBuf;
use spargio::fs;
use spargio::io::{Compat, split};
use spargio::net::{TcpListener, TcpStream, UnixStream};

use super::torture::{Basin, Dice, Drip, Trickle};
use super::{on_shards, run, waiting_bytes};
use crate::support::yield_now;

async fn read(stream: &mut (impl AsyncRead + Unpin), len: usize) -> std::io::Result<Vec<u8>> {
    let mut buf = vec![0; len];
    let count = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buf)).await?;
    buf.truncate(count);
    Ok(buf)
}

async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let some = read(stream, 10_000).await.unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

async fn write_all(stream: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await.unwrap();
        bytes = &bytes[count..];
    }
}

async fn close(stream: &mut (impl AsyncWrite + Unpin)) {
    poll_fn(|cx| Pin::new(&mut *stream).poll_close(cx)).await.unwrap();
}

/// Polls once with a waker that nobody hears.
fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}

async fn pair() -> (TcpStream, net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().await.unwrap().0, peer)
}

/// One error, of the kind that the torture has: nothing passing gets through to who polls.
#[track_caller]
fn is_broken(error: &std::io::Error) -> usize {
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    1
}

#[test]
fn reads_that_are_polled_and_left_lose_nothing() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let bytes = dice.bytes(300);
        let at = dice.below(400);
        let mut compat = Compat::reader(Trickle::new(&bytes, seed).failing_at(at).refusing());
        let (mut got, mut failed) = (Vec::new(), 0usize);
        loop {
            let room = 1 + dice.below(9);
            if dice.one_in(2) {
                match once(|cx| Pin::new(&mut compat).poll_fill_buf(cx).map_ok(<[u8]>::to_vec)) {
                    Poll::Ready(Ok(some)) => {
                        let count = some.len().min(room);
                        got.extend_from_slice(&some[..count]);
                        Pin::new(&mut compat).consume(count);
                    }
                    Poll::Ready(Err(error)) => failed += is_broken(&error),
                    Poll::Pending => {}
                }
                continue;
            }
            let mut buf = vec![0; room];
            match once(|cx| Pin::new(&mut compat).poll_read(cx, &mut buf)) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(count)) => got.extend_from_slice(&buf[..count]),
                Poll::Ready(Err(error)) => failed += is_broken(&error),
                Poll::Pending => {}
            }
        }
        assert_eq!((got, failed), (bytes, usize::from(at <= 300)), "seed {seed}");
    }
}

#[test]
fn writes_that_are_polled_and_left_write_what_they_took_once_and_in_order() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let bytes = dice.bytes(300);
        let at = dice.below(300);
        let basin = Basin::default();
        let mut compat = Compat::writer(Drip::new(&basin, seed).failing_at(at).refusing());
        let (mut taken, mut failed) = (0, 0);
        while taken < bytes.len() {
            let most = (taken + 1 + dice.below(30)).min(bytes.len());
            let piece = &bytes[taken..most];
            if dice.one_in(4) {
                if let Poll::Ready(flushed) = once(|cx| Pin::new(&mut compat).poll_flush(cx)) {
                    match flushed {
                        Ok(()) => assert_eq!(basin.flushed(), taken, "seed {seed}"),
                        Err(error) => failed += is_broken(&error),
                    }
                }
                continue;
            }
            match once(|cx| Pin::new(&mut compat).poll_write(cx, piece)) {
                Poll::Ready(Ok(count)) => taken += count,
                Poll::Ready(Err(error)) => failed += is_broken(&error),
                Poll::Pending => {}
            }
            assert!(bytes[..taken].starts_with(&basin.bytes()), "seed {seed}");
        }
        while let Err(error) = run(poll_fn(|cx| Pin::new(&mut compat).poll_close(cx))) {
            failed += is_broken(&error);
        }
        run(close(&mut compat));
        assert_eq!((basin.bytes(), failed, basin.shutdowns()), (bytes, 1, 1), "seed {seed}");
    }
}

#[test]
fn a_stream_echoes_what_is_more_than_its_buffers() {
    on_shards(async {
        let (mut stream, peer) = pair().await;
        let bytes: Vec<u8> = (0..3 << 20).map(|at| (at * 7 + at / 255) as u8).collect();
        let (mut reader, mut writer) = (peer.try_clone().unwrap(), peer);
        let sent = bytes.clone();
        let sender = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let got = read_to_end(&mut stream).await;
        assert!(got == bytes);
        sender.join().unwrap();
        let receiver = thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        write_all(&mut stream, &got).await;
        close(&mut stream).await;
        assert!(receiver.join().unwrap() == bytes);
    });
}

#[test]
fn halves_are_polled_in_two_tasks() {
    on_shards(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut reader, mut writer) = split(near);
        let bytes = vec![7; 1 << 20];
        let sent = bytes.clone();
        let sender = spargio::spawn(async move {
            write_all(&mut writer, &sent).await;
            close(&mut writer).await;
        });
        let mut far = far;
        let echo = spargio::spawn(async move {
            let all = read_to_end(&mut far).await;
            write_all(&mut far, &all).await;
            close(&mut far).await;
        });
        assert!(read_to_end(&mut reader).await == bytes);
        sender.unwrap().await.unwrap();
        echo.unwrap().await.unwrap();
    });
}

#[test]
fn polls_take_what_a_dropped_read_has_left_and_leave_nothing_in_flight_that_takes_bytes() {
    on_shards(async {
        let (near, far) = UnixStream::pair().unwrap();
        let mut near = near;
        // A read with a buffer of its own, which waits and is dropped.
        {
            let mut dropped = near.read(vec![0; 64]);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut dropped).poll(&mut cx).is_pending());
        }
        far.write_all("first").await.0.unwrap();
        while waiting_bytes(&near) > 0 {
            // The dropped read takes them.
            yield_now().await;
        }
        assert_eq!(read(&mut near, 3).await.unwrap(), b"fir");
        assert_eq!(read(&mut near, 3).await.unwrap(), b"st");
        // A poll that is not followed up.
        assert!(once(|cx| Pin::new(&mut near).poll_read(cx, &mut [0; 64])).is_pending());
        far.write_all("second").await.0.unwrap();
        let (count, buf) = near.read(vec![0; 64]).await;
        assert_eq!(&buf[..count.unwrap()], b"second");
        far.write_all("third").await.0.unwrap();
        assert_eq!(read(&mut near, 64).await.unwrap(), b"third");
        let (mut one, mut two) = ([0; 2], [0; 3]);
        far.write_all("fourth").await.0.unwrap();
        let count = poll_fn(|cx| {
            let mut rooms = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
            Pin::new(&mut near).poll_read_vectored(cx, &mut rooms)
        });
        assert_eq!((count.await.unwrap(), &one, &two), (5, b"fo", b"urt"));
        assert_eq!(read(&mut near, 64).await.unwrap(), b"h");
    });
}

#[test]
fn a_poll_that_was_left_keeps_neither_the_stream_nor_the_peer() {
    on_shards(async {
        let (mut near, far) = UnixStream::pair().unwrap();
        assert!(once(|cx| Pin::new(&mut near).poll_read(cx, &mut [0; 64])).is_pending());
        let clone = near.clone();
        let mut near = near.into_std().unwrap_err();
        drop(clone);
        assert!(once(|cx| Pin::new(&mut near).poll_read(cx, &mut [0; 64])).is_pending());
        drop(near);
        assert_eq!(far.read(vec![0; 1]).await.0.unwrap(), 0, "the peer reads to the end");

        let (mut near, _far) = UnixStream::pair().unwrap();
        assert!(once(|cx| Pin::new(&mut near).poll_read(cx, &mut [0; 64])).is_pending());
        loop {
            // The wait is cancelled, which takes a moment.
            match near.into_std() {
                Ok(_) => break,
                Err(same) => near = same,
            }
            yield_now().await;
        }
    });
}

#[test]
fn clones_wait_each_for_itself() {
    on_shards(async {
        let (near, far) = UnixStream::pair().unwrap();
        let tasks = [near.clone(), near].map(|mut clone| {
            spargio::spawn(async move { read(&mut clone, 1).await.unwrap() }).unwrap()
        });
        for _ in 0..20 {
            yield_now().await;
        }
        far.write_all("ab").await.0.unwrap();
        let mut got = Vec::new();
        for task in tasks {
            got.extend(task.await.unwrap());
        }
        got.sort_unstable();
        assert_eq!(got, b"ab");
    });
}

#[test]
fn a_full_socket_makes_a_write_wait_and_a_dropped_write_goes_first_or_not_at_all() {
    on_shards(async {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut sent = 0;
        while let Poll::Ready(count) =
            once(|cx| Pin::new(&mut near).poll_write(cx, &[b'a'; 50_000]))
        {
            sent += count.unwrap();
        }
        // One that is dropped in the kernel, and then one that is polled.
        {
            let mut dropped = near.write(vec![b'b'; 100]);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut dropped).poll(&mut cx).is_pending());
        }
        let writer = spargio::spawn(async move {
            let parts = [IoSlice::new(b"c"), IoSlice::new(b"d")];
            let count = poll_fn(|cx| Pin::new(&mut near).poll_write_vectored(cx, &parts)).await;
            close(&mut near).await;
            count.unwrap()
        });
        let (mut all, mut far) = (Vec::new(), far);
        spargio::io::copy_to_vec(&mut far, &mut all, 10_000).await.unwrap();
        assert_eq!(writer.unwrap().await.unwrap(), 2);
        assert!(all[..sent].iter().all(|byte| *byte == b'a'));
        let rest = &all[sent..];
        assert!(rest == b"cd" || rest.starts_with(b"b") && rest.ends_with(b"cd"), "{rest:?}");
    });
}

#[test]
fn a_write_to_nobody_is_an_error_and_closing_is_none() {
    on_shards(async {
        let (mut near, far) = UnixStream::pair().unwrap();
        drop(far);
        let error = loop {
            match poll_fn(|cx| Pin::new(&mut near).poll_write(cx, b"bytes")).await {
                Ok(_) => yield_now().await,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        close(&mut near).await;
    });
}

#[test]
fn files_are_polled_through_an_adapter() {
    on_shards(async {
        let dir = fs::TempDir::new().await.unwrap();
        let path = dir.path().join("file");
        let bytes = Dice::new(1).bytes(200_000);
        let mut out = Compat::writer(fs::File::create(&path).await.unwrap().cursor());
        write_all(&mut out, &bytes).await;
        close(&mut out).await;
        let mut file = Compat::reader(fs::File::open(&path).await.unwrap().cursor());
        assert!(read_to_end(&mut file).await == bytes);
    });
}

#[test]
fn polls_go_on_under_another_executor() {
    let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    let lane = runtime.handle();
    crate::support::elsewhere(async move {
        let (mut near, mut far) = UnixStream::pair_on(&lane).unwrap();
        assert!(once(|cx| Pin::new(&mut near).poll_read(cx, &mut [0; 8])).is_pending());
        write_all(&mut far, b"from afar").await;
        assert_eq!(read(&mut near, 64).await.unwrap(), b"from afar");
        let (done, _) = near.write_all("back".slice(..)).await;
        done.unwrap();
        assert_eq!(read(&mut far, 64).await.unwrap(), b"back");
    });
}
