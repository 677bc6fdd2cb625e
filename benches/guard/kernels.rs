//! The kernels: one operation of the runtime each, again and again, on shards that neither spin,
//! steal nor pack, and whose clock goes by the step.

use std::fs;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use atomic_waker::AtomicWaker;

use spargio::doorbell::MsgRing;
use spargio::net::UnixStream;
use spargio::placement::LeastLoaded;
use spargio::queue::ChaseLev;
use spargio::{Assembled, Runtime, RuntimeOf, ShardCtx, ShardId, StealOptions};

use crate::baton;
use crate::metronome::{Beacon, Metronome, Reads, Setup};

/// One operation, repeated.
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) run: fn(u64),
}

/// All kernels, in the order of the report.
pub(crate) const KERNELS: [Kernel; 12] = [
    Kernel { name: "spawn_join_stealable", run: spawn_join_stealable },
    Kernel { name: "spawn_join_local", run: spawn_join_local },
    Kernel { name: "yield", run: yield_alone },
    Kernel { name: "wake_poll", run: wake_poll },
    Kernel { name: "wake_poll_cross_shard", run: wake_poll_cross_shard },
    Kernel { name: "op_nop", run: |times| read_file(Reads::Nop, 0, times) },
    Kernel { name: "op_read_4k_ring", run: |times| read_file(Reads::Ring, BLOCK, times) },
    Kernel { name: "op_read_4k_direct", run: |times| read_file(Reads::Usual, BLOCK, times) },
    Kernel { name: "stream_write_read", run: stream_write_read },
    Kernel { name: "timer_insert_cancel", run: timer_insert_cancel },
    Kernel { name: "message_send_receive", run: message_send_receive },
    Kernel { name: "message_round_trip", run: message_round_trip },
];

const BLOCK: usize = 4096;
/// Messages with this tag are hot events.
const HOT: u16 = 1;

type Guarded = RuntimeOf<Assembled<Metronome, MsgRing, ChaseLev, LeastLoaded>>;

fn runtime(shards: usize, setup: Setup) -> Guarded {
    let builder = Runtime::builder()
        .driver::<Metronome>(setup)
        .shards(shards)
        .spin(Duration::ZERO)
        .packing(false)
        .hot_msg_tag(HOT)
        .steal(StealOptions { locality_margin: usize::MAX, ..StealOptions::default() });
    builder.build().expect("io_uring is available")
}

/// Runs a future as a local task of the only shard.
fn on_shard<F>(reads: Reads, make: impl FnOnce(ShardCtx) -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let runtime = runtime(1, Setup { reads, ..Setup::default() });
    let task = runtime.handle().spawn_local_on(0, make).expect("the runtime is open");
    runtime.block_on(task).expect("the task returns");
}

fn spawn_join_stealable(times: u64) {
    on_shard(Reads::Usual, move |_shard| async move {
        for number in 0..times {
            let task = spargio::spawn(async move { number }).expect("the runtime is open");
            black_box(task.await.expect("the task returns"));
        }
    });
}

fn spawn_join_local(times: u64) {
    on_shard(Reads::Usual, move |shard| async move {
        for number in 0..times {
            let task = shard.spawn_local(async move { number }).expect("the runtime is open");
            black_box(task.await.expect("the task returns"));
        }
    });
}

fn yield_alone(times: u64) {
    on_shard(Reads::Usual, move |_shard| async move {
        for _ in 0..times {
            spargio::yield_now().await;
        }
    });
}

/// Two tasks of one shard wake each other: a round trip is two wakes and two polls.
fn wake_poll(times: u64) {
    on_shard(Reads::Usual, move |_shard| async move {
        let (near, far) = baton::pair();
        let partner = spargio::spawn(far.pong(times)).expect("the runtime is open");
        let task = spargio::spawn(near.ping(times)).expect("the runtime is open");
        task.await.expect("the task returns");
        partner.await.expect("the task returns");
    });
}

