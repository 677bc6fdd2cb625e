//! Messages between shards.

use spargio::{RemoteShard, Runtime, RuntimeHandle, SendError, SendTicket, ShardCtx, ShardId};

use crate::messages::tickets::tickets_resolve_when_the_runtime_shuts_down;
use crate::messages::{is_pending, on, parts};
use crate::parts::Native;
use crate::support::{Plug, elsewhere, watched};

const SENDS: u32 = 20_000;
const TAG: u16 = 9;

/// Sends so many numbers, and says which were taken. Each of the others is in its error.
fn flood(mut send: impl FnMut(u16, u32) -> Result<(), SendError>) -> Vec<u32> {
    let mut taken = Vec::new();
    for val in 0..SENDS {
        match send(TAG, val) {
            Ok(()) => taken.push(val),
            Err(SendError::Backpressure { taken: 0, refused, .. }) => {
                assert_eq!(refused, (TAG, val), "the message is handed back");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!((1..SENDS as usize).contains(&taken.len()), "{} were taken", taken.len());
    taken
}

type Flood = fn(&RuntimeHandle) -> (Vec<u32>, SendTicket);

fn from_a_shard(handle: &RuntimeHandle) -> (Vec<u32>, SendTicket) {
    let flood = |ctx: ShardCtx| async move {
        let taken = flood(|tag, val| ctx.send_raw_nowait(1, tag, val));
        (taken, ctx.flush().unwrap())
    };
    elsewhere(on(handle, 0, flood)).unwrap()
}

fn from_a_shard_directly(handle: &RuntimeHandle) -> (Vec<u32>, SendTicket) {
    let flood = |ctx: ShardCtx| async move {
        let taken = flood(|tag, val| ctx.send_raw_direct_nowait(1, tag, val));
        (taken, ctx.flush().unwrap())
    };
    elsewhere(on(handle, 0, flood)).unwrap()
}

fn from_this_thread(handle: &RuntimeHandle) -> (Vec<u32>, SendTicket) {
    let remote = handle.remote(1).unwrap();
    (flood(|tag, val| remote.send_raw_nowait(tag, val)), remote.flush().unwrap())
}

/// Of 20,000 messages to a shard that is stuck each is delivered, in order and once, or handed
/// back; a flush is over when those that were taken are delivered, and says so when they never will
/// be.
#[test]
fn c13_backpressure_reaches_the_caller() {
    watched(|watch| {
        for flood in [from_a_shard as Flood, from_a_shard_directly, from_this_thread] {
            let runtime = watch.build(Runtime::builder().shards(2));
            let handle = runtime.handle();
            let stuck = Plug::new(&handle, 1);
            let (taken, mut flush) = flood(&handle);
            assert!(elsewhere(is_pending(&mut flush)), "nothing is delivered yet");
            drop(stuck);
            let count = taken.len();
            let events = on(&handle, 1, move |ctx| async move {
                let mut got = Vec::new();
                for _ in 0..count {
                    got.push(parts(ctx.next_event().await).2);
                }
                (got, is_pending(ctx.next_event()).await)
            });
            elsewhere(flush).unwrap();
            assert_eq!(elsewhere(events).unwrap(), (taken, true));
        }
        tickets_resolve_when_the_runtime_shuts_down::<Native>(watch);
    });
}

/// Sends every tag with a value of its own, a hundred at a time.
async fn send_every_tag(
    send: impl Fn(Vec<(u16, u32)>) -> Result<(), SendError>,
    flush: impl Fn() -> Result<SendTicket, SendError>,
) {
    let all: Vec<_> = (0..=u16::MAX).map(|tag| (tag, u32::from(tag) + 1)).collect();
    for some in all.chunks(100) {
        send(some.to_vec()).unwrap();
        flush().unwrap().await.unwrap();
    }
}

async fn send_by_every_way(ctx: ShardCtx) {
    for to in [0, 1] {
        let flush = || ctx.flush();
        send_every_tag(|some| ctx.send_many_raw_nowait(to, some), flush).await;
        send_every_tag(|some| ctx.send_many_raw_direct_nowait(to, some), flush).await;
    }
}

fn send_from_outside(remote: &RemoteShard) {
    let flush = || remote.flush();
    elsewhere(send_every_tag(|some| remote.send_many_raw_nowait(some), flush));
}

/// Expects every tag, so many times over, from the given source.
async fn expect_every_tag(ctx: &ShardCtx, is_hot: bool, from: ShardId, times: usize) {
    for _ in 0..times {
        for tag in 0..=u16::MAX {
            let event = if is_hot { ctx.next_hot_event().await } else { ctx.next_event().await };
            assert_eq!(parts(event), (from, tag, u32::from(tag) + 1));
        }
    }
}

/// Each of the 65,536 tags arrives with its value on every lane: between shards, directly, to the
/// own shard and from outside, as an event, a hot event and a count.
#[test]
fn c14_every_tag_works() {
    watched(|watch| {
        for is_hot in [false, true] {
            let builder = Runtime::builder().shards(2);
            let runtime = watch.build(match is_hot {
                true => builder.hot_msg_tags(0..=u16::MAX),
                false => builder,
            });
            let handle = runtime.handle();
            let targets = [(0, 2), (1, 2)].map(|(shard, times)| {
                on(&handle, shard, move |ctx| async move {
                    expect_every_tag(&ctx, is_hot, ShardId::new(0), times).await;
                    expect_every_tag(&ctx, is_hot, ShardId::EXTERNAL, 1).await;
                })
            });
            elsewhere(on(&handle, 0, send_by_every_way)).unwrap();
            for shard in [0, 1] {
                send_from_outside(&handle.remote(shard).unwrap());
            }
            for target in targets {
                elsewhere(target).unwrap();
            }
        }
        let builder = Runtime::builder().shards(2).coalesced_hot_msg_tags(0..=u16::MAX);
        let runtime = watch.build(builder);
        let handle = runtime.handle();
        elsewhere(on(&handle, 0, send_by_every_way)).unwrap();
        for shard in [0, 1] {
            send_from_outside(&handle.remote(shard).unwrap());
            let counts = on(&handle, shard, |ctx| async move {
                for tag in 0..=u16::MAX {
                    // Twice from shard 0, and once from outside.
                    assert_eq!(ctx.next_hot_count(tag).await, 3 * (u64::from(tag) + 1));
                }
            });
            elsewhere(counts).unwrap();
        }
    });
}
