//! Operations that are called off: the buffer comes back, with what became of them all the same.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::task::Poll;

use spargio::Runtime;
use spargio::net::UnixStream;

use super::{block_on, on_shard, pair, pattern, poll_once, read_total, until_woken};

fn is_called_off<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ECANCELED))
}

#[test]
fn a_read_that_waits_hands_its_buffer_back_and_takes_nothing() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        // Before its first poll, and in flight.
        for polls in 0..2 {
            let buf: Vec<u8> = Vec::with_capacity(100);
            let place = buf.as_ptr().addr();
            let mut read = stream.read(buf);
            for _ in 0..polls {
                assert!(poll_once(&mut read).await.is_pending());
            }
            let (result, buf) = read.cancel().await;
            assert!(is_called_off(&result), "{result:?}");
            assert_eq!((buf.as_ptr().addr(), buf.len(), buf.capacity()), (place, 0, 100));
        }
        peer.write_all(b"hello").unwrap();
        assert_eq!(read_total(&stream, 5).await, b"hello");
        assert_eq!(stream.read(Vec::<u8>::new()).cancel().await.0.unwrap(), 0);
    });
}

#[test]
fn a_read_that_has_brought_bytes_says_so() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut read = stream.read(vec![0; 16]);
        until_woken(&mut read, || peer.write_all(b"hello").unwrap()).await;
        let (result, buf) = read.cancel().await;
        assert_eq!((result.unwrap(), &buf[..]), (5, &b"hello"[..]));
        // What a dropped read left stays where it is.
        let mut dropped = stream.read(vec![0; 16]);
        until_woken(&mut dropped, || peer.write_all(b"again").unwrap()).await;
        drop(dropped);
        assert!(is_called_off(&stream.read(vec![0; 16]).cancel().await.0));
        assert_eq!(read_total(&stream, 5).await, b"again");
        let mut read = stream.read(vec![0; 16]);
        until_woken(&mut read, || peer.shutdown(Shutdown::Write).unwrap()).await;
        assert_eq!(read.cancel().await.0.unwrap(), 0);
    });
}

#[test]
fn bytes_race_with_a_cancel_and_none_is_lost() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut got = Vec::new();
        for round in 0..300_usize {
            let mut read = stream.read(vec![0; 64]);
            assert!(poll_once(&mut read).await.is_pending());
            peer.write_all(&[round as u8]).unwrap();
            let (result, buf) = read.cancel().await;
            match result {
                Ok(count) => got.extend_from_slice(&buf[..count]),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
            }
            while got.len() <= round {
                got.extend(read_total(&stream, 1).await);
            }
        }
        assert!(got.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    });
}

#[test]
fn a_write_says_how_much_has_gone() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let (result, text) = stream.write(b"never".to_vec()).cancel().await;
        assert!(is_called_off(&result) && text == b"never", "{result:?}");
        let bytes = pattern(1 << 20);
        let mut sent = 0;
        for _ in 0..5 {
            loop {
                let mut write = stream.write(bytes[sent % bytes.len()..].to_vec());
                match poll_once(&mut write).await {
                    Poll::Ready((count, _)) => sent += count.unwrap(),
                    Poll::Pending => {
                        let (result, _) = write.cancel().await;
                        match result {
                            Ok(count) => sent += count,
                            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
                        }
                        break;
                    }
                }
            }
            // To the byte.
            let mut got = vec![0; 100_000.min(sent)];
            peer.read_exact(&mut got).unwrap();
            sent -= got.len();
            let mut rest = vec![0; sent];
            peer.read_exact(&mut rest).unwrap();
            got.extend(rest);
            assert!(got.iter().zip(bytes.iter().cycle()).all(|(got, sent)| got == sent));
            sent = 0;
        }
        stream.shutdown(Shutdown::Write).await.unwrap();
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    });
}

#[test]
fn away_from_shards_operations_are_called_off_too() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    block_on(async {
        for _ in 0..50 {
            let (near, far) = UnixStream::pair_on(&handle).unwrap();
            let mut read = near.read(vec![0; 16]);
            assert!(poll_once(&mut read).await.is_pending());
            let (result, buf) = read.cancel().await;
            assert!(is_called_off(&result), "{result:?}");
            assert_eq!(buf.len(), 16);
            far.write_all("on").await.0.unwrap();
            assert_eq!(near.read(vec![0; 16]).await.0.unwrap(), 2);
        }
    });
}
