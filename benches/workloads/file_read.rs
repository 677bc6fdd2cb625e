//! Reads of 4 KiB that are in the page cache: one after the other, and 32 at a time.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use io_uring::{IoUring, opcode, types};
use spargio::{Assembly, RuntimeOf};

use crate::workloads::all::All;
use crate::workloads::{Contender, Session, Workload, runtimes};

const BLOCK: usize = 4096;
/// Blocks of the file: 4 MiB, which stay in the page cache.
const BLOCKS: u64 = 1024;
pub(crate) const DEPTH: usize = 32;

pub(super) fn workloads() -> Vec<Workload> {
    let workload = |name, contenders| Workload::new("fs_api", name, contenders);
    vec![
        workload(
            "4 KiB cached reads, depth 1",
            vec![
                Contender::spargio(|| spargio(1)),
                Contender::tokio(|| tokio(1)),
                Contender::other("preadv2 nowait", direct),
                Contender::other("ring", || ring(1)),
            ],
        ),
        workload(
            "4 KiB cached reads, depth 32",
            vec![
                Contender::spargio(|| spargio(DEPTH)),
                Contender::tokio(|| tokio(DEPTH)),
                Contender::other("preadv2 nowait", direct),
                Contender::other("ring", || ring(DEPTH)),
            ],
        ),
    ]
}

/// Offsets of blocks in an order that no read-ahead foresees; the same order for all.
#[derive(Clone, Debug, Default)]
struct Offsets(u64);

impl Iterator for Offsets {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 33) % BLOCKS * BLOCK as u64)
    }
}

fn buffers(depth: usize) -> Vec<Vec<u8>> {
    (0..depth).map(|_| Vec::with_capacity(BLOCK)).collect()
}

/// The file to read, all of it in the page cache. It lies in the build's directory, because not
/// every file system (tmpfs) has reads that do not block.
fn file() -> File {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("blocks.dat");
    let length = BLOCKS * BLOCK as u64;
    if !fs::metadata(&path).is_ok_and(|found| found.len() == length) {
        fs::write(&path, vec![7; length as usize]).expect("the build's directory can be written");
    }
    assert_eq!(fs::read(&path).expect("the file was just written").len() as u64, length);
    File::open(&path).expect("the file was just written")
}

fn spargio(depth: usize) -> Session {
    read(runtimes::spargio(), depth)
}

/// So many blocks at a time, by one stealable task.
pub(crate) fn read<A: Assembly>(runtime: RuntimeOf<A>, depth: usize) -> Session {
    let file = spargio::fs::File::from_std_on(&runtime.handle(), file());
    Box::new(move |times| {
        let file = file.clone();
        runtimes::inside_spargio(&runtime, async move {
            let mut offsets = Offsets::default();
            let mut buffers = buffers(depth);
            if let [_] = buffers[..] {
                let mut buffer = buffers.remove(0);
                for offset in offsets.take(times as usize) {
                    let (result, back) = file.read_at(buffer, offset).await;
                    assert_eq!(result.expect("the read succeeds"), BLOCK);
                    buffer = back;
                }
                return;
            }
            for _ in 0..rounds(times, depth) {
                let reads = buffers.drain(..).zip(&mut offsets);
                let reads = reads.map(|(buffer, offset)| file.read_at(buffer, offset));
                for (result, buffer) in All::new(reads).await {
                    assert_eq!(result.expect("the read succeeds"), BLOCK);
                    buffers.push(buffer);
                }
            }
        });
    })
}

/// Tokio has no reads at an offset of its own; this is how they are written with it.
fn tokio(depth: usize) -> Session {
    let runtime = runtimes::tokio();
    let file = Arc::new(file());
    Box::new(move |times| {
        let file = Arc::clone(&file);
        runtimes::inside_tokio(&runtime, async move {
            let mut offsets = Offsets::default();
            let mut buffers: Vec<_> = (0..depth).map(|_| vec![0; BLOCK]).collect();
            let mut reads = Vec::with_capacity(depth);
            for _ in 0..rounds(times, depth) {
                for (mut buffer, offset) in buffers.drain(..).zip(&mut offsets) {
                    let file = Arc::clone(&file);
                    reads.push(tokio::task::spawn_blocking(move || {
                        (file.read_at(&mut buffer, offset), buffer)
                    }));
                }
                for read in reads.drain(..) {
                    let (result, buffer) = read.await.expect("the task returns");
                    assert_eq!(result.expect("the read succeeds"), BLOCK);
                    buffers.push(buffer);
                }
            }
        });
    })
}

/// A system call per read, which does not wait for the device.
fn direct() -> Session {
    let file = file();
    Box::new(move |times| {
        let mut buffer = vec![0; BLOCK];
        for offset in Offsets::default().take(times as usize) {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            // SAFETY:
            // - `IoSliceMut` has the layout of an iovec, and there is one, which points to a
            //   buffer that lives and is borrowed for the length of the call.
            let read = unsafe {
                let iovecs = slices.as_mut_ptr().cast::<libc::iovec>();
                libc::preadv2(file.as_raw_fd(), iovecs, 1, offset as i64, libc::RWF_NOWAIT)
            };
            if read != BLOCK as isize {
                // Others may have pushed the page out: then, and only then, the read waits.
                file.read_exact_at(&mut buffer, offset).expect("the file has the block");
            }
            black_box(&buffer);
        }
    })
}

/// A ring as a shard sets it up: `depth` reads are submitted and waited for by one system call.
fn ring(depth: usize) -> Session {
    let file = file();
    Box::new(move |times| {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
        let mut ring: IoUring = builder.build(DEPTH as u32).expect("io_uring is available");
        let mut buffers: Vec<_> = (0..depth).map(|_| vec![0; BLOCK]).collect();
        let mut offsets = Offsets::default();
        for _ in 0..rounds(times, depth) {
            for (buffer, offset) in buffers.iter_mut().zip(&mut offsets) {
                let fd = types::Fd(file.as_raw_fd());
                let read = opcode::Read::new(fd, buffer.as_mut_ptr(), BLOCK as u32).offset(offset);
                // SAFETY:
                // - file and buffer outlive the read: its completion is waited for below.
                unsafe { ring.submission().push(&read.build()) }.expect("the queue has room");
            }
            let mut left = depth;
            while left > 0 {
                ring.submit_and_wait(left).expect("the ring takes the reads");
                for completion in ring.completion() {
                    assert_eq!(completion.result(), BLOCK as i32);
                    left -= 1;
                }
            }
            black_box(&buffers);
        }
    })
}

/// How many rounds of `depth` make so many, or a few more.
pub(super) const fn rounds(times: u64, depth: usize) -> u64 {
    times.div_ceil(depth as u64)
}
