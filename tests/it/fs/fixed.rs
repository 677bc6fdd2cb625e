//! Buffers that the ring knows by number.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::Poll;

use spargio::fs::{File, OpenOptions, register_fixed};
use spargio::{FixedBuf, FixedPool, IoBuf, Runtime, RuntimeHandle};

use super::{Scratch, on_a_shard, pipe, poll_once, until};

const PAGE: usize = 4096;

fn filled(pool: &FixedPool, byte: u8) -> FixedBuf {
    let mut buf = pool.try_lease().unwrap();
    buf.set_len(buf.capacity());
    buf.fill(byte);
    buf
}

fn fixed_ops(handle: &RuntimeHandle) -> u64 {
    handle.stats_snapshot().total().fixed_ops
}

/// Writes and reads pages of a file, those in the middle of a buffer too.
async fn use_pages(file: &File, pool: &FixedPool, seed: u8) {
    for number in 0..8_u8 {
        let buf = filled(pool, seed.wrapping_add(number));
        let (written, buf) = file.write_at(buf, u64::from(number) * 2 * PAGE as u64).await;
        assert_eq!(written.unwrap(), 2 * PAGE);
        drop(buf);
    }
    for number in 0..8_u8 {
        let buf = filled(pool, 0);
        let (read, buf) =
            file.read_at(buf.slice(PAGE..), u64::from(number) * 2 * PAGE as u64).await;
        assert_eq!(read.unwrap(), PAGE);
        let buf = buf.into_inner();
        assert!(buf[..PAGE].iter().all(|byte| *byte == 0), "in front of the slice");
        assert!(buf[PAGE..].iter().all(|byte| *byte == seed.wrapping_add(number)));
    }
    let (read, buf) = file.read_at(pool.try_lease().unwrap(), 16 * PAGE as u64).await;
    assert_eq!((read.unwrap(), buf.len()), (0, 0), "the end of the file");
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    options
}

#[test]
fn pages_are_written_and_read_as_fixed_also_past_the_cache() {
    let scratch = Scratch::new();
    let paths = [scratch.file("cached"), scratch.file("direct")];
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    let task = async move {
        let pool = FixedPool::new(2, 2 * PAGE).unwrap();
        register_fixed(&pool).unwrap();
        let file = options().open(&paths[0]).await.unwrap();
        use_pages(&file, &pool, 1).await;
        let before = fixed_ops(&handle);
        // (Reads from the cache are direct calls.)
        assert!(before >= 8, "{before} fixed operations");
        let mut options = options();
        options.custom_flags(libc::O_DIRECT);
        let Ok(file) = options.open(&paths[1]).await else { return };
        use_pages(&file, &pool, 2).await;
        assert_eq!(fixed_ops(&handle) - before, 17);
        assert_eq!(pool.available(), 2);
    };
    runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
    drop(scratch);
}

#[test]
fn every_ring_learns_of_the_pool() {
    let scratch = Scratch::new();
    let path = scratch.file("shared");
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let pool = FixedPool::new(2, 2 * PAGE).unwrap();
    let mut ops = 0;
    for shard in [0, 1, 0] {
        let (pool, path) = (pool.clone(), path.clone());
        let task = async move {
            let file = options().open(&path).await.unwrap();
            use_pages(&file, &pool, shard).await;
        };
        let task = runtime.handle().spawn_pinned(u16::from(shard), task).unwrap();
        runtime.block_on(task).unwrap();
        let total = fixed_ops(&runtime.handle());
        assert!(total >= ops + 8, "{total} after {ops} on shard {shard}");
        ops = total;
    }
    assert_eq!(runtime.handle().stats_snapshot().total().fixed_refused, 0);
    drop(scratch);
}

#[test]
fn a_read_dropped_in_flight_keeps_its_buffer_until_the_kernel_lets_go() {
    on_a_shard(async {
        for round in 0..100 {
            let pool = FixedPool::new(1, PAGE).unwrap();
            let (reader, mut writer) = pipe();
            let file = File::from_std(reader).unwrap();
            let mut read = file.read_at(filled(&pool, 0xee), 0);
            assert!(poll_once(&mut read).is_pending());
            if round % 2 == 0 {
                // It is on the ring by then.
                spargio::yield_now().await;
            }
            drop(read);
            assert_eq!(pool.available(), 0, "the kernel has it");
            until("the buffer comes back", || pool.available() == 1).await;
            writer.write_all(b"late").unwrap();
            let mut buf = pool.try_lease().unwrap();
            buf.set_len(PAGE);
            assert!(buf.iter().all(|byte| *byte == 0xee), "it was written to");
            let (read, buf) = file.read_at(buf, 0).await;
            assert_eq!((read.unwrap(), &buf[..]), (4, &b"late"[..]));
        }
    });
}

#[test]
fn a_runtime_that_ends_lets_go_of_the_buffers() {
    let pool = FixedPool::new(4, PAGE).unwrap();
    let (reader, writer) = pipe();
    let runtime = Runtime::builder().shards(2).build().unwrap();
    for shard in 0..4_u16 {
        let file = File::from_std_on(&runtime.handle(), reader.try_clone().unwrap());
        let (pool, file) = (pool.clone(), file);
        let task = async move {
            let mut read = file.read_at(pool.try_lease().unwrap(), 0);
            std::future::poll_fn(|_| -> Poll<()> {
                assert!(poll_once(&mut read).is_pending());
                Poll::Pending
            })
            .await;
        };
        drop(runtime.handle().spawn_pinned(shard % 2, task).unwrap());
    }
    while pool.available() > 0 {
        std::thread::yield_now();
    }
    drop(runtime);
    assert_eq!(pool.available(), 4);
    assert!(writer.as_fd().try_clone_to_owned().is_ok());
}

#[test]
fn pools_that_are_gone_make_room_on_the_ring() {
    let scratch = Scratch::new();
    let path = scratch.file("many");
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    let task = async move {
        let file = options().open(&path).await.unwrap();
        for number in 0..3 * FixedPool::MAX_POOLS {
            let pool = FixedPool::new(1, PAGE).unwrap();
            let byte = number.to_ne_bytes()[0];
            let (written, buf) = file.write_at(filled(&pool, byte), 0).await;
            assert_eq!(written.unwrap(), PAGE);
            drop(buf);
            let mut back = [0; PAGE];
            std::fs::File::open(&path).unwrap().read_exact(&mut back).unwrap();
            assert!(back.iter().all(|got| *got == byte), "pool {number}");
        }
        assert_eq!(fixed_ops(&handle), 3 * FixedPool::MAX_POOLS as u64);
        // One more than fit at a time works too, as any other memory.
        let pools: Vec<_> = (0..=FixedPool::MAX_POOLS)
            .map(|_| Arc::new(FixedPool::new(1, PAGE).unwrap()))
            .collect();
        for (number, pool) in pools.iter().enumerate() {
            let byte = number.to_ne_bytes()[0];
            let (written, _buf) = file.write_at(filled(pool, byte), 0).await;
            assert_eq!(written.unwrap(), PAGE);
            assert_eq!(std::fs::read(&path).unwrap()[PAGE - 1], byte);
        }
        let error = register_fixed(pools.last().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the ring of this shard knows 64 pools already");
    };
    runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
    drop(scratch);
}
