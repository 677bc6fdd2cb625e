//! Descriptors of others: who is told of readiness, when, and what a dropped wait leaves.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;

use spargio::Runtime;
use spargio::net::{AsyncFd, Interest};

use super::{Tell, block_on, on_shard, on_shards, poll_once, until_woken, yield_now};

/// A socket of ours that does not block, and its peer.
fn pair() -> (AsyncFd<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (AsyncFd::new(near).unwrap(), far)
}

/// Writes until there is no room; how much that was.
fn fill(mut stream: &UnixStream) -> usize {
    let mut total = 0;
    while let Ok(count) = stream.write(&[7; 4096]) {
        total += count;
    }
    total
}

fn read(mut stream: &UnixStream) -> io::Result<Vec<u8>> {
    let mut buf = [0; 4096];
    let count = stream.read(&mut buf)?;
    Ok(buf[..count].to_vec())
}

#[test]
fn a_wait_ends_when_something_is_there() {
    on_shard(async {
        let (fd, mut far) = pair();
        {
            let mut wait = Box::pin(fd.readable());
            until_woken(&mut wait, || far.write_all(b"ping").unwrap()).await;
            let mut guard = wait.await.unwrap();
            assert!(guard.ready().is_readable() && !guard.ready().is_read_closed());
            assert_eq!(guard.try_io(|fd| read(fd.get_ref())).unwrap().unwrap(), b"ping");
            guard.try_io(|fd| read(fd.get_ref())).unwrap_err();
            assert!(guard.ready().is_empty());
        }
        let mut wait = Box::pin(fd.readable());
        assert!(poll_once(&mut wait).await.is_pending());
        drop(far);
        let guard = wait.await.unwrap();
        assert!(guard.ready().is_read_closed() && guard.ready().is_readable());
    });
}

#[test]
fn what_is_ready_already_is_told_at_once_and_again() {
    on_shard(async {
        let (fd, mut far) = pair();
        far.write_all(b"ping").unwrap();
        for _ in 0..3 {
            assert!(fd.readable().await.unwrap().ready().is_readable());
            let both = fd.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
            assert!(both.ready().is_readable() && both.ready().is_writable());
        }
        // An error of the descriptor is no error of the wait.
        drop(far);
        assert!(fd.writable().await.unwrap().ready().is_write_closed());
    });
}

#[test]
fn a_writer_waits_for_room() {
    on_shard(async {
        let (fd, far) = pair();
        let mut filled = fill(fd.get_ref());
        let mut wait = Box::pin(fd.writable());
        assert!(poll_once(&mut wait).await.is_pending());
        while filled > 0 {
            filled -= read(&far).unwrap().len();
        }
        assert!(wait.await.unwrap().ready().is_writable());
    });
}

#[test]
fn async_io_makes_the_call_before_it_waits_and_after() {
    on_shard(async {
        let (mut fd, mut far) = pair();
        far.write_all(b"a").unwrap();
        let mut calls = 0;
        let mut call = |stream: &UnixStream| {
            calls += 1;
            read(stream)
        };
        assert_eq!(fd.async_io(Interest::READABLE, &mut call).await.unwrap(), b"a");
        {
            let mut wait = Box::pin(fd.async_io(Interest::READABLE, &mut call));
            until_woken(&mut wait, || far.write_all(b"b").unwrap()).await;
            assert_eq!(wait.await.unwrap(), b"b");
        }
        assert_eq!(calls, 3);
        far.write_all(b"c").unwrap();
        let count = fd.async_io_mut(Interest::READABLE, |stream| stream.read(&mut [0])).await;
        assert_eq!(count.unwrap(), 1);
        let failed = fd.async_io(Interest::READABLE, |_| Err::<(), _>(io::Error::other("mine")));
        assert_eq!(failed.await.unwrap_err().to_string(), "mine");
    });
}

#[test]
fn a_dropped_wait_leaves_what_is_there_to_the_next_and_lets_go_of_the_file() {
    on_shard(async {
        let (fd, mut far) = pair();
        for _ in 0..100 {
            let mut wait = Box::pin(fd.readable());
            assert!(poll_once(&mut wait).await.is_pending());
            drop(wait);
        }
        let mut wait = Box::pin(fd.readable());
        until_woken(&mut wait, || far.write_all(b"x").unwrap()).await;
        drop(wait);
        fd.readable().await.unwrap();
        assert_eq!(read(fd.get_ref()).unwrap(), b"x");
        // Nothing of ours keeps the socket open once the waits are cancelled.
        let mut wait = Box::pin(fd.readable());
        assert!(poll_once(&mut wait).await.is_pending());
        drop(wait);
        drop(fd.into_inner());
        let far = AsyncFd::new(far).unwrap();
        assert_eq!(far.async_io(Interest::READABLE, read).await.unwrap(), b"");
    });
}

