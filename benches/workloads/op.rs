//! Operations that cost the kernel next to nothing: writes of 64 bytes to `/dev/null`, through the
//! ring, one after the other and 32 at a time.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use io_uring::{IoUring, opcode, types};

use crate::workloads::all::All;
use crate::workloads::file_read::{DEPTH, rounds};
use crate::workloads::{Contender, Session, Workload, runtimes};

const SIZE: usize = 64;

pub(super) fn workloads() -> Vec<Workload> {
    let workload = |name, contenders| Workload::new("op", name, contenders);
    vec![
        workload(
            "writes to /dev/null, depth 1",
            vec![
                Contender::spargio(|| spargio(1)),
                Contender::tokio(|| tokio(1)),
                Contender::other("ring", || ring(1)),
                Contender::other("pwrite", direct),
            ],
        ),
        workload(
            "writes to /dev/null, depth 32",
            vec![
                Contender::spargio(|| spargio(DEPTH)),
                Contender::tokio(|| tokio(DEPTH)),
                Contender::other("ring", || ring(DEPTH)),
                Contender::other("pwrite", direct),
            ],
        ),
    ]
}

fn null() -> File {
    File::options().write(true).open("/dev/null").expect("every system has it")
}

fn spargio(depth: usize) -> Session {
    let runtime = runtimes::spargio();
    let file = spargio::fs::File::from_std_on(&runtime.handle(), null());
    Box::new(move |times| {
        let file = file.clone();
        runtimes::inside_spargio(&runtime, async move {
            let mut buffers: Vec<_> = (0..depth).map(|_| vec![7; SIZE]).collect();
            if let [_] = buffers[..] {
                let mut buffer = buffers.remove(0);
                for _ in 0..times {
                    let (result, back) = file.write_at(buffer, 0).await;
                    assert_eq!(result.expect("the write succeeds"), SIZE);
                    buffer = back;
                }
                return;
            }
            for _ in 0..rounds(times, depth) {
                let writes = buffers.drain(..).map(|buffer| file.write_at(buffer, 0));
                for (result, buffer) in All::new(writes).await {
                    assert_eq!(result.expect("the write succeeds"), SIZE);
                    buffers.push(buffer);
                }
            }
        });
    })
}

fn tokio(depth: usize) -> Session {
    let runtime = runtimes::tokio();
    let file = Arc::new(null());
    Box::new(move |times| {
        let file = Arc::clone(&file);
        runtimes::inside_tokio(&runtime, async move {
            let mut buffers: Vec<_> = (0..depth).map(|_| vec![7; SIZE]).collect();
            let mut writes = Vec::with_capacity(depth);
            for _ in 0..rounds(times, depth) {
                for buffer in buffers.drain(..) {
                    let file = Arc::clone(&file);
                    writes.push(tokio::task::spawn_blocking(move || {
                        (file.write_at(&buffer, 0), buffer)
                    }));
                }
                for write in writes.drain(..) {
                    let (result, buffer) = write.await.expect("the task returns");
                    assert_eq!(result.expect("the write succeeds"), SIZE);
                    buffers.push(buffer);
                }
            }
        });
    })
}

/// A ring as a shard sets it up: `depth` writes are submitted and waited for by one system call.
fn ring(depth: usize) -> Session {
    let file = null();
    Box::new(move |times| {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
        let mut ring: IoUring = builder.build(DEPTH as u32).expect("io_uring is available");
        let buffer = [7_u8; SIZE];
        for _ in 0..rounds(times, depth) {
            for _ in 0..depth {
                let fd = types::Fd(file.as_raw_fd());
                let write = opcode::Write::new(fd, buffer.as_ptr(), SIZE as u32).build();
                // SAFETY:
                // - file and buffer outlive the write: its completion is waited for below.
                unsafe { ring.submission().push(&write) }.expect("the queue has room");
            }
            let mut left = depth;
            while left > 0 {
                ring.submit_and_wait(left).expect("the ring takes the writes");
                for completion in ring.completion() {
                    assert_eq!(completion.result(), SIZE as i32);
                    left -= 1;
                }
            }
        }
    })
}

/// A system call per write.
fn direct() -> Session {
    let file = null();
    Box::new(move |times| {
        let buffer = [7_u8; SIZE];
        for _ in 0..times {
            let written = file.write_at(black_box(&buffer), 0).expect("the write succeeds");
            assert_eq!(written, SIZE);
        }
    })
}
