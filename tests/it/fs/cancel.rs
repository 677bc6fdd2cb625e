//! Futures dropped at every await: nothing is left open, and nothing is used after it was freed.

use std::future::{Future, poll_fn};
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use spargio::RuntimeHandle;
use spargio::fs::{self, Allocate, File, OpenOptions};

use super::{Scratch, on_a_shard, pipe, until};
use crate::support::yield_now;

/// Polls a future so many times, each time when it was woken or a while later, and drops it then.
/// Whether it had ended.
async fn drop_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let once = poll_fn(|cx: &mut Context<'_>| Poll::Ready(future.as_mut().poll(cx).is_ready()));
        if once.await {
            return true;
        }
        yield_now().await;
        spargio::sleep(Duration::from_micros(300)).await;
    }
    false
}

/// Descriptors of this process that lead into the directory.
fn open_below(root: &Path) -> Vec<PathBuf> {
    let root = root.canonicalize().unwrap();
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    // A descriptor may be closed between being listed and being looked at.
    let targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    targets.filter(|target| target.starts_with(&root)).collect()
}

/// Whether neither the kernel nor a blocking thread is at work.
fn is_quiet() -> bool {
    let stats = RuntimeHandle::current().unwrap().stats_snapshot();
    stats.total().in_flight == 0 && stats.blocking.busy == 0
}

/// Drops the futures that `make` makes after 0, 1, 2 .. polls, until one has ended; then nothing
/// below the directory is open. None is made while the kernel is at work for an earlier one: what
/// is cancelled may be carried out, and an open that truncates may come late.
async fn at_every_await<F: Future>(root: &Path, what: &str, mut make: impl FnMut() -> F) {
    for polls in 0..200 {
        if drop_after(polls, make()).await {
            until(what, || open_below(root).is_empty()).await;
            return;
        }
        until(what, is_quiet).await;
    }
    panic!("{what} does not end");
}

#[test]
fn operations_on_paths_may_be_dropped_at_every_await() {
    let scratch = Scratch::new();
    let root = scratch.0.clone();
    on_a_shard(async move {
        let at = |name: &str| root.join(name);
        std::fs::write(at("file"), vec![3; 200_000]).unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        at_every_await(&root, "metadata", || fs::metadata(at("file"))).await;
        at_every_await(&root, "exists", || fs::exists(at("none"))).await;
        at_every_await(&root, "create_dir_all", || fs::create_dir_all(at("a/b/c"))).await;
        assert!(at("a/b/c").is_dir());
        at_every_await(&root, "rename", || fs::rename(at("a"), at("b"))).await;
        at_every_await(&root, "remove_dir_all", || fs::remove_dir_all(at("b"))).await;
        at_every_await(&root, "hard_link", || fs::hard_link(at("file"), at("second"))).await;
        at_every_await(&root, "symlink", || fs::symlink("file", at("link"))).await;
        at_every_await(&root, "canonicalize", || fs::canonicalize(at("link"))).await;
        at_every_await(&root, "read", || fs::read(at("file"))).await;
        at_every_await(&root, "write", || fs::write(at("new"), vec![1; 300_000])).await;
        assert_eq!(at("new").metadata().unwrap().len(), 300_000);
        at_every_await(&root, "copy", || fs::copy(at("file"), at("copy"))).await;
        at_every_await(&root, "remove_file", || fs::remove_file(at("copy"))).await;
        at_every_await(&root, "read_dir", || async {
            let mut entries = fs::read_dir(&root).await.unwrap();
            while entries.next_entry().await.unwrap().is_some() {}
        })
        .await;
    });
}

#[test]
fn operations_on_files_may_be_dropped_at_every_await() {
    let scratch = Scratch::new();
    let root = scratch.0.clone();
    on_a_shard(async move {
        let path = root.join("file");
        at_every_await(&root, "a life of a file", || async {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).open(&path).await.unwrap();
            file.allocate(Allocate::Extend, 0, 65_536).await.unwrap();
            file.set_len(10_000).await.unwrap();
            file.write_vectored_at(vec![vec![1; 5000]; 2], 0).await.0.unwrap();
            file.sync_data().await.unwrap();
            file.metadata().await.unwrap();
            let (read, _) = file.read_vectored_at(vec![vec![1; 5000]; 2], 0).await;
            assert_eq!(read.unwrap(), 10_000);
            let (read, _) = file.read_to_end_at(Vec::new(), 5000).await;
            assert_eq!(read.unwrap(), 5000);
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            file.set_permissions(permissions).await.unwrap();
        })
        .await;
    });
}

#[test]
fn a_runtime_may_end_with_operations_on_paths_in_flight() {
    let scratch = Scratch::new();
    let root = scratch.0.clone();
    for round in 0..20 {
        let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
        let at = root.join(format!("dir {round}"));
        let task = runtime.spawn_on(0, async move {
            let mut first = Box::pin(fs::create_dir(&at));
            let mut second = Box::pin(fs::canonicalize(&at));
            let mut third = Box::pin(File::create(at.join("file")));
            assert!(super::poll_once(&mut first).is_pending());
            // A thread of the pool may be faster than the poll.
            drop(super::poll_once(&mut second));
            assert!(super::poll_once(&mut third).is_pending());
        });
        runtime.block_on(task.unwrap()).unwrap();
        drop(runtime);
    }
    let root = scratch.0.clone();
    on_a_shard(async move { until("nothing is open", || open_below(&root).is_empty()).await });
}

