//! Sends without a copy: the buffer comes back when the kernel has let go of it.

use std::io::{self, Read};
use std::os::unix::net as unix;
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use spargio::IoBuf;
use spargio::net::{Family, Stream, UnixStream, ZeroCopy};

use super::batch::shrink;
use super::{blocking, on_shard, pair, pattern, poll_once};

const LEN: usize = 1 << 20;

async fn send_pattern<F: Family>(stream: Stream<F>, mut peer: impl Read + Send + 'static) {
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    let (result, buf) = stream.send_zc(pattern(LEN)).await;
    result.unwrap();
    // What comes later comes later.
    let (result, late) = stream.write_all("late").await;
    result.unwrap();
    stream.send_zc(Vec::new()).await.0.unwrap();
    drop(stream);
    let got = blocking(move || reader.join().unwrap()).await;
    assert!(got == [&buf, late.as_bytes()].concat(), "{} bytes", got.len());
}

#[test]
fn all_bytes_arrive_in_order_and_the_buffer_comes_back() {
    on_shard(async {
        let (stream, peer) = pair().await;
        shrink(&stream);
        shrink(&peer);
        send_pattern(stream, peer).await;
        // As it is written where there are no such sends.
        let (own, peer) = unix::UnixStream::pair().unwrap();
        send_pattern(UnixStream::from_std(own).unwrap(), peer).await;
    });
}

/// Memory that says when it is freed.
struct Tracked(Vec<u8>, std::sync::mpsc::Sender<()>);

// SAFETY: O1 to O4: as those of the vector, which nobody changes.
unsafe impl IoBuf for Tracked {
    fn stable_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.fill(0xee);
        self.1.send(()).unwrap();
    }
}

#[test]
fn a_dropped_send_keeps_its_buffer_and_the_order() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        shrink(&stream);
        shrink(&peer);
        let (freed, free) = std::sync::mpsc::channel();
        let mut send = Box::pin(stream.send_zc(Tracked(pattern(LEN), freed)));
        assert!(poll_once(&mut send).await.is_pending());
        drop(send);
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        stream.write_all(b"late".repeat(1_000)).await.0.unwrap();
        free.try_recv().expect("the next write waits until the kernel has let go of the buffer");
        drop(stream);
        let got = blocking(move || reader.join().unwrap()).await;
        let early = got.strip_suffix(&b"late".repeat(1_000)[..]).expect("it comes last");
        assert!(pattern(LEN).starts_with(early), "{} bytes of the dropped send", early.len());
    });
}

#[test]
fn a_reset_gives_the_buffer_back_with_an_error() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        shrink(&stream);
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        let reader = thread::spawn(move || peer.read_exact(&mut [0; 1_000]).unwrap());
        let (result, buf) = stream.send_zc(pattern(16 << 20)).await;
        let kind = result.unwrap_err().kind();
        let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(kinds.contains(&kind), "{kind}");
        assert!(buf == pattern(16 << 20), "the buffer came back changed");
        blocking(move || reader.join().unwrap()).await;
    });
}

#[test]
fn writes_go_without_a_copy_by_themselves_only_where_they_are_told_to() {
    on_shard(async {
        let (stream, _peer) = pair().await;
        // Over the loopback it never pays.
        assert_eq!(stream.zero_copy(), ZeroCopy::Far(ZeroCopy::DEFAULT_THRESHOLD));
        assert!(!stream.is_zero_copy(usize::MAX));
        stream.set_zero_copy(ZeroCopy::Far(0));
        assert!(!stream.is_zero_copy(usize::MAX));
        stream.set_zero_copy(ZeroCopy::Always(100));
        assert!(stream.is_zero_copy(100) && !stream.is_zero_copy(99));
        let clone = stream.clone();
        clone.set_zero_copy(ZeroCopy::Never);
        assert!(!stream.is_zero_copy(usize::MAX));
    });
}

/// Writes of all sizes, on both sides of the threshold, arrive in order.
async fn write_around<F: Family>(stream: Stream<F>, mut peer: impl Read + Send + 'static) {
    const SIZES: [usize; 6] = [1, 4095, 4096, 70_000, 5, 1 << 20];
    stream.set_zero_copy(ZeroCopy::Always(4096));
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    let mut sent = Vec::new();
    for size in SIZES {
        let (result, buf) = stream.write_all(pattern(size)).await;
        result.unwrap();
        assert_eq!(buf.len(), size);
        sent.extend_from_slice(&buf);
    }
    drop(stream);
    let got = blocking(move || reader.join().unwrap()).await;
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
}

#[test]
fn large_writes_that_are_told_to_go_without_a_copy_arrive_in_order() {
    on_shard(async {
        let (stream, peer) = pair().await;
        shrink(&stream);
        shrink(&peer);
        write_around(stream, peer).await;
        // There they are written as usual.
        let (own, peer) = unix::UnixStream::pair().unwrap();
        write_around(UnixStream::from_std(own).unwrap(), peer).await;
    });
}
