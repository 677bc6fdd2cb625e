//! Several buffers with one call: in order, without loss, and with the limits that are said.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::pin::pin;
use std::task::Poll;

use spargio::IoBuf;
use spargio::io::{AsyncRead, AsyncWrite};
use spargio::net::UnixStream;

use super::{on_shard, pair, pattern, poll_once, read_total, until_woken};

#[test]
fn a_write_takes_the_buffers_in_order_and_gives_them_back() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let bufs = vec![Vec::new(), b"one ".to_vec(), Vec::new(), b"two".to_vec()];
        let (sent, back) = stream.write_vectored(bufs.clone()).await;
        assert_eq!((sent.unwrap(), back), (7, bufs));
        let mut got = [0; 7];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"one two");
        // Nothing to write is written at once.
        assert_eq!(stream.write_vectored(vec![Vec::<u8>::new()]).await.0.unwrap(), 0);
        assert_eq!(stream.write_vectored(Vec::<Vec<u8>>::new()).await.0.unwrap(), 0);
    });
}

#[test]
fn a_write_takes_1024_buffers_at_most_and_holds_none_back() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let bufs: Vec<_> = (0..1500).map(|number| vec![number as u8]).collect();
        let (sent, _) = stream.write_vectored(bufs).await;
        assert_eq!(sent.unwrap(), 1024);
        let mut got = vec![0; 1024];
        peer.read_exact(&mut got).unwrap();
        assert!(got.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    });
}

#[test]
fn a_write_without_room_is_short_and_a_dropped_one_ends() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let chunk: &[u8] = pattern(1 << 20).leak();
        let mut sent = 0;
        loop {
            let mut write = pin!(stream.write_vectored(vec![chunk; 8]));
            match poll_once(&mut write).await {
                Poll::Ready((count, _)) => sent += count.unwrap(),
                Poll::Pending => break,
            }
        }
        assert!(sent > 0);
        stream.shutdown(Shutdown::Write).await.unwrap();
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        // What the dropped write has sent, if anything, follows without a gap.
        assert!(got.len() >= sent);
        let first = &got[..chunk.len().min(got.len())];
        assert!(first == &chunk[..first.len()]);
    });
}

#[test]
fn a_read_fills_the_buffers_in_order() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        peer.write_all(b"hello again").unwrap();
        let bufs = vec![Vec::with_capacity(5), Vec::new(), Vec::with_capacity(1), vec![9; 4]];
        let (read, bufs) = stream.read_vectored(bufs).await;
        assert_eq!(read.unwrap(), 10);
        assert_eq!(bufs, [&b"hello"[..], b"", b" ", b"agai"]);
        assert_eq!(read_total(&stream, 1).await, b"n");
        // Fewer bytes than there is room for.
        peer.write_all(b"abc").unwrap();
        let (read, bufs) = stream.read_vectored(vec![vec![7; 2], vec![7; 2], vec![7; 2]]).await;
        assert_eq!(read.unwrap(), 3);
        assert_eq!(bufs, [&b"ab"[..], b"c", b""]);
        assert_eq!(stream.read_vectored(vec![Vec::<u8>::new()]).await.0.unwrap(), 0);
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read_vectored(vec![vec![0; 2]]).await.0.unwrap(), 0);
    });
}

#[test]
fn a_dropped_read_takes_nothing_and_what_one_left_comes_first() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        {
            let mut waits = pin!(stream.read_vectored(vec![vec![0; 2], vec![0; 2]]));
            until_woken(&mut waits, || peer.write_all(b"hello").unwrap()).await;
        }
        assert_eq!(read_total(&stream, 5).await, b"hello");
        let mut pending = stream.read(vec![0; 3]);
        until_woken(&mut pending, || peer.write_all(b"again").unwrap()).await;
        drop(pending);
        let (read, bufs) = stream.read_vectored(vec![vec![], vec![0; 2], vec![0; 8]]).await;
        assert_eq!((read.unwrap(), &bufs[1][..]), (2, &b"ag"[..]));
        let (read, bufs) = stream.read_vectored(vec![vec![0; 2], vec![0; 8]]).await;
        assert_eq!((read.unwrap(), bufs[0][0]), (1, b'a'));
        let (read, bufs) = stream.read_vectored(vec![vec![0; 1], vec![0; 8]]).await;
        assert_eq!((read.unwrap(), bufs[0][0], bufs[1][0]), (2, b'i', b'n'));
    });
}

/// Everything that is built around a stream passes the buffers on as a whole.
#[test]
fn halves_and_references_hand_the_buffers_on_together() {
    async fn through(mut to: impl AsyncWrite, mut from: impl AsyncRead) {
        let sent = to.write_vectored(vec![b"two ".to_vec(), b"parts".to_vec()]).await.0;
        assert_eq!(sent.unwrap(), 9);
        let (read, bufs) = from.read_vectored(vec![vec![0; 4], vec![0; 16]]).await;
        assert_eq!((read.unwrap(), &bufs[1][..5]), (9, &b"parts"[..]));
        let (result, bufs) = to.write_all_vectored(vec![vec![1; 3], vec![], vec![2; 2]]).await;
        result.unwrap();
        assert_eq!(bufs, [vec![1; 3], vec![], vec![2; 2]]);
        let (read, bufs) = from.read_vectored(vec![vec![0; 3], vec![0; 16]]).await;
        assert_eq!((read.unwrap(), &bufs[1][..2]), (5, &[2, 2][..]));
    }
    on_shard(async {
        let (near, far) = UnixStream::pair().unwrap();
        through(near.clone(), far.clone()).await;
        through(&near, &far).await;
        through(&mut near.clone(), Box::new(far.clone())).await;
        let ((_, to), (from, _)) = (near.into_split(), far.into_split());
        through(to, from).await;
    });
}

/// What has one buffer at a time only goes on with the first that counts.
#[test]
fn readers_and_writers_without_an_operation_for_it_use_the_first_buffer() {
    on_shard(async {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let mut from = &b"some bytes"[..];
        let bufs = vec![vec![], vec![0; 4], vec![0; 9]];
        let (read, bufs) = AsyncRead::read_vectored(&mut from, bufs).await;
        assert_eq!((read.unwrap(), bufs), (4, vec![vec![], bytes("some"), vec![0; 9]]));
        let mut to = Vec::new();
        let bufs = vec![bytes(""), bytes("first"), bytes("second")];
        let (written, back) = AsyncWrite::write_vectored(&mut to, bufs.clone()).await;
        assert_eq!((written.unwrap(), back, &to[..]), (5, bufs, &b"first"[..]));
        let none = AsyncWrite::write_vectored(&mut to, Vec::<Vec<u8>>::new()).await;
        assert_eq!(none.0.unwrap(), 0);
        let parts = vec![vec![1, 2, 3].slice(1..), vec![4, 5].slice(..1)];
        AsyncWrite::write_all_vectored(&mut to, parts).await.0.unwrap();
        assert_eq!(to, b"first\x02\x03\x04");
    });
}
