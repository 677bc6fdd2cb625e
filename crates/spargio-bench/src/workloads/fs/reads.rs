//! Reads of 4 KiB at scattered offsets, so many at a time.

use std::fs::File as StdFile;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use futures_util::stream::{FuturesUnordered, StreamExt};
use io_uring::{IoUring, cqueue, opcode, types};

use super::{BLOCK, Blocks, Floor, Offsets, Spec, Stage, Workload, check_block, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{File, Runtime, Setup};

/// One read in so many is timed: a read takes less than a microsecond.
const TIMED: u32 = 8;

/// One read after the other.
pub(crate) struct Depth1;

impl Workload for Depth1 {
    const SPEC: Spec = Spec::new(
        "fs_api",
        "fs_read_rtt_4k",
        "read",
        "One task reads 4 KiB at a scattered offset of a cached file of 16 MiB, then the next. A \
         word of each cache line is checked. Floor: preadv2 that does not wait, on one thread.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        at_depth(stage, times, 1)
    }

    const FLOOR: Option<Floor> = Some(direct);
}

/// 32 under way.
pub(crate) struct Depth32;

impl Workload for Depth32 {
    const SPEC: Spec = Spec::new(
        "fs_api",
        "fs_read_throughput_4k_qd32",
        "read",
        "As fs_read_rtt_4k, with 32 reads under way all the time, as futures of one task. Floor: \
         the same on one thread with a ring, which is entered once for 32 reads.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        at_depth(stage, times, 32)
    }

    const FLOOR: Option<Floor> = Some(|_setup, times| on_a_ring(times, 32));
}

/// 128 under way.
pub(crate) struct Depth128;

impl Workload for Depth128 {
    const SPEC: Spec = Spec::new(
        "fs_api",
        "fs_read_throughput_4k_qd128",
        "read",
        "As fs_read_throughput_4k_qd32, with 128 reads under way.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        at_depth(stage, times, 128)
    }

    const FLOOR: Option<Floor> = Some(|_setup, times| on_a_ring(times, 128));
}

/// So many loops in one task, each of which reads one block after the other.
fn at_depth<R: Runtime>(stage: &Stage<R>, times: u64, depth: usize) -> Result<Slice, Wrong> {
    let blocks = Blocks::prepare()?;
    let each = times.div_ceil(depth as u64);
    stage.inside(move |runtime| async move {
        let file = runtime.open(blocks.path()).await.map_err(failed("open"))?;
        if depth == 1 {
            let meter = Meter::start();
            let latencies = one_by_one(file, 0, each).await?;
            return Ok(meter.stop(each).with_latencies(latencies));
        }
        let lanes = (0..depth).map(|lane| one_by_one(file.clone(), lane, each));
        let mut lanes: FuturesUnordered<_> = lanes.collect();
        let mut latencies = Latencies::of_all();
        let meter = Meter::start();
        while let Some(lane) = lanes.next().await {
            latencies.merge(&lane?);
        }
        Ok(meter.stop(each * depth as u64).with_latencies(latencies))
    })
}

async fn one_by_one<F: File>(file: F, lane: usize, times: u64) -> Result<Latencies, Wrong> {
    let mut latencies = Latencies::of_one_in(TIMED);
    let mut block = F::block(BLOCK);
    for number in Offsets::of(lane).take(times as usize) {
        let lap = latencies.start();
        let (result, read) = file.read_at(block, number * BLOCK as u64).await;
        latencies.end(lap);
        Wrong::unless_equal("bytes", result.map_err(failed("read_at"))? as u64, BLOCK as u64)?;
        check_block(read.as_ref(), number)?;
        block = read;
    }
    Ok(latencies)
}

/// A system call per read, which does not wait for the device.
fn direct(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let file = Blocks::prepare()?.open()?;
    let mut latencies = Latencies::of_one_in(TIMED);
    let mut block = vec![0; BLOCK];
    let meter = Meter::start();
    for number in Offsets::of(0).take(times as usize) {
        let lap = latencies.start();
        read_cached(&file, &mut block, number * BLOCK as u64)?;
        latencies.end(lap);
        check_block(&block, number)?;
    }
    Ok(meter.stop(times).with_latencies(latencies))
}

fn read_cached(file: &StdFile, block: &mut [u8], offset: u64) -> Result<(), Wrong> {
    let iovecs = [IoSliceMut::new(block)];
    // SAFETY:
    // - `IoSliceMut` has the layout of an iovec, and there is one, which points to a buffer that
    //   lives and is borrowed for the length of the call.
    let read = unsafe {
        libc::preadv2(
            file.as_raw_fd(),
            iovecs.as_ptr().cast::<libc::iovec>(),
            1,
            offset as i64,
            libc::RWF_NOWAIT,
        )
    };
    if read == BLOCK as isize {
        return Ok(());
    }
    // Others may have pushed the page out: then, and only then, the read waits.
    file.read_exact_at(block, offset).map_err(failed("pread"))
}

/// One thread and a ring as a runtime would set it up: all reads that are done are asked for again
/// by one system call, which waits for all of them.
fn on_a_ring(times: u64, depth: usize) -> Result<Slice, Wrong> {
    let file = Blocks::prepare()?.open()?;
    let mut builder = IoUring::<_, cqueue::Entry>::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
    let mut ring = builder.build(depth as u32).map_err(failed("a ring"))?;
    let mut blocks: Vec<Vec<u8>> = (0..depth).map(|_| vec![0; BLOCK]).collect();
    let mut offsets = Offsets::of(0);
    let rounds = times.div_ceil(depth as u64);
    let mut numbers = vec![0; depth];
    let meter = Meter::start();
    for _ in 0..rounds {
        for (at, block) in blocks.iter_mut().enumerate() {
            numbers[at] = offsets.next().expect("there is no last offset");
            let fd = types::Fd(file.as_raw_fd());
            let read = opcode::Read::new(fd, block.as_mut_ptr(), BLOCK as u32)
                .offset(numbers[at] * BLOCK as u64)
                .build()
                .user_data(at as u64);
            // SAFETY:
            // - file and block outlive the read: its completion is waited for below, and nobody
            //   touches the block until then.
            unsafe { ring.submission().push(&read) }.expect("the queue has room");
        }
        let mut left = depth;
        let mut result = Ok(());
        while left > 0 {
            ring.submit_and_wait(left).expect("the ring takes the reads");
            for completion in ring.completion() {
                let at = completion.user_data() as usize;
                let read = u64::try_from(completion.result()).unwrap_or(0);
                result = result
                    .and_then(|()| Wrong::unless_equal("bytes", read, BLOCK as u64))
                    .and_then(|()| check_block(&blocks[at], numbers[at]));
                left -= 1;
            }
        }
        // Not before all are back: until then the blocks are the kernel's.
        result?;
    }
    Ok(meter.stop(rounds * depth as u64))
}
