//! Files from front to back.

use std::io::ErrorKind;
use std::time::Duration;

use spargio::fs::{File, OpenOptions};

use super::{PLACES, Scratch, on_a_shard, pipe};

fn contents(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

#[test]
fn chunks_are_the_file_in_order_at_every_depth() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let path = scratch.file("file");
        on_a_shard(async move {
            for len in [0, 1, 4096, 100_000, 1_000_001] {
                let whole = contents(len);
                std::fs::write(&path, &whole).unwrap();
                let file = File::open(&path).await.unwrap();
                for (chunk, depth) in [(1 << 20, 1), (4096, 1), (4096, 3), (10_007, 8), (999, 128)]
                {
                    for start in [0, len / 3] {
                        let ahead = file.read_ahead(start as u64).await.unwrap();
                        let mut ahead = ahead.chunk(chunk).depth(depth);
                        let mut read = Vec::new();
                        while let Some(bytes) = ahead.next().await.unwrap() {
                            assert!(!bytes.is_empty() && bytes.len() <= chunk);
                            read.extend_from_slice(&bytes);
                            assert_eq!(ahead.position(), (start + read.len()) as u64);
                            ahead.give_back(bytes);
                        }
                        assert!(read == whole[start..], "{len} {chunk} {depth} {start}");
                        assert!(ahead.next().await.unwrap().is_none(), "the end stays the end");
                    }
                }
            }
        });
        drop(scratch);
    }
}

#[test]
fn dropped_waits_lose_no_byte() {
    let scratch = Scratch::within(PLACES[1]);
    let path = scratch.file("file");
    on_a_shard(async move {
        let whole = contents(3_000_000);
        std::fs::write(&path, &whole).unwrap();
        let file = File::open(&path).await.unwrap();
        let mut ahead = file.read_ahead(0).await.unwrap().chunk(10_000).depth(6);
        let (mut read, mut dropped) = (Vec::new(), 0);
        loop {
            // Most of these are over before the first answer.
            match spargio::timeout(Duration::ZERO, ahead.next()).await {
                Ok(Ok(Some(bytes))) => read.extend_from_slice(&bytes),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => panic!("{error}"),
                Err(_) => dropped += 1,
            }
        }
        assert!(read == whole, "bytes are lost or misplaced");
        assert!(dropped > 0, "no wait was dropped");
    });
}

#[test]
fn a_reader_may_be_dropped_with_reads_under_way() {
    let scratch = Scratch::within(PLACES[1]);
    let path = scratch.file("file");
    on_a_shard(async move {
        std::fs::write(&path, contents(1_000_000)).unwrap();
        for _ in 0..50 {
            let file = File::open(&path).await.unwrap();
            let mut ahead = file.read_ahead(0).await.unwrap().chunk(5000).depth(64);
            drop(super::poll_once(&mut Box::pin(ahead.next())));
            drop(ahead);
            drop(file);
        }
        super::until("all is closed", || super::descriptors_on(&path) == 0).await;
    });
}

#[test]
fn what_has_no_offsets_is_refused() {
    on_a_shard(async move {
        let (reader, _writer) = pipe();
        let file = File::from_std(reader).unwrap();
        let error = file.read_ahead(0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("Fifo"), "{error}");
        // An error is told, and leaves the place.
        let file = OpenOptions::new().write(true).open("/proc/self/comm").await.unwrap();
        let mut ahead = file.read_ahead(0).await.unwrap();
        assert_eq!(ahead.next().await.unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(ahead.position(), 0);
    });
}
