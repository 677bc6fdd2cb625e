//! Files on real file systems, pipes and devices: opening, closing and owning them.

use std::future::Future;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use spargio::Runtime;
use spargio::fs::{File, OpenOptions};

mod cancel;
mod cursor;
mod directories;
mod du;
mod fixed;
mod manage;
mod metadata;
mod paths;
mod read_ahead;
mod temp;
mod transfer;

/// Where the tests are compiled to, most often a file system on a device; and one in memory.
const PLACES: [&str; 2] = [env!("CARGO_TARGET_TMPDIR"), "/dev/shm"];

/// A directory of a test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self::within(PLACES[0])
    }

    fn within(place: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(place).join(format!("spargio-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Runs a future as a task of a runtime with one shard.
fn on_a_shard<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = Runtime::builder().shards(1).build().unwrap();
    runtime.block_on(runtime.spawn_on(0, future).unwrap()).unwrap()
}

/// How many descriptors of this process are open on the path.
fn descriptors_on(path: &Path) -> usize {
    let path = path.canonicalize().unwrap();
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    // A descriptor may be closed between being listed and being looked at.
    links
        .filter(|link| link.as_ref().unwrap().path().read_link().is_ok_and(|to| to == path))
        .count()
}

/// Yields until the condition holds; fails after ten seconds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        spargio::sleep(Duration::from_millis(1)).await;
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn pipe() -> (std::fs::File, std::fs::File) {
    let (reader, writer) = std::io::pipe().unwrap();
    (OwnedFd::from(reader).into(), OwnedFd::from(writer).into())
}

#[test]
fn creating_what_exists_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.file("once");
    on_a_shard(async move {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path).await.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let error = options.open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        drop(file);
        let error = File::open(path.with_file_name("missing")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn options_that_contradict_each_other_are_named() {
    let set = |build: fn(&mut OpenOptions) -> &mut OpenOptions| {
        let mut options = OpenOptions::new();
        build(&mut options);
        options
    };
    let cases = [
        (set(|o| o), "none of read, write and append"),
        (set(|o| o.create(true)), "none of read, write and append"),
        (set(|o| o.append(true).truncate(true)), "append together with truncate"),
        (set(|o| o.write(true).append(true).truncate(true)), "append together with truncate"),
        (set(|o| o.read(true).truncate(true)), "truncate without write"),
        (set(|o| o.read(true).create(true)), "create without write"),
        (set(|o| o.read(true).create_new(true)), "create_new without write"),
    ];
    on_a_shard(async move {
        for (options, expected) in cases {
            let error = options.open("/nowhere/at/all").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{options:?}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    });
}

#[test]
fn a_path_with_a_nul_byte_is_named() {
    on_a_shard(async {
        let error = File::open("be\0fore").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains(r"be\0fore") && text.contains("position 2"), "{text}");
    });
}

#[test]
fn appending_ignores_the_offset_and_truncating_empties() {
    let scratch = Scratch::new();
    let path = scratch.file("log");
    std::fs::write(&path, "old ").unwrap();
    on_a_shard(async move {
        let log = OpenOptions::new().append(true).open(&path).await.unwrap();
        log.write_all_at("and new", 0).await.0.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old and new");
        File::create(&path).await.unwrap().close().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    });
}

#[test]
fn custom_flags_reach_the_kernel_and_descriptors_do_not_reach_children() {
    let scratch = Scratch::new();
    on_a_shard({
        let dir = scratch.0.clone();
        async move {
            let mut options = OpenOptions::new();
            // O_DIRECTORY on Linux; that of the access mode is cut off.
            options.read(true).custom_flags(libc_o_directory() | 1);
            let opened = options.open(&dir).await.unwrap();
            let status =
                std::fs::read_to_string(format!("/proc/self/fdinfo/{}", opened.as_raw_fd()));
            let status = status.unwrap();
            let flags = status.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
            assert_ne!(flags & 0o2_000_000, 0, "close on exec");
            assert_eq!(flags & 3, 0, "read only");
            std::fs::write(dir.join("plain"), "").unwrap();
            let error = options.open(dir.join("plain")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory);
        }
    });
}

fn libc_o_directory() -> i32 {
    if cfg!(any(target_arch = "aarch64", target_arch = "arm")) { 0o40_000 } else { 0o200_000 }
}

#[test]
fn an_open_that_nobody_waits_for_leaves_no_descriptor() {
    let scratch = Scratch::new();
    let path = scratch.file("unwanted");
    std::fs::write(&path, "").unwrap();
    on_a_shard(async move {
        for _ in 0..100 {
            let mut open = Box::pin(File::open(&path));
            assert!(poll_once(&mut open).is_pending());
            drop(open);
            spargio::yield_now().await;
        }
        // The shard answers in order: when this one is open, the others were dealt with.
        let last = File::open(&path).await.unwrap();
        last.close().await.unwrap();
        until("descriptors stay open", || descriptors_on(&path) == 0).await;
    });
}

#[test]
fn a_file_is_closed_with_its_last_owner() {
    let scratch = Scratch::new();
    let path = scratch.file("owned");
    on_a_shard(async move {
        let file = File::create(&path).await.unwrap();
        let clone = file.clone();
        assert_eq!(descriptors_on(&path), 1);
        let error = file.close().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        assert!(error.to_string().contains(&clone.as_raw_fd().to_string()), "{error}");
        assert_eq!(descriptors_on(&path), 1, "the clone still uses it");
        clone.write_all_at("still open", 0).await.0.unwrap();
        clone.close().await.unwrap();
        assert_eq!(descriptors_on(&path), 0, "closed when close returns");

        drop(File::open(&path).await.unwrap());
        until("a dropped file stays open", || descriptors_on(&path) == 0).await;

        let mut unpolled = Box::pin(File::open(&path).await.unwrap().close());
        drop(poll_once(&mut unpolled));
        drop(unpolled);
        until("a close that nobody waits for did not happen", || descriptors_on(&path) == 0).await;
        drop(File::open(&path).await.unwrap().close());
        until("a close that was never polled did not happen", || descriptors_on(&path) == 0).await;
    });
}

#[test]
fn a_close_that_the_ring_has_no_room_for_closes_all_the_same() {
    let scratch = Scratch::new();
    let path = scratch.file("full");
    std::fs::write(&path, "").unwrap();
    let runtime = Runtime::builder().shards(1).max_operations(1).build().unwrap();
    let task = async move {
        let file = File::open(&path).await.unwrap();
        let (reader, _writer) = pipe();
        let pipe = File::from_std(reader).unwrap();
        let mut pending = pipe.read_at(vec![0; 1], 0);
        assert!(poll_once(&mut pending).is_pending());
        let error = file.close().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(error.to_string().contains("limit of 1 operations"), "{error}");
        assert_eq!(descriptors_on(&path), 0);
    };
    runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
}

#[test]
fn files_go_to_the_standard_library_and_back() {
    let scratch = Scratch::new();
    let path = scratch.file("std");
    std::fs::write(&path, "shared").unwrap();
    on_a_shard(async move {
        let file = File::from_std(std::fs::File::open(&path).unwrap()).unwrap();
        let clone = file.clone();
        let file = file.into_std().unwrap_err();
        assert_eq!(file.as_raw_fd(), clone.as_raw_fd());
        drop(clone);
        assert_eq!(file.as_fd().as_raw_fd(), file.as_raw_fd());
        let (read, _) = file.read_at(vec![0; 3], 3).await;
        assert_eq!(read.unwrap(), 3);
        let mut text = String::new();
        file.into_std().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "shared", "the cursor was not moved");
    });
}

#[test]
fn files_work_from_a_thread_that_is_no_shard() {
    let scratch = Scratch::new();
    let path = scratch.file("foreign");
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    let error = poll_to_end(File::open(&path)).unwrap_err();
    assert!(error.to_string().contains("File::open_on"), "{error}");
    let error = poll_to_end(File::create(&path)).unwrap_err();
    assert!(error.to_string().contains("File::create_on"), "{error}");
    let error = File::from_std(std::fs::File::open("/dev/null").unwrap()).unwrap_err();
    assert!(error.to_string().contains("File::from_std_on"), "{error}");

    let file = poll_to_end(File::create_on(&handle, &path)).unwrap();
    let (written, _) = poll_to_end(file.write_at("from outside", 0));
    assert_eq!(written.unwrap(), 12);
    poll_to_end(file.sync_all()).unwrap();
    poll_to_end(file.close()).unwrap();
    let file = poll_to_end(File::open_on(&handle.on(1).unwrap(), &path)).unwrap();
    let (read, buf) = poll_to_end(file.read_at(Vec::with_capacity(64), 5));
    assert_eq!(read.unwrap(), 7);
    assert_eq!(buf, b"outside");

    // The last owner closes it here, and operations on it fail when the runtime is gone.
    let late = File::from_std_on(&handle, file.into_std().unwrap());
    drop(runtime);
    let (read, buf) = poll_to_end(late.read_at(vec![1; 4], 0));
    assert_eq!(read.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(buf, [1; 4], "the buffer comes back with the error");
    drop(late);
    assert_eq!(descriptors_on(&path), 0);
}

/// A minimal executor of somebody else's.
fn poll_to_end<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
