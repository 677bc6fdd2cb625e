//! Operations that are called off: what they own comes back, with what became of them.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use spargio::driver::Sqe;
use spargio::native::{NativeExt, NativeOp, UringNativeAny};

use super::{Dir, FIRST, SECOND, poll_once, settle, start};
use crate::support::{Plug, elsewhere, wait_until, watched};

type Transferred = (io::Result<usize>, Vec<u8>);

fn is_called_off(result: &io::Result<usize>) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(libc::ECANCELED))
}

fn pair() -> (Arc<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (Arc::new(near), far)
}

/// Receives up to 8 bytes.
fn recv(native: &UringNativeAny, near: &Arc<UnixStream>) -> NativeOp<Transferred> {
    native.recv_owned(Arc::clone(near), Vec::with_capacity(8))
}

/// The receive was called off and has taken nothing.
#[track_caller]
fn assert_nothing_came((result, buf): Transferred) {
    assert!(is_called_off(&result), "{result:?}");
    assert_eq!((buf.len(), buf.capacity()), (0, 8));
}

/// The receive was called off, or was refused by a runtime that ends, and has taken nothing.
#[track_caller]
fn assert_came_back((result, buf): Transferred) {
    let is_refused = matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
    assert!(is_refused || is_called_off(&result), "{result:?}");
    assert_eq!((buf.len(), buf.capacity()), (0, 8));
}

#[test]
fn what_was_not_begun_is_not_done_and_comes_back() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let (near, mut far) = pair();
        far.write_all(b"here").unwrap();
        assert_nothing_came(elsewhere(recv(&native, &near).cancel()));
        assert_eq!(elsewhere(recv(&native, &near)).1, b"here");

        let dir = Dir::new(watch);
        let path = dir.0.join("file");
        std::fs::write(&path, "before").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let (result, buf) = elsewhere(native.write_at(file, 0, b"after".to_vec()).cancel());
        assert!(is_called_off(&result), "{result:?}");
        assert_eq!(buf, b"after");
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
        settle(&native);
        assert_eq!(Arc::strong_count(&near), 1);
    });
}

#[test]
fn what_an_entry_of_ones_own_owns_comes_back_through_its_closure() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let make = |socket: UnixStream| {
            // SAFETY: the bytes and the descriptor are in what is owned, and nobody else's; the
            // length is that of the bytes.
            unsafe {
                native.submit_unsafe(
                    (socket, Box::new([0u8; 4])),
                    |(socket, bytes)| Ok(Sqe::recv(socket.as_raw_fd(), bytes.as_mut_ptr(), 4, 0)),
                    |(socket, _), cqe| Ok((socket, cqe.result)),
                )
            }
        };
        let (near, _far) = UnixStream::pair().unwrap();
        elsewhere(async {
            // Not begun, then begun.
            let (near, result) = make(near).cancel().await.unwrap();
            assert_eq!(result, -libc::ECANCELED);
            let mut begun = make(near);
            assert!(poll_once(&mut begun).await.is_pending());
            let (_near, result) = begun.cancel().await.unwrap();
            assert_eq!(result, -libc::ECANCELED);
        });
        settle(&native);
    });
}

#[test]
fn a_receive_that_waits_is_called_off_from_wherever_it_is() {
    watched(|watch| {
        let (runtime, native) = start(watch, 2);
        let (near, _far) = pair();
        let first = native.with_preferred_shard(FIRST).unwrap();
        // A thread that is no shard, the shard of the ring, and the other.
        elsewhere(async {
            let mut read = recv(&first, &near);
            assert!(poll_once(&mut read).await.is_pending());
            assert_nothing_came(read.cancel().await);
        });
        for shard in [FIRST, SECOND] {
            let (first, near) = (first.clone(), Arc::clone(&near));
            let task = runtime.handle().spawn_pinned(shard, async move {
                let mut read = recv(&first, &near);
                assert_eq!(read.shard(), FIRST);
                assert!(poll_once(&mut read).await.is_pending());
                assert_nothing_came(read.cancel().await);
            });
            elsewhere(task.unwrap()).unwrap();
        }
        // Begun on one shard, called off on the other.
        let mut read = recv(&first, &near);
        let begin = runtime.handle().spawn_pinned(FIRST, async move {
            assert!(poll_once(&mut read).await.is_pending());
            [read]
        });
        let [read] = elsewhere(begin.unwrap()).unwrap();
        let end = runtime.handle().spawn_pinned(SECOND, read.cancel());
        assert_nothing_came(elsewhere(end.unwrap()).unwrap());
        settle(&native);
        assert_eq!(Arc::strong_count(&near), 1);
    });
}

