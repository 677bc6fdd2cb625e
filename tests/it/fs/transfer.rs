//! Reading and writing.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use spargio::fs::{File, OpenOptions};
use spargio::{IoBuf, IoBufMut, MAX_TRANSFER, Runtime};

use super::{PLACES, Scratch, on_a_shard, pipe, poll_once, poll_to_end, until};

#[test]
fn what_is_written_at_an_offset_is_read_there() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let path = scratch.file("data");
        on_a_shard(async move {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true);
            let file = options.open(&path).await.unwrap();
            // Enough rounds for the guess about direct reads to change its mind on tmpfs.
            for round in 0..600_u64 {
                let text = format!("round {round:05}");
                let (written, text) = file.write_at(text, round * 11).await;
                assert_eq!(written.unwrap(), 11);
                let buf = Vec::with_capacity(64);
                let (read, buf) = file.read_at(buf.slice(..11), round * 11).await;
                assert_eq!(read.unwrap(), 11);
                assert_eq!(buf.as_init(), text.as_bytes());
            }
            file.sync_data().await.unwrap();
            file.sync_all().await.unwrap();
            file.close().await.unwrap();
            let whole = std::fs::read_to_string(&path).unwrap();
            assert!(whole.starts_with("round 00000round 00001"), "{place}");
            assert_eq!(whole.len(), 600 * 11);
        });
        drop(scratch);
    }
}

#[test]
fn a_short_file_ends_reads_early_and_exact_reads_with_an_error() {
    let scratch = Scratch::new();
    let path = scratch.file("short");
    std::fs::write(&path, b"seven b").unwrap();
    on_a_shard(async move {
        let file = File::open(path).await.unwrap();
        let (read, buf) = file.read_at(vec![0; 16], 2).await;
        assert_eq!(read.unwrap(), 5);
        assert_eq!(buf, b"ven b");
        let (read, _) = file.read_at(vec![0; 16], 7).await;
        assert_eq!(read.unwrap(), 0, "the end of the file");
        let (read, _) = file.read_at(vec![0; 16], 1 << 40).await;
        assert_eq!(read.unwrap(), 0, "far behind the end");

        let (read, buf) = file.read_exact_at(vec![0; 7], 0).await;
        read.unwrap();
        assert_eq!(buf, b"seven b");
        let (read, buf) = file.read_exact_at(vec![0; 8].slice(..8), 3).await;
        let error = read.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("4 bytes after offset 3"), "{error}");
        assert_eq!(&buf.as_init()[..4], b"en b", "what was there comes back");
    });
}

#[test]
fn buffers_without_bytes_need_no_kernel() {
    let scratch = Scratch::new();
    let path = scratch.file("empty");
    on_a_shard(async move {
        let file = File::create(path).await.unwrap();
        // The file is open for writing only: the kernel would refuse a read.
        let (read, _) = file.read_at(Vec::new(), 0).await;
        assert_eq!(read.unwrap(), 0);
        let (read, buf) = file.read_at(Vec::with_capacity(1), 0).await;
        assert_eq!(read.unwrap_err().raw_os_error(), Some(9), "EBADF");
        assert_eq!(buf.len(), 0);
        let (written, _) = file.write_at("", 0).await;
        assert_eq!(written.unwrap(), 0);
        file.read_exact_at(Vec::new(), 5).await.0.unwrap();
        file.write_all_at(Vec::new(), 5).await.0.unwrap();
    });
}

#[test]
fn offsets_beyond_those_of_the_kernel_are_refused() {
    let scratch = Scratch::new();
    let path = scratch.file("offsets");
    on_a_shard(async move {
        let file = File::create(path).await.unwrap();
        for offset in [i64::MAX as u64 + 1, u64::MAX] {
            let (read, _) = file.read_at(vec![0; 1], offset).await;
            let (written, buf) = file.write_at(b"lost".to_vec(), offset).await;
            for error in [read.unwrap_err(), written.unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(error.to_string().contains(&offset.to_string()), "{error}");
            }
            assert_eq!(buf, b"lost");
        }
    });
}

#[test]
fn transfers_beyond_the_kernel_limit_are_partial_or_complete_as_asked() {
    on_a_shard(async {
        // Zeroed memory that is never touched takes no memory, and this device reads none.
        let null = OpenOptions::new().write(true).open("/dev/null").await.unwrap();
        let (written, buf) = null.write_at(vec![0; MAX_TRANSFER + 5], 0).await;
        assert_eq!(written.unwrap(), MAX_TRANSFER);
        let (written, buf) = null.write_all_at(buf, 0).await;
        written.unwrap();
        assert_eq!(buf.len(), MAX_TRANSFER + 5);
    });
}

