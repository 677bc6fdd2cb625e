//! Descriptors that go with the bytes of a stream: they come with their first byte, once, and are
//! closed when nobody takes them.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::pin;

use spargio::net::UnixStream;

use super::{blocking, on_shard, on_shards, pattern, poll_once, until_woken};

/// The reading ends, to be checked, and the writing ends, to be sent.
fn pipes(count: usize) -> (Vec<io::PipeReader>, Vec<OwnedFd>) {
    (0..count)
        .map(|_| {
            let (reader, writer) = io::pipe().unwrap();
            (reader, OwnedFd::from(writer))
        })
        .unzip()
}

/// Whether the other end of each is closed, without anything having come.
async fn are_closed(readers: Vec<io::PipeReader>) {
    for mut reader in readers {
        let read = blocking(move || reader.read(&mut [0; 1])).await;
        assert_eq!(read.unwrap(), 0);
    }
}

/// Receives and checks that these are the bytes; what came with them.
async fn receive(stream: &UnixStream, expected: &[u8], most: usize) -> Vec<OwnedFd> {
    let (result, buf) = stream.recv_fds(vec![0; 256], most).await;
    let (count, fds) = result.unwrap();
    assert_eq!(&buf[..count], expected);
    fds
}

#[test]
fn descriptors_come_with_their_bytes_and_are_of_the_same_files() {
    on_shards(2, async {
        let (near, far) = UnixStream::pair().unwrap();
        for count in [0, 1, 3, 253] {
            let (mut readers, writers) = pipes(count);
            near.send_fds("ping", writers).await.0.unwrap();
            let fds = receive(&far, b"ping", 253).await;
            assert_eq!(fds.len(), count);
            for (fd, reader) in fds.into_iter().zip(&mut readers) {
                // SAFETY: the call takes no memory.
                let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
                assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
                File::from(fd).write_all(b"x").unwrap();
                let mut got = [0; 2];
                assert_eq!(reader.read(&mut got).unwrap(), 1);
            }
            // Nobody has a writing end any more, the sender included.
            are_closed(readers).await;
        }
    });
}

#[test]
fn those_of_two_sends_come_one_after_the_other() {
    on_shard(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (readers, mut writers) = pipes(3);
        near.send_fds("ab", writers.drain(..1)).await.0.unwrap();
        near.send_fds("cd", writers).await.0.unwrap();
        near.write_all("ef").await.0.unwrap();
        assert_eq!(receive(&far, b"ab", 8).await.len(), 1);
        assert_eq!(receive(&far, b"cd", 8).await.len(), 2);
        assert_eq!(receive(&far, b"ef", 8).await.len(), 0);
        are_closed(readers).await;
    });
}

#[test]
fn more_than_there_is_room_for_are_closed_and_an_error() {
    on_shard(async {
        let (near, far) = UnixStream::pair().unwrap();
        // Room is rounded up, which must not let one more through; and far too many do not fit.
        for (sent, most) in [(2, 1), (1, 0), (4, 3), (253, 3)] {
            let (readers, writers) = pipes(sent);
            near.send_fds("ping", writers).await.0.unwrap();
            let (result, buf) = far.recv_fds(vec![0; 16], most).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains(&format!("than the {most} ")), "{error}");
            assert_eq!(&buf[..4], b"ping");
            are_closed(readers).await;
        }
    });
}

#[test]
fn limits_are_named() {
    on_shard(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (readers, mut writers) = pipes(254);
        let (result, buf) = near.send_fds("ping", writers.drain(..)).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind(), buf), (io::ErrorKind::InvalidInput, "ping"));
        assert!(error.to_string().contains("254") && error.to_string().contains("253"), "{error}");
        are_closed(readers).await;
        let (readers, writers) = pipes(1);
        let error = near.send_fds("", writers).await.0.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        are_closed(readers).await;
        let error = far.recv_fds(vec![0; 4], 254).await.0.unwrap_err();
        assert!(error.to_string().contains("254") && error.to_string().contains("253"), "{error}");
        let error = far.recv_fds(Vec::new(), 1).await.0.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_dropped_receive_leaves_bytes_and_descriptors_to_the_next() {
    on_shard(async {
        let (near, far) = UnixStream::pair().unwrap();
        let near = near.into_std().unwrap();
        for arrives_before_the_drop in [true, false] {
            let (readers, writers) = pipes(2);
            // A second stream in the same send, to be told of the first bytes.
            let sender = UnixStream::from_std(near.try_clone().unwrap()).unwrap();
            {
                let mut pending = Box::pin(far.recv_fds(vec![0; 256], 2));
                if arrives_before_the_drop {
                    let mut send = Box::pin(sender.send_fds("ping", writers));
                    assert!(poll_once(&mut pending).await.is_pending());
                    // Sent at once, by a direct call.
                    until_woken(&mut pending, || {
                        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                        assert!(send.as_mut().poll(&mut cx).is_ready());
                    })
                    .await;
                } else {
                    assert!(poll_once(&mut pending).await.is_pending());
                    drop(pending);
                    sender.send_fds("ping", writers).await.0.unwrap();
                }
            }
            // The first two bytes, and all descriptors with them.
            let (result, buf) = far.recv_fds(vec![0; 2], 2).await;
            let (count, fds) = result.unwrap();
            assert_eq!((&buf[..count], fds.len()), (&b"pi"[..], 2));
            drop(fds);
            assert_eq!(receive(&far, b"ng", 2).await.len(), 0);
            are_closed(readers).await;
        }
    });
}

#[test]
fn a_plain_read_takes_the_bytes_of_a_dropped_receive_and_closes_its_descriptors() {
    on_shard(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (readers, writers) = pipes(2);
        assert!(poll_once(&mut pin!(far.recv_fds(vec![0; 256], 2))).await.is_pending());
        near.send_fds("ping", writers).await.0.unwrap();
        let (read, buf) = far.read(vec![0; 16]).await;
        assert_eq!(&buf[..read.unwrap()], b"ping");
        are_closed(readers).await;
        // And the other way round.
        assert!(poll_once(&mut far.read(vec![0; 256])).await.is_pending());
        near.write_all("pong").await.0.unwrap();
        assert!(receive(&far, b"pong", 1).await.is_empty());
        // A stream that is dropped closes what nobody took.
        let (readers, writers) = pipes(2);
        assert!(poll_once(&mut pin!(far.recv_fds(vec![0; 256], 2))).await.is_pending());
        near.send_fds("ping", writers).await.0.unwrap();
        drop((near, far));
        are_closed(readers).await;
    });
}

#[test]
fn more_bytes_than_there_is_room_for_are_all_sent() {
    const LEN: usize = 2_000_000;
    on_shards(2, async {
        let (near, far) = UnixStream::pair().unwrap();
        let (readers, writers) = pipes(1);
        let sent =
            spargio::spawn(async move { near.send_fds(pattern(LEN), writers).await.0 }).unwrap();
        let (result, buf) = far.recv_fds(vec![0; LEN], 1).await;
        let (count, fds) = result.unwrap();
        assert_eq!(fds.len(), 1);
        drop(fds);
        let mut all = buf[..count].to_vec();
        while all.len() < LEN {
            let (read, rest) = far.read(vec![0; LEN - all.len()]).await;
            let read = read.unwrap();
            assert_ne!(read, 0);
            all.extend(&rest[..read]);
        }
        assert!(all == pattern(LEN));
        sent.await.unwrap().unwrap();
        are_closed(readers).await;
    });
}