#[test]
fn what_is_called_off_hands_its_buffer_back_with_what_became_of_it() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    std::fs::write(&path, "bytes").unwrap();
    on_a_shard(async move {
        let is_called_off = |error: &std::io::Error| error.raw_os_error() == Some(libc::ECANCELED);
        // Not begun.
        let file = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
        let (read, buf) = file.read_at(vec![7; 3], 0).cancel().await;
        assert!(is_called_off(&read.unwrap_err()));
        assert_eq!(buf, [7; 3]);
        let (written, buf) = file.write_at(b"none".to_vec(), 0).cancel().await;
        assert!(is_called_off(&written.unwrap_err()));
        assert_eq!(buf, b"none");
        assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
        // Known without the kernel.
        assert_eq!(file.read_at(Vec::<u8>::new(), 0).cancel().await.0.unwrap(), 0);
        // In flight: a pipe without bytes, and one without room.
        let (reader, mut writer) = pipe();
        let waits = File::from_std(reader).unwrap();
        let mut read = waits.read_at(vec![7; 3], 0);
        let poll_once = async |read: &mut fs::ReadAt<'_, Vec<u8>>| {
            poll_fn(|cx| Poll::Ready(pin!(&mut *read).poll(cx).is_ready())).await
        };
        assert!(!poll_once(&mut read).await);
        let (result, buf) = read.cancel().await;
        assert!(is_called_off(&result.unwrap_err()));
        assert_eq!(buf.capacity(), 3);
        let mut read = waits.read_at(vec![7; 3], 0);
        assert!(!poll_once(&mut read).await);
        writer.write_all(b"abc").unwrap();
        // The cancel finds it done, or in time to be stopped; the bytes are in one place.
        let (result, buf) = read.cancel().await;
        match result {
            Ok(count) => assert_eq!((count, buf), (3, b"abc".to_vec())),
            Err(error) => {
                assert!(is_called_off(&error));
                assert_eq!(waits.read_at(vec![0; 3], 0).await.1, b"abc");
            }
        }
    });
}

#[test]
fn transfers_of_several_buffers_or_steps_hand_all_of_it_back() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    std::fs::write(&path, "bytes").unwrap();
    on_a_shard(async move {
        let is_called_off = |error: &std::io::Error| error.raw_os_error() == Some(libc::ECANCELED);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(&path).await.unwrap();
        // Not begun.
        let (read, bufs) = file.read_vectored_at(vec![vec![7; 3]; 2], 0).cancel().await;
        assert!(is_called_off(&read.unwrap_err()));
        assert_eq!(bufs, [[7; 3]; 2]);
        let (written, bufs) = file.write_vectored_at(vec![b"no".to_vec()], 0).cancel().await;
        assert!(is_called_off(&written.unwrap_err()));
        assert_eq!(bufs, [b"no"]);
        let (read, buf) = file.read_exact_at(vec![7; 3], 0).cancel().await;
        assert!(is_called_off(&read.unwrap_err()));
        assert_eq!(buf, [7; 3]);
        let (written, buf) = file.write_all_at(b"none".to_vec(), 0).cancel().await;
        assert!(is_called_off(&written.unwrap_err()));
        assert_eq!(buf, b"none");
        assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
        // Known without the kernel.
        assert_eq!(file.read_vectored_at(Vec::<Vec<u8>>::new(), 0).cancel().await.0.unwrap(), 0);
        assert_eq!(file.read_exact_at(Vec::<u8>::new(), 0).cancel().await.0.unwrap(), 0);
        assert_eq!(file.write_all_at(Vec::<u8>::new(), 0).cancel().await.0.unwrap(), 0);
        let beyond = file.read_vectored_at(vec![vec![7; 3]], u64::MAX).cancel().await;
        assert_eq!(beyond.0.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);

        // In flight: several buffers, and a part of one.
        let (reader, mut writer) = pipe();
        let waits = File::from_std(reader).unwrap();
        let mut read = waits.read_vectored_at(vec![vec![7; 3]; 2], 0);
        assert!(poll_now(&mut read).await.is_pending());
        let (result, bufs) = read.cancel().await;
        assert!(is_called_off(&result.unwrap_err()));
        assert_eq!(bufs.len(), 2);
        let mut read = waits.read_exact_at(vec![7; 8], 0);
        assert!(poll_now(&mut read).await.is_pending());
        writer.write_all(b"some").unwrap();
        until("the part has come", || {
            let polled = pin!(&mut read).poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            unread(&writer) == 0
        })
        .await;
        let (count, buf) = read.cancel().await;
        assert_eq!((count.unwrap(), &buf[..4]), (4, &b"some"[..]));

        // A pipe takes 64 KiB, and no more.
        let takes = File::from_std(writer).unwrap();
        let mut write = takes.write_all_at(vec![1; 200_000], 0);
        assert!(poll_now(&mut write).await.is_pending());
        until("the pipe is full", || {
            let polled = pin!(&mut write).poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            unread(&takes) > 0
        })
        .await;
        let (count, buf) = write.cancel().await;
        assert_eq!((count.unwrap(), buf.len()), (unread(&takes), 200_000));
    });
}

async fn poll_now<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(pin!(&mut *future).poll(cx))).await
}

/// How many bytes lie in a pipe.
fn unread(pipe: &impl AsRawFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the call writes one number, for which there is room.
    let result = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &mut count) };
    assert_eq!(result, 0);
    count as usize
}
