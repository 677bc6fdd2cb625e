//! Reads: none of their bytes is lost when futures are dropped, and what their ends say.

use std::io::{self, Write as _};
use std::net::Shutdown;
use std::task::Poll;
use std::thread;

use spargio::IoBuf;

use super::{
    blocking, on_shard, pair, pattern, poll_once, read, read_total, until_woken, yield_now,
};

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