/// A task wakes one of the other shard, which sleeps, by letter and doorbell; that one is polled,
/// and its shard falls asleep again.
fn wake_poll_cross_shard(times: u64) {
    let sleeper = ShardId::new(1);
    let (mut asleep, told) = std::io::pipe().expect("a pipe can be made");
    let beacon = Arc::new(Beacon { round: AtomicU64::new(0), told });
    let setup = Setup { sleeper: Some((sleeper, Arc::clone(&beacon))), ..Setup::default() };
    let runtime = runtime(2, setup);
    let waiting = Arc::new(AtomicWaker::new());
    let waited = Arc::clone(&waiting);
    let waits = poll_fn(move |cx| {
        waiting.register(cx.waker());
        let round = beacon.round.fetch_add(1, Ordering::Relaxed) + 1;
        if round > times { Poll::Ready(()) } else { Poll::Pending }
    });
    let wakes = async move {
        let mut round = [0; 8];
        for wanted in 1..=times {
            // It blocks the shard, for nothing else has to run there.
            while u64::from_ne_bytes(round) < wanted {
                asleep.read_exact(&mut round).expect("the other shard tells");
            }
            waited.wake();
        }
    };
    let handle = runtime.handle();
    let waits = handle.spawn_pinned(sleeper, waits).expect("the runtime is open");
    let wakes = handle.spawn_pinned(0, wakes).expect("the runtime is open");
    runtime.block_on(async {
        wakes.await.expect("the task returns");
        waits.await.expect("the task returns");
    });
}

/// One read after the other of a block that is in the page cache, which gives `expected` bytes.
fn read_file(reads: Reads, expected: usize, times: u64) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guard.dat");
    if fs::read(&path).map_or(0, |content| content.len()) != BLOCK {
        fs::write(&path, [7; BLOCK]).expect("the build's directory can be written");
    }
    let file = fs::File::open(&path).expect("the file was just written");
    on_shard(reads, move |shard| async move {
        let file = spargio::fs::File::from_std_on(&shard, file);
        let mut buffer = Vec::with_capacity(BLOCK);
        for _ in 0..times {
            let (result, back) = file.read_at(buffer, 0).await;
            assert_eq!(result.expect("the read succeeds"), expected);
            buffer = back;
            buffer.clear();
        }
    });
}

/// Bytes into one end of a connection, and out of the other, where they are already.
fn stream_write_read(times: u64) {
    on_shard(Reads::Usual, move |_shard| async move {
        let (near, far) = UnixStream::pair().expect("a pair can be made");
        let (mut outgoing, mut incoming) = (vec![7; 64], vec![0; 64]);
        for _ in 0..times {
            let (written, back) = near.write_all(outgoing).await;
            written.expect("the other end is open");
            let (read, filled) = far.read(incoming).await;
            assert_eq!(read.expect("the other end is open"), 64);
            (outgoing, incoming) = (back, filled);
        }
    });
}

/// A sleep that is polled once, and dropped.
fn timer_insert_cancel(times: u64) {
    on_shard(Reads::Usual, move |_shard| async move {
        for _ in 0..times {
            let mut sleep = pin!(spargio::sleep(Duration::from_secs(3600)));
            poll_fn(|cx| Poll::Ready(black_box(sleep.as_mut().poll(cx).is_pending()))).await;
        }
    });
}

/// A message through a lane that leads back to its shard, and its event, which is asked for when
/// the message is there.
fn message_send_receive(times: u64) {
    on_shard(Reads::Usual, move |shard| async move {
        for _ in 0..times {
            shard.send_raw_nowait(shard.shard_id(), 0, 7).expect("the lane has room");
            black_box(shard.next_event().await);
        }
    });
}

/// Two tasks that wait for each other's messages: two messages, of which each ends a wait.
fn message_round_trip(times: u64) {
    on_shard(Reads::Usual, move |shard| async move {
        let pong = shard.clone();
        let partner = shard.spawn_local(async move {
            for _ in 0..times {
                black_box(pong.next_hot_event().await);
                pong.send_raw_nowait(pong.shard_id(), 0, 7).expect("the lane has room");
            }
        });
        for _ in 0..times {
            shard.send_raw_nowait(shard.shard_id(), HOT, 7).expect("the lane has room");
            black_box(shard.next_event().await);
        }
        partner.expect("the runtime is open").await.expect("the task returns");
    });
}