#[test]
fn exact_reads_go_on_after_short_ones() {
    on_a_shard(async {
        let (reader, mut writer) = pipe();
        let feeder = std::thread::spawn(move || {
            for part in ["a ", "read ", "in ", "five ", "parts"] {
                writer.write_all(part.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let file = File::from_std(reader).unwrap();
        let (read, buf) = file.read_exact_at(vec![0; 20].slice(..20), 0).await;
        read.unwrap();
        assert_eq!(buf.as_init(), b"a read in five parts");
        feeder.join().unwrap();
        let (read, _) = file.read_exact_at(vec![0; 1], 0).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn complete_writes_go_on_after_short_ones() {
    on_a_shard(async {
        let (mut reader, writer) = pipe();
        let drain = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        let data: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
        let file = File::from_std(writer).unwrap();
        let (written, data) = file.write_all_at(data, 0).await;
        written.unwrap();
        file.close().await.unwrap();
        assert_eq!(drain.join().unwrap(), data);
    });
}

/// A buffer that tells when it is gone.
struct Watched {
    memory: Box<[u8]>,
    gone: Arc<AtomicBool>,
}

// SAFETY: a box of bytes is a buffer (all obligations), and the other field is not memory of it.
unsafe impl IoBuf for Watched {
    fn stable_ptr(&self) -> *const u8 {
        self.memory.stable_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.memory.bytes_init()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Watched {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.memory.stable_mut_ptr()
    }

    unsafe fn set_init(&mut self, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.memory.set_init(len) };
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Release);
    }
}

#[test]
fn a_dropped_read_keeps_buffer_and_descriptor_until_the_kernel_lets_go() {
    on_a_shard(async {
        let (reader, mut writer) = pipe();
        let file = File::from_std(reader).unwrap();
        let gone = Arc::new(AtomicBool::new(false));
        let buf = Watched { memory: vec![0; 4096].into(), gone: Arc::clone(&gone) };
        let mut read = file.read_at(buf, 0);
        assert!(poll_once(&mut read).is_pending());
        // The ring gets the entry, and the read waits for bytes.
        spargio::sleep(Duration::from_millis(5)).await;
        assert!(poll_once(&mut read).is_pending());
        drop(read);
        assert!(!gone.load(Ordering::Acquire), "the kernel may still write to it");
        let busy = file.clone().into_std().unwrap_err();
        drop(busy);
        until("a cancelled read keeps its buffer", || gone.load(Ordering::Acquire)).await;
        let mut file = file.into_std().expect("nobody else uses it any more");
        // The cancelled read took nothing.
        writer.write_all(b"later").unwrap();
        let mut late = [0; 5];
        file.read_exact(&mut late).unwrap();
        assert_eq!(&late, b"later");
    });
}

#[test]
fn many_operations_at_once_on_one_file_keep_apart() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let path = scratch.file("parallel");
        let runtime = Runtime::builder().shards(2).build().unwrap();
        runtime.block_on(async {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true);
            let file = options.open(&path).await.unwrap();
            let tasks: Vec<_> = (0..64_u64)
                .map(|number| {
                    let file = file.clone();
                    let task = async move {
                        let pattern = vec![number as u8; 512];
                        for round in 0..8 {
                            let offset = (round * 64 + number) * 512;
                            let (written, buf) = file.write_all_at(pattern.clone(), offset).await;
                            written.unwrap();
                            let (read, buf) = file.read_exact_at(buf.slice(..512), offset).await;
                            read.unwrap();
                            assert_eq!(buf.as_init(), pattern);
                        }
                    };
                    spargio::spawn(task).unwrap()
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 64 * 8 * 512);
    }
}

#[test]
fn a_batch_of_reads_made_by_one_poll_completes() {
    let scratch = Scratch::new();
    let path = scratch.file("batch");
    std::fs::write(&path, (0..=255).collect::<Vec<u8>>()).unwrap();
    on_a_shard(async move {
        let file = File::open(path).await.unwrap();
        let mut reads: Vec<_> =
            (0..64_u64).map(|at| Some(file.read_at(vec![0; 4].slice(..4), at * 4))).collect();
        let mut left = reads.len();
        std::future::poll_fn(|cx| {
            for (at, slot) in reads.iter_mut().enumerate() {
                let Some(read) = slot else { continue };
                if let Poll::Ready((count, buf)) = Pin::new(read).poll(cx) {
                    assert_eq!(count.unwrap(), 4);
                    let first = at as u8 * 4;
                    assert_eq!(buf.as_init(), [first, first + 1, first + 2, first + 3]);
                    *slot = None;
                    left -= 1;
                }
            }
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
}

#[test]
fn writes_leave_the_ring_only_when_asked_to() {
    let scratch = Scratch::new();
    let path = scratch.file("direct");
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    let entries = move || handle.stats_snapshot().total().sqes;
    let task = async move {
        for blocking in [false, true] {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).blocking_writes(blocking);
            let file = options.open(&path).await.unwrap();
            let before = entries();
            for at in 0..100 {
                let (written, _) = file.write_at("x", at).await;
                assert_eq!(written.unwrap(), 1);
            }
            let pushed = entries() - before;
            assert_eq!(pushed, if blocking { 0 } else { 100 });
            file.close().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), [b'x'; 100]);
        }
        // What has no offset is left to the ring.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut options = OpenOptions::new();
        options.write(true).blocking_writes(true);
        let pipe = options.open(format!("/proc/self/fd/{}", writer.as_raw_fd())).await.unwrap();
        assert_eq!(pipe.write_at("flow", 3).await.0.unwrap(), 4);
        drop(writer);
        pipe.close().await.unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "flow");
        // Errors arrive.
        let full = options.open("/dev/full").await.unwrap();
        let (written, buf) = full.write_all_at("too much", 0).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(buf, "too much");
    };
    runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
}

#[test]
fn a_runtime_that_ends_returns_the_memory_of_pending_reads() {
    let (reader, writer) = pipe();
    let gone = Arc::new(AtomicBool::new(false));
    let mut runtime = Runtime::builder().shards(1).build().unwrap();
    let buf = Watched { memory: vec![0; 64].into(), gone: Arc::clone(&gone) };
    let task = async move {
        let file = File::from_std(reader).unwrap();
        file.read_at(buf, 0).await.0
    };
    let reading = runtime.spawn_on(0, task).unwrap();
    let handle = runtime.handle();
    while handle.stats_snapshot().total().in_flight == 0 {
        std::thread::yield_now();
    }
    let report = poll_to_end(runtime.shutdown());
    assert_eq!(report.operations_leaked, 0);
    assert!(gone.load(Ordering::Acquire));
    assert!(poll_to_end(reading).is_err(), "the task was told to end");
    drop(writer);
}
