//! Sending and receiving by descriptor.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use spargio::Runtime;
use spargio::native::UringNativeAny;

use super::{SECOND, poll_once, settle, start};
use crate::support::{elsewhere, wait_until, watched};

#[test]
fn bytes_go_and_come_with_their_buffers() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Arc::new(near);
        elsewhere(async {
            let (sent, text) = native.send(Arc::clone(&near), "hello").await;
            assert_eq!((sent.unwrap(), text), (5, "hello"));
            let mut got = [0; 5];
            far.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"hello");
            far.write_all(b"reply").unwrap();
            assert_eq!(native.recv(Arc::clone(&near), 3).await.unwrap(), b"rep");
            let (count, buf) = native.recv_owned(Arc::clone(&near), vec![9; 4]).await;
            assert_eq!((count.unwrap(), buf), (2, b"ly".to_vec()));
            drop(far);
            assert_eq!(native.recv(Arc::clone(&near), 3).await.unwrap(), b"");
            let (sent, _) = native.send(Arc::clone(&near), "late").await;
            assert_eq!(sent.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
        });
        settle(&native);
    });
}

#[test]
fn a_batch_goes_in_order_whatever_the_room() {
    watched(|watch| {
        const LENGTH: usize = 700_000;
        let (_runtime, native) = start(watch, 2);
        let (near, mut far) = UnixStream::pair().unwrap();
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            far.read_to_end(&mut all).unwrap();
            all
        });
        let bufs: Vec<Vec<u8>> = (0..4).map(|number| vec![number; LENGTH]).collect();
        let (sent, back) = elsewhere(native.send_all_batch(near, bufs));
        assert_eq!((sent.unwrap(), back.len()), (4 * LENGTH, 4));
        let all = reader.join().unwrap();
        assert_eq!(all.len(), 4 * LENGTH);
        assert!(all.is_sorted(), "no byte of a later buffer comes before one of an earlier");
        settle(&native);
    });
}

#[test]
fn a_batch_of_receives_takes_one_datagram_each_and_ends_with_a_stream() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        for text in ["one", "three"] {
            sender.send(text.as_bytes()).unwrap();
        }
        let bufs = || vec![Vec::with_capacity(64), Vec::with_capacity(64)];
        let (count, got) = elsewhere(native.recv_batch_into(receiver, bufs()));
        assert_eq!((count.unwrap(), got), (8, vec![b"one".to_vec(), b"three".to_vec()]));

        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"all").unwrap();
        drop(far);
        let (count, got) = elsewhere(native.recv_batch_into(near, bufs()));
        assert_eq!((count.unwrap(), got), (3, vec![b"all".to_vec(), Vec::new()]));
        settle(&native);
    });
}

#[test]
fn a_socket_stays_on_its_shard_while_an_operation_or_a_lease_lasts() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 3);
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Arc::new(near);
        elsewhere(async {
            assert_eq!(native.fd_affinity_shard(&near), None);
            let first = native.recv(Arc::clone(&near), 1);
            assert_eq!(native.fd_affinity_shard(&near), Some(first.shard()));
            let second = native.with_preferred_shard(SECOND).unwrap().recv(Arc::clone(&near), 1);
            assert_eq!(second.shard(), first.shard());
            far.write_all(b"ab").unwrap();
            assert_eq!(first.await.unwrap(), b"a");
            assert_eq!(second.await.unwrap(), b"b");
            assert_eq!(native.fd_affinity_shard(&near), None);

            let lease = native.acquire_affinity_on(SECOND, Arc::clone(&near)).unwrap();
            let other = native.acquire_affinity(Arc::clone(&near));
            assert_eq!((lease.shard(), other.shard()), (SECOND, SECOND));
            for _ in 0..6 {
                let (sent, _) = native.send(Arc::clone(&near), "x").await;
                assert_eq!(sent.unwrap(), 1);
                assert_eq!(native.send(Arc::clone(&near), "y").shard(), SECOND);
            }
            drop(lease);
            assert_eq!(native.fd_affinity_shard(&near), Some(SECOND));
            let back = other.release();
            assert!(Arc::ptr_eq(&back, &near));
            assert_eq!(native.fd_affinity_shard(&near), None);
            native.acquire_affinity_on(7, back).unwrap_err();
        });
        settle(&native);
    });
}

#[test]
fn a_receive_that_was_dropped_is_listed_until_the_kernel_has_let_go() {
    watched(|watch| {
        let (runtime, native) = start(watch, 1);
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Arc::new(near);
        elsewhere(async {
            let mut recv = native.recv(Arc::clone(&near), 8);
            let id = recv.id();
            assert!(poll_once(&mut recv).await.is_pending());
            assert_eq!(native.active_native_op_shard(id), Some(recv.shard()));
            assert_eq!(native.active_native_ops()[0].id, id);
            assert_eq!(native.active_native_op_count(), 1);
            drop(recv);
            settle(&native);
            assert_eq!(native.active_native_op_shard(id), None);
            wait_until("the receive has let go of the socket", || Arc::strong_count(&near) == 1);
            // It takes nothing any more.
            far.write_all(b"next").unwrap();
            assert_eq!(native.recv(Arc::clone(&near), 8).await.unwrap(), b"next");
        });
        drop(runtime);
    });
}