#[test]
fn an_operation_that_was_faster_has_its_own_outcome() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let ((near, mut far), (other, mut next)) = (pair(), pair());
        far.write_all(b"fast").unwrap();
        next.write_all(b"x").unwrap();
        elsewhere(async {
            let mut read = recv(&native, &near);
            assert!(poll_once(&mut read).await.is_pending());
            // The ring takes one after the other, and both have their bytes.
            assert_eq!(recv(&native, &other).await.1, b"x");
            let (result, buf) = read.cancel().await;
            assert_eq!((result.unwrap(), &buf[..]), (4, &b"fast"[..]));
        });
        settle(&native);
    });
}

#[test]
fn bytes_that_come_at_the_same_time_are_in_one_place() {
    watched(|watch| {
        let (runtime, native) = start(watch, 2);
        let (near, mut far) = pair();
        for round in 0..300u32 {
            let mut read = recv(&native.with_preferred_shard(FIRST).unwrap(), &near);
            let socket = Arc::clone(&near);
            let task = runtime.handle().spawn_pinned(round as u16 % 2, async move {
                assert!(poll_once(&mut read).await.is_pending());
                let sending = thread::spawn(move || {
                    far.write_all(&round.to_ne_bytes()).unwrap();
                    far
                });
                let (result, mut buf) = read.cancel().await;
                let far = sending.join().unwrap();
                match result {
                    Ok(count) => assert_eq!(count, 4),
                    called_off => {
                        assert!(is_called_off(&called_off), "{called_off:?}");
                        assert!(buf.is_empty());
                        buf.resize(4, 0);
                        (&*socket).read_exact(&mut buf).unwrap();
                    }
                }
                assert_eq!(buf, round.to_ne_bytes());
                far
            });
            far = elsewhere(task.unwrap()).unwrap();
        }
        settle(&native);
    });
}

#[test]
fn one_on_its_way_to_a_shard_that_is_busy_is_called_off_there() {
    watched(|watch| {
        let (runtime, native) = start(watch, 1);
        let (near, mut far) = pair();
        let plug = Plug::new(&runtime.handle(), 0);
        let mut read = recv(&native, &near);
        elsewhere(async { assert!(poll_once(&mut read).await.is_pending()) });
        let waiting = thread::spawn(move || elsewhere(read.cancel()));
        thread::sleep(Duration::from_millis(2));
        drop(plug);
        assert_nothing_came(waiting.join().unwrap());
        far.write_all(b"later").unwrap();
        assert_eq!(elsewhere(recv(&native, &near)).1, b"later");
        settle(&native);
    });
}

#[test]
fn what_is_called_off_while_the_runtime_ends_or_after_comes_back() {
    watched(|watch| {
        let (near, _far) = pair();
        for rounds in 0..20u64 {
            let (runtime, native) = start(watch, 2);
            let unbegun = recv(&native, &near);
            let (mut early, mut late) = (recv(&native, &near), recv(&native, &near));
            elsewhere(async {
                assert!(poll_once(&mut early).await.is_pending());
                assert!(poll_once(&mut late).await.is_pending());
            });
            let ending = thread::spawn(move || {
                thread::sleep(Duration::from_micros(20 * rounds));
                drop(runtime);
            });
            assert_came_back(elsewhere(early.cancel()));
            ending.join().unwrap();
            assert_came_back(elsewhere(late.cancel()));
            assert_nothing_came(elsewhere(unbegun.cancel()));
            // Begun too late: it is refused, and says so.
            let (result, buf) = elsewhere(recv(&native, &near));
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(buf.capacity(), 8);
            wait_until("the descriptor is let go", || Arc::strong_count(&near) == 1);
        }
    });
}

#[test]
fn calling_off_may_be_given_up_at_every_await() {
    watched(|watch| {
        let (runtime, native) = start(watch, 2);
        let (near, _far) = pair();
        for shard in [FIRST, SECOND] {
            for polls in 0..3 {
                let (native, near) = (native.clone(), Arc::clone(&near));
                let task = runtime.handle().spawn_pinned(shard, async move {
                    let mut read = recv(&native.with_preferred_shard(FIRST).unwrap(), &near);
                    assert!(poll_once(&mut read).await.is_pending());
                    let mut ending = Box::pin(read.cancel());
                    for _ in 0..polls {
                        if poll_once(&mut ending).await.is_ready() {
                            return;
                        }
                    }
                });
                elsewhere(task.unwrap()).unwrap();
            }
        }
        settle(&native);
        wait_until("the descriptor is let go", || Arc::strong_count(&near) == 1);
    });
}

