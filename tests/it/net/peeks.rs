//! Peeks: what they show stays, wherever it lay.

use std::io::Write as _;
use std::net::Shutdown;
use std::pin::pin;

use spargio::net::{TcpStream, UnixStream};

use super::{on_shard, pair, poll_once, read, read_total, until_woken};

async fn peek(stream: &TcpStream, len: usize) -> Vec<u8> {
    let (peeked, buf) = stream.peek(vec![0; len].into_boxed_slice()).await;
    buf[..peeked.unwrap()].to_vec()
}

#[test]
fn what_a_peek_shows_is_there_for_the_next_read() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        peer.write_all(b"hello").unwrap();
        assert_eq!(peek(&stream, 2).await, b"he");
        assert_eq!(peek(&stream, 1).await, b"h");
        assert_eq!(read_total(&stream, 5).await, b"hello");
        // Without room there is nothing to show, and nothing is waited for.
        assert_eq!(peek(&stream, 0).await, b"");
    });
}

#[test]
fn a_peek_waits_for_the_first_byte_and_sees_the_end() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut waits = pin!(stream.peek(vec![0; 16]));
        until_woken(&mut waits, || peer.write_all(b"late").unwrap()).await;
        let (peeked, buf) = waits.await;
        assert_eq!(&buf[..peeked.unwrap()], b"late");
        assert_eq!(read_total(&stream, 4).await, b"late");
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peek(&stream, 16).await, b"");
        assert_eq!(read(&stream, 16).await, b"");
    });
}

#[test]
fn a_dropped_peek_takes_nothing() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        {
            let mut waits = pin!(stream.peek(vec![0; 16]));
            assert!(poll_once(&mut waits).await.is_pending());
        }
        {
            let mut waits = pin!(stream.peek(vec![0; 16]));
            until_woken(&mut waits, || peer.write_all(b"hello").unwrap()).await;
        }
        assert_eq!(read_total(&stream, 5).await, b"hello");
    });
}

#[test]
fn a_peek_shows_what_a_dropped_read_left_and_keeps_it_in_order() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut pending = stream.read(vec![0; 8]);
        until_woken(&mut pending, || peer.write_all(b"hello").unwrap()).await;
        drop(pending);
        peer.write_all(b" again").unwrap();
        // More than it shows, exactly, and again.
        assert_eq!(peek(&stream, 3).await, b"hel");
        assert_eq!(peek(&stream, 3).await, b"hel");
        assert_eq!(peek(&stream, 2).await, b"he");
        assert_eq!(read(&stream, 1).await, b"h");
        assert_eq!(peek(&stream, 1).await, b"e");
        assert_eq!(read_total(&stream, 10).await, b"ello again");
        // One that is still in flight is waited for, and may be given up in the midst of that.
        let mut pending = stream.read(vec![0; 8]);
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        {
            let mut waits = pin!(stream.peek(vec![0; 16]));
            assert!(poll_once(&mut waits).await.is_pending());
        }
        peer.write_all(b"more").unwrap();
        assert_eq!(peek(&stream, 16).await, b"more");
        assert_eq!(read_total(&stream, 4).await, b"more");
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read(&stream, 1).await, b"");
    });
}

#[test]
fn descriptors_that_a_dropped_receive_left_stay_with_their_byte() {
    on_shard(async {
        let (near, far) = UnixStream::pair().unwrap();
        {
            let mut pending = pin!(far.recv_fds(vec![0; 16], 1));
            assert!(poll_once(&mut pending).await.is_pending());
        }
        let (reader, writer) = std::io::pipe().unwrap();
        near.send_fds("ping", vec![writer.into()]).await.0.unwrap();
        let (reading, writing) = far.into_split();
        let (peeked, buf) = reading.peek(vec![0; 16]).await;
        assert_eq!(&buf[..peeked.unwrap()], b"ping");
        let (received, buf) = writing.get_ref().recv_fds(vec![0; 16], 1).await;
        let (count, fds) = received.unwrap();
        assert_eq!((&buf[..count], fds.len()), (&b"ping"[..], 1));
        drop(reader);
    });
}
