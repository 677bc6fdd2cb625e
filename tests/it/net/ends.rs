//! The ends of streams, of one direction, and of a runtime with streams.

use std::collections::HashSet;
use std::io::{self, Read as _, Write as _};
use std::net::{self, Shutdown};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;

use spargio::Runtime;

use super::{
    PATIENCE, block_on, blocking, listener, on_shard, on_shards, pair, poll_once, read, read_total,
};

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
pub(crate) fn numbers_of_closed_streams_are_not_read_by_their_old_receives() {
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
