//! Entries of one's own that answer again and again.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_core::Stream;
use spargio::driver::Sqe;
use spargio::native::{NativeOps, UringCqe, UringNativeAny};

use super::{FIRST, SECOND, settle, start};
use crate::support::{SOON, elsewhere, wait_until, watched};

const READABLE: u32 = libc::POLLIN as u32;

/// Watches a socket.
fn watch_it(native: &UringNativeAny, socket: Arc<UnixStream>) -> NativeOps<UringCqe> {
    // SAFETY: the entry names no memory, and what is owned keeps the descriptor open.
    unsafe {
        native.submit_unsafe_multi(
            socket,
            |socket| Ok(Sqe::poll_multi(socket.as_raw_fd(), READABLE)),
            |cqe| cqe.check().map(|_| cqe),
        )
    }
}

/// Accepts.
fn accept_all(native: &UringNativeAny, listener: Arc<TcpListener>) -> NativeOps<OwnedFd> {
    // SAFETY: the descriptor in an answer is new and taken once.
    let accepted = |fd: u32| unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // SAFETY: the entry names no memory, and what is owned keeps the descriptor open.
    unsafe {
        native.submit_unsafe_multi_on_shard(
            FIRST,
            listener,
            |listener| Ok(Sqe::accept_multi(listener.as_raw_fd(), libc::SOCK_CLOEXEC)),
            move |cqe| cqe.check().map(accepted),
        )
    }
}

/// Polls once.
async fn look<T>(ops: &mut NativeOps<T>) -> Poll<Option<io::Result<T>>> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *ops).poll_next(cx))).await
}

#[test]
fn a_poll_answers_again_and_again_until_it_is_cancelled() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Arc::new(near);
        elsewhere(async {
            let mut polls = watch_it(&native, Arc::clone(&near));
            assert!(look(&mut polls).await.is_pending());
            assert_eq!(native.active_native_op_shard(polls.id()), Some(polls.shard()));
            for _ in 0..5 {
                far.write_all(b"x").unwrap();
                let answer = polls.next().await.unwrap().unwrap();
                assert!(answer.has_more());
                (&*near).read_exact(&mut [0]).unwrap();
            }
            assert_eq!(native.active_native_op_count(), 1);
            polls.cancel();
            let mut last = polls.next().await.unwrap();
            // A wake that was on its way.
            while last.is_ok() {
                last = polls.next().await.unwrap();
            }
            assert_eq!(last.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            assert!(polls.next().await.is_none());
            assert!(polls.next().await.is_none());
            assert_eq!(native.active_native_op_count(), 0);
        });
        settle(&native);
        assert_eq!(Arc::strong_count(&near), 1);
    });
}

#[test]
fn one_that_is_dropped_or_cancelled_at_any_stage_leaves_nothing() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Arc::new(near);
        elsewhere(async {
            for stage in 0..3 {
                for drops in [true, false] {
                    let mut polls = watch_it(&native, Arc::clone(&near));
                    if stage > 0 {
                        assert!(look(&mut polls).await.is_pending());
                    }
                    if stage > 1 {
                        far.write_all(b"x").unwrap();
                        polls.next().await.unwrap().unwrap();
                        (&*near).read_exact(&mut [0]).unwrap();
                    }
                    if drops {
                        drop(polls);
                    } else {
                        polls.cancel();
                        while let Some(answer) = polls.next().await {
                            if let Err(error) = answer {
                                assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                            }
                        }
                    }
                    settle(&native);
                    wait_until("the descriptor is let go", || Arc::strong_count(&near) == 1);
                }
            }
        });
    });
}

#[test]
fn connections_that_nobody_takes_are_closed() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        elsewhere(async {
            let mut accepted = accept_all(&native, Arc::clone(&listener));
            let peer = TcpStream::connect(addr).unwrap();
            let first = TcpStream::from(accepted.next().await.unwrap().unwrap());
            assert_eq!(first.peer_addr().unwrap(), peer.local_addr().unwrap());
            let peers: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
            // One more, so that those before have been accepted.
            accepted.next().await.unwrap().unwrap();
            drop(accepted);
            settle(&native);
            wait_until("the listener is let go", || Arc::strong_count(&listener) == 1);
            drop(listener);
            for mut peer in peers {
                peer.set_read_timeout(Some(SOON)).unwrap();
                let read = peer.read(&mut [0]);
                let is_over = |kind| kind == io::ErrorKind::ConnectionReset;
                assert!(matches!(&read, Ok(0)) || read.is_err_and(|e| is_over(e.kind())));
            }
        });
    });
}

#[test]
fn at_the_limit_it_is_cancelled_and_what_came_can_be_taken() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        elsewhere(async {
            let mut accepted = accept_all(&native, Arc::clone(&listener)).limit(3);
            assert!(look(&mut accepted).await.is_pending());
            let _peers: Vec<_> = (0..8).map(|_| TcpStream::connect(addr).unwrap()).collect();
            settle(&native);
            let mut count = 0;
            let error = loop {
                match accepted.next().await.unwrap() {
                    Ok(_) => count += 1,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(error.to_string().starts_with("3 answers"), "{error}");
            assert!((3..=8).contains(&count), "{count}");
            assert!(accepted.next().await.is_none());
        });
    });
}

#[test]
fn a_runtime_ends_with_them_in_flight() {
    watched(|watch| {
        let (runtime, native) = start(watch, 2);
        let pairs: Vec<_> = (0..6).map(|_| UnixStream::pair().unwrap()).collect();
        let (mut waited, mut dropped) = (Vec::new(), Vec::new());
        let near: Vec<_> = pairs.iter().map(|(near, _)| near.try_clone().unwrap()).collect();
        elsewhere(async {
            for (index, near) in near.into_iter().enumerate() {
                let mut polls = watch_it(&native, Arc::new(near));
                assert!(look(&mut polls).await.is_pending());
                if index % 2 == 0 { waited.push(polls) } else { dropped.push(polls) }
            }
        });
        drop(dropped);
        drop(runtime);
        elsewhere(async {
            for mut polls in waited {
                polls.next().await.unwrap().unwrap_err();
                assert!(polls.next().await.is_none());
            }
            // And one that comes too late.
            let (near, _far) = UnixStream::pair().unwrap();
            let mut late = watch_it(&native, Arc::new(near));
            let error = late.next().await.unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            assert!(late.next().await.is_none());
        });
        settle(&native);
    });
}

#[test]
fn without_an_entry_the_error_is_the_only_item() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        let build = |_: &mut ()| Err(io::Error::other("no entry"));
        // SAFETY: there is no entry.
        let mut none = unsafe { native.submit_unsafe_multi((), build, |cqe| cqe.check()) };
        elsewhere(async {
            assert_eq!(none.next().await.unwrap().unwrap_err().to_string(), "no entry");
            assert!(none.next().await.is_none());
        });
        none.cancel();
        // SAFETY: the entry names nothing.
        let mut nowhere = unsafe {
            native.submit_unsafe_multi_on_shard(2, (), |()| Ok(Sqe::nop()), |cqe| cqe.check())
        };
        elsewhere(async {
            let error = nowhere.next().await.unwrap().unwrap_err();
            assert!(error.to_string().contains("no shard 2"), "{error}");
        });
        // SAFETY: the entry names nothing.
        let mut once = unsafe {
            native.submit_unsafe_multi_on_shard(SECOND, (), |()| Ok(Sqe::nop()), |cqe| cqe.check())
        };
        elsewhere(async {
            assert_eq!(once.next().await.unwrap().unwrap(), 0);
            assert!(once.next().await.is_none());
        });
        settle(&native);
    });
}