#[test]
fn what_is_known_without_the_kernel_is_handed_over() {
    watched(|watch| {
        let (runtime, native) = start(watch, 1);
        let handle = runtime.handle();
        let (near, _far) = pair();
        // SAFETY: there is no such shard, so there is no entry.
        let refused = unsafe {
            native.submit_unsafe_on_shard(7, (), |()| Ok(Sqe::nop()), |(), cqe| cqe.check())
        };
        assert_eq!(elsewhere(refused.cancel()).unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(runtime);
        let write = handle.native_write_at(Arc::clone(&near), u64::MAX, b"none".to_vec());
        let (result, buf) = elsewhere(write.cancel());
        assert!(result.is_err());
        assert_eq!(buf, b"none");
    });
}

#[test]
fn a_batch_that_is_called_off_says_how_far_it_came() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        let (near, mut far) = pair();
        let bufs = || vec![Vec::<u8>::with_capacity(3), Vec::with_capacity(4)];
        let capacities = |bufs: &[Vec<u8>]| bufs.iter().map(Vec::capacity).collect::<Vec<_>>();
        elsewhere(async {
            // Not begun, begun, and after the first.
            let (result, back) = native.recv_batch_into(Arc::clone(&near), bufs()).cancel().await;
            assert!(is_called_off(&result), "{result:?}");
            assert_eq!(capacities(&back), [3, 4]);
            let mut begun = native.recv_batch_into(Arc::clone(&near), bufs());
            assert!(poll_once(&mut begun).await.is_pending());
            let (result, back) = begun.cancel().await;
            assert!(is_called_off(&result), "{result:?}");
            assert_eq!(capacities(&back), [3, 4]);
            far.write_all(b"one").unwrap();
            let mut begun = native.recv_batch_into(Arc::clone(&near), bufs());
            assert!(poll_once(&mut begun).await.is_pending());
            // It is at the second when there is nothing left to receive.
            wait_until("the first has come", || {
                let polled = pin!(&mut begun).poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
                unread(&near) == 0
            });
            let (result, back) = begun.cancel().await;
            assert_eq!(result.unwrap(), 3);
            assert_eq!((&back[0][..], back[1].capacity()), (&b"one"[..], 4));
        });
        settle(&native);
    });
}

/// How many bytes lie in a socket.
fn unread(socket: &UnixStream) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the call writes one number, for which there is room.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &mut count) };
    assert_eq!(result, 0);
    count as usize
}

#[test]
fn a_batch_of_sends_that_is_called_off_has_sent_what_it_says() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let (near, mut far) = pair();
        let bufs: Vec<Vec<u8>> = (0..4u8).map(|number| vec![number; 200_000]).collect();
        let all = bufs.concat();
        elsewhere(async {
            let mut sends = native.send_all_batch(Arc::clone(&near), bufs);
            assert!(poll_once(&mut sends).await.is_pending());
            wait_until("the socket is full", || unread(&far) > 0);
            let (result, back) = sends.cancel().await;
            let sent = result.unwrap();
            assert!(sent > 0 && sent < all.len());
            assert_eq!(back.concat(), all);
            // There is nothing behind what the result says.
            let mut got = vec![0; sent];
            far.read_exact(&mut got).unwrap();
            assert_eq!(got, all[..sent]);
            assert_eq!(unread(&far), 0);
        });
        settle(&native);
    });
}

#[test]
fn a_receive_of_many_buffers_that_is_called_off_hands_over_what_came() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        let (near, mut far) = pair();
        elsewhere(async {
            let none = native.recv_multishot(Arc::clone(&near), 100).cancel().await;
            assert_eq!(none.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            for wants_segments in [true, false] {
                far.write_all(b"some").unwrap();
                let bytes = if wants_segments {
                    let mut came = native.recv_multishot_segments(Arc::clone(&near), 100);
                    assert!(poll_once(&mut came).await.is_pending());
                    wait_until("the bytes are taken", || unread(&near) == 0);
                    let came = came.cancel().await.unwrap();
                    assert!(came.error.is_none(), "{came:?}");
                    assert_eq!(came.segments.len(), 1);
                    came.buffer
                } else {
                    let mut came = native.recv_multishot(Arc::clone(&near), 100);
                    assert!(poll_once(&mut came).await.is_pending());
                    wait_until("the bytes are taken", || unread(&near) == 0);
                    came.cancel().await.unwrap()
                };
                assert_eq!(bytes, b"some");
            }
            // Nothing hinders the next.
            far.write_all(b"next").unwrap();
            assert_eq!(native.recv(Arc::clone(&near), 8).await.unwrap(), b"next");
        });
        settle(&native);
    });
}
