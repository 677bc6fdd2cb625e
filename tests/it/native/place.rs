//! Which shard an operation goes to, and what is known of it.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spargio::native::{NativeExt, UringNativeAny};
use spargio::{Runtime, RuntimeError, ShardId, ToLane};

use super::{Dir, FIRST, SECOND, poll_once, settle, start};
use crate::support::{elsewhere, watched};

#[test]
fn turns_are_uniform_for_every_number_of_shards() {
    watched(|watch| {
        for shards in 1..=5u16 {
            let (_runtime, native) = start(watch, shards.into());
            let found: Vec<_> =
                (0..3 * shards).map(|_| native.select_shard(None).unwrap()).collect();
            let in_turn: Vec<_> = (0..3 * shards).map(|turn| ShardId::new(turn % shards)).collect();
            assert_eq!(found, in_turn);
        }
    });
}

#[test]
fn a_preferred_shard_is_taken_until_another_has_two_operations_fewer() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        assert_eq!(native.preferred_shard(), None);
        let second = native.with_preferred_shard(SECOND).unwrap();
        assert_eq!(second.preferred_shard(), Some(SECOND));
        let (near, _far) = UnixStream::pair().unwrap();
        let near = Arc::new(near);
        let shards: Vec<_> = (0..4)
            .map(|_| second.read_at(Arc::clone(&near), u64::MAX, 1))
            .map(|read| (read.shard(), read))
            .collect();
        let found: Vec<_> = shards.iter().map(|(shard, _)| *shard).collect();
        assert_eq!(found, [SECOND, SECOND, FIRST, SECOND]);
        assert_eq!(native.active_native_op_count(), 4);
        drop(shards);
        assert_eq!(second.clear_preferred_shard().preferred_shard(), None);
        settle(&native);
    });
}

#[test]
fn on_a_shard_its_own_ring_is_preferred() {
    watched(|watch| {
        let (runtime, _) = start(watch, 2);
        for shard in [FIRST, SECOND] {
            let task = runtime.handle().spawn_pinned(shard, async move {
                let native = UringNativeAny::new().unwrap();
                let read = native.fsync(io::stdin());
                (read.shard(), native.active_native_op_count())
            });
            assert_eq!(elsewhere(task.unwrap()).unwrap(), (shard, 1));
        }
    });
}

#[test]
fn shards_that_are_not_there_are_errors_that_name_them() {
    watched(|_| {
        // Not described when it hangs: whoever could would hold it.
        let runtime = Runtime::builder().shards(2).build().unwrap();
        let native = UringNativeAny::new_on(&runtime.handle()).unwrap();
        let there_is_none = |error: RuntimeError| {
            assert!(matches!(error, RuntimeError::InvalidShard { shards: 2, .. }), "{error}");
        };
        there_is_none(native.with_preferred_shard(2).unwrap_err());
        there_is_none(native.select_shard(Some(ShardId::new(2))).unwrap_err());
        assert!(matches!(UringNativeAny::new().unwrap_err(), RuntimeError::NoRuntime));
        let lane = runtime.handle().to_lane();
        runtime.handle().uring_native_unbound().unwrap();
        drop(runtime);
        assert!(matches!(lane.uring_native_unbound().unwrap_err(), RuntimeError::Closed));
        // One that was there before says so when it is used.
        let error = elsewhere(native.fsync(io::stdin())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        settle(&native);
    });
}

#[test]
fn a_name_is_never_used_again() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        elsewhere(async {
            let mut names = std::collections::HashSet::new();
            for _ in 0..100 {
                let mut sync = native.fsync(io::stdin());
                assert!(names.insert(sync.id()));
                assert_eq!(native.active_native_op_shard(sync.id()), Some(sync.shard()));
                // It may be ready at once, and is no longer listed then.
                let _ = poll_once(&mut sync).await; // Either way it ends.
            }
        });
        settle(&native);
    });
}

#[test]
fn a_native_sleep_lasts() {
    watched(|watch| {
        let (runtime, native) = start(watch, 1);
        let began = Instant::now();
        let nap = Duration::from_millis(12);
        elsewhere(native.sleep(nap));
        runtime.block_on(native.sleep(nap));
        assert!(began.elapsed() >= 2 * nap);
        assert_eq!(native.active_native_op_count(), 0);
    });
}

#[test]
fn what_a_task_asks_of_its_own_shard_goes_to_that_ring() {
    watched(|watch| {
        let (runtime, native) = start(watch, 2);
        let dir = Dir::new(watch);
        let path = dir.0.join("both");
        let task = runtime.handle().spawn_local_on(1, move |ctx| async move {
            let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
            let file = Arc::new(file);
            // Another shard has less to do, and is not asked.
            let (near, _far) = UnixStream::pair().unwrap();
            let near = Arc::new(near);
            let mut waits: Vec<_> = (0..3)
                .map(|_| Box::pin(ctx.native_read_at(Arc::clone(&near), u64::MAX, 1)))
                .collect();
            for wait in &mut waits {
                assert!(poll_once(wait).await.is_pending());
            }
            let native = ctx.uring_native_unbound().unwrap();
            let active = native.active_native_ops();
            assert_eq!(active.len(), 3);
            assert!(active.iter().all(|op| op.id.shard() == SECOND), "{active:?}");
            drop(waits);
            let (wrote, text) = ctx.native_write_at(Arc::clone(&file), 2, "text").await;
            assert_eq!((wrote.unwrap(), text), (4, "text"));
            let began = Instant::now();
            ctx.native_sleep(Duration::from_millis(5)).await;
            assert!(began.elapsed() >= Duration::from_millis(5));
            ctx.native_read_at(file, 1, 16).await.unwrap()
        });
        assert_eq!(elsewhere(task.unwrap()).unwrap(), b"\0text");
        settle(&native);
        // A future that is left over answers when the runtime has gone, and hands the buffer back.
        let ctx_read = runtime.handle().spawn_local_on(0, |ctx| async move {
            let (near, far) = UnixStream::pair().unwrap();
            let write = ctx.native_write_at(near, u64::MAX, vec![1_u8; 4]);
            (ctx.native_read_at(far, u64::MAX, 4), write)
        });
        let (read, write) = elsewhere(ctx_read.unwrap()).unwrap();
        drop(runtime);
        let gone = io::ErrorKind::BrokenPipe;
        assert_eq!(elsewhere(read).unwrap_err().kind(), gone);
        let (wrote, buf) = elsewhere(write);
        assert_eq!((wrote.unwrap_err().kind(), buf), (gone, vec![1; 4]));
    });
}