#[test]
fn all_who_wait_are_told() {
    on_shards(2, async {
        let (fd, mut far) = pair();
        let fd = Arc::new(fd);
        let (begun, is_begun) = mpsc::channel();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (fd, begun) = (Arc::clone(&fd), begun.clone());
                let task = spargio::spawn(async move {
                    let mut wait = Box::pin(fd.readable());
                    assert!(poll_once(&mut wait).await.is_pending());
                    begun.send(()).unwrap();
                    wait.await.unwrap().ready().is_readable()
                });
                task.unwrap()
            })
            .collect();
        for _ in 0..8 {
            while is_begun.try_recv().is_err() {
                yield_now().await;
            }
        }
        far.write_all(b"x").unwrap();
        for task in tasks {
            assert!(task.await.unwrap());
        }
    });
}

#[test]
fn a_watch_tells_of_every_change() {
    on_shards(2, async {
        let (fd, mut far) = pair();
        let mut watch = fd.watch(Interest::READABLE);
        for round in 0..200u8 {
            let mut wait = Box::pin(watch.ready());
            if round % 2 == 0 {
                assert!(poll_once(&mut wait).await.is_pending(), "round {round}");
            }
            far.write_all(&[round]).unwrap();
            let mut guard = wait.await.unwrap();
            // A change that is told late finds that it was seen to.
            while guard.try_io(|fd| read(fd.get_ref())).is_ok_and(|read| {
                assert_eq!(read.unwrap(), [round]);
                true
            }) {}
        }
        drop(far);
        assert!(watch.ready().await.unwrap().ready().is_read_closed());
    });
}

#[test]
fn a_watch_keeps_what_it_was_told_until_it_is_cleared() {
    on_shard(async {
        let (fd, mut far) = pair();
        let mut watch = fd.watch(Interest::READABLE | Interest::WRITABLE);
        assert!(watch.ready().await.unwrap().ready().is_writable());
        let mut guard = watch.ready().await.unwrap();
        assert!(guard.ready().is_writable() && !guard.ready().is_readable());
        guard.clear_ready();
        let mut wait = Box::pin(watch.ready());
        // (The writer's side is told again, because the same event is about both.)
        until_woken(&mut wait, || far.write_all(b"x").unwrap()).await;
        drop(wait);
        for _ in 0..3 {
            let mut guard = watch.ready().await.unwrap();
            assert!(guard.ready().is_readable());
            guard.try_io(|_| Ok(())).unwrap().unwrap();
        }
        drop(watch);
        assert_eq!(read(fd.get_ref()).unwrap(), b"x");
    });
}

#[test]
fn what_cannot_be_waited_for_is_refused_and_comes_back() {
    on_shard(async {
        for path in ["/proc/self/exe", "/tmp"] {
            let file = File::open(path).unwrap();
            let number = file.as_raw_fd();
            let error = AsyncFd::try_new(file).unwrap_err();
            assert!(error.to_string().contains(&number.to_string()), "{error}");
            let (file, error) = error.into_parts();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{path}");
            assert_eq!(file.as_raw_fd(), number);
        }
        let (reader, mut writer) = io::pipe().unwrap();
        let fd = AsyncFd::new(OwnedFd::from(reader)).unwrap();
        let number = fd.as_raw_fd();
        writer.write_all(b"x").unwrap();
        fd.readable().await.unwrap();
        assert_eq!(fd.into_inner().as_raw_fd(), number);
    });
    let (reader, _writer) = io::pipe().unwrap();
    let error = AsyncFd::new(reader).unwrap_err();
    assert!(error.to_string().contains("AsyncFd::new_on"), "{error}");
}

#[test]
fn a_thread_and_executor_of_somebody_else_may_wait() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    let thread = thread::spawn(move || {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let fd = AsyncFd::new_on(&handle, near).unwrap();
        let (woken, is_woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Tell(woken)));
        let mut wait = pin!(fd.readable());
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        far.write_all(b"x").unwrap();
        is_woken.recv().unwrap();
        block_on(async {
            assert!(wait.await.unwrap().ready().is_readable());
            let mut watch = fd.watch(Interest::READABLE);
            let read = watch.ready().await.unwrap().try_io(|fd| read(fd.get_ref()));
            assert_eq!(read.unwrap().unwrap(), b"x");
        });
    });
    thread.join().unwrap();
}

#[test]
fn a_wait_ends_with_its_runtime() {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let fd = AsyncFd::new_on(&runtime.handle(), near).unwrap();
    block_on(async {
        let (mut wait, mut watch) = (Box::pin(fd.readable()), fd.watch(Interest::READABLE));
        let mut watched = Box::pin(watch.ready());
        assert!(poll_once(&mut wait).await.is_pending());
        assert!(poll_once(&mut watched).await.is_pending());
        drop(runtime);
        wait.await.unwrap_err();
        watched.await.unwrap_err();
    });
    drop((fd, far));
}