#[test]
fn sockets_that_do_not_block_are_waited_for_as_well() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let near = Arc::new(near);
        elsewhere(async {
            let mut recv = native.recv(Arc::clone(&near), 8);
            assert!(poll_once(&mut recv).await.is_pending());
            far.write_all(b"later").unwrap();
            assert_eq!(recv.await.unwrap(), b"later");
        });
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            far.read_to_end(&mut all).unwrap();
            all.len()
        });
        let (sent, _) = elsewhere(native.send_all_batch(near, vec![vec![1u8; 3_000_000]; 2]));
        assert_eq!((sent.unwrap(), reader.join().unwrap()), (6_000_000, 6_000_000));
        settle(&native);
    });
}

#[test]
fn one_receive_gathers_what_comes_until_there_is_enough() {
    watched(|watch| {
        for buffers in [0, 64] {
            let builder = Runtime::builder().shards(2).recv_buffers(buffers, buffers);
            let runtime = watch.build(builder);
            let native = UringNativeAny::new_on(&runtime.handle()).unwrap();
            let (near, mut far) = UnixStream::pair().unwrap();
            let near = Arc::new(near);
            let writer = thread::spawn(move || {
                for part in 0..40u8 {
                    far.write_all(&[part; 10_000]).unwrap();
                }
                far
            });
            let mut all = elsewhere(native.recv_multishot(Arc::clone(&near), 100_000)).unwrap();
            assert!(all.len() >= 100_000, "{}", all.len());
            assert_eq!(native.fd_affinity_shard(&near), None);
            let more = native.recv_multishot_segments(Arc::clone(&near), 400_000 - all.len());
            let more = elsewhere(more).unwrap();
            let mut at = 0;
            for segment in &more.segments {
                assert_eq!(segment.offset, at);
                assert!(segment.len > 0);
                at += segment.len;
            }
            assert_eq!(at, more.buffer.len());
            all.extend(more.buffer);
            let expected: Vec<u8> = (0..40u8).flat_map(|part| [part; 10_000]).collect();
            assert_eq!(all, expected);
            // The end comes before there is enough.
            let mut far = writer.join().unwrap();
            far.write_all(b"rest").unwrap();
            drop(far);
            assert_eq!(elsewhere(native.recv_multishot(Arc::clone(&near), 100)).unwrap(), b"rest");
            assert_eq!(elsewhere(native.recv_multishot(near, 100)).unwrap(), b"");
            let file = std::fs::File::open("/").unwrap();
            let error = elsewhere(native.recv_multishot(file, 1)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
            settle(&native);
        }
    });
}

#[test]
fn bytes_before_an_error_come_with_it() {
    watched(|watch| {
        for buffers in [0, 64] {
            let builder = Runtime::builder().shards(1).recv_buffers(buffers, buffers);
            let runtime = watch.build(builder);
            let native = UringNativeAny::new_on(&runtime.handle()).unwrap();
            // What the far end has not read makes its end a reset.
            let reset = || {
                let (mut near, mut far) = UnixStream::pair().unwrap();
                near.write_all(b"unread").unwrap();
                far.write_all(b"last words").unwrap();
                near
            };
            let came = elsewhere(native.recv_multishot_segments(reset(), 100)).unwrap();
            assert_eq!(came.buffer, b"last words");
            assert_eq!(came.segments.iter().map(|segment| segment.len).sum::<usize>(), 10);
            let error = came.error.expect("the error is told");
            assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
            // There was enough before the error.
            let came = elsewhere(native.recv_multishot_segments(reset(), 10)).unwrap();
            assert_eq!(came.buffer, b"last words");
            // Without segments there is no place for both.
            let error = elsewhere(native.recv_multishot(reset(), 100)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
            settle(&native);
        }
    });
}

#[test]
fn a_gathering_that_was_dropped_leaves_nothing() {
    watched(|watch| {
        let (runtime, native) = start(watch, 1);
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Arc::new(near);
        elsewhere(async {
            let mut gather = Box::pin(native.recv_multishot(Arc::clone(&near), 1000));
            assert!(poll_once(&mut gather).await.is_pending());
            assert_eq!(native.active_native_op_count(), 1);
            far.write_all(b"some").unwrap();
            drop(gather);
            settle(&native);
            wait_until("the socket is let go", || Arc::strong_count(&near) == 1);
        });
        // Of a runtime that ends, one that has nothing learns of that.
        let (near, _far) = UnixStream::pair().unwrap();
        elsewhere(async {
            let mut gather = Box::pin(native.recv_multishot(near, 1000));
            assert!(poll_once(&mut gather).await.is_pending());
            drop(runtime);
            gather.await.unwrap_err();
        });
        settle(&native);
    });
}
