//! Messages between shards: what is taken arrives once and in order, and what is not is reported.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use spargio::{
    Assembly, Event, JoinHandle, RemoteShard, RingMsg, RuntimeHandleOf, RuntimeOf, SendError,
    SendTicket, ShardCtx, ShardId, UnknownMessage,
};

use crate::parts::{Made, Make, for_each_assembly};
use crate::support::{Plug, Watch, asleep, elsewhere, wait_until, yield_now};

mod counts;
mod limits;
mod order;
pub(crate) mod tickets;

for_each_assembly! {
    every_form_delivers,
    every_tag_is_an_ordinary_one,
    a_shard_sends_to_itself,
    an_external_thread_is_told_from_shards,
    hot_tags_are_hot_events_and_no_others,
    each_event_goes_to_one_of_those_who_wait,
    a_wait_that_is_dropped_loses_no_event,
    a_shard_that_is_not_there_is_an_error,
    a_shard_that_sleeps_is_rung_once_for_a_burst,
    messages_are_counted_in_the_statistics,
    an_iterator_that_panics_leaves_what_was_sent,
}

/// A runtime of the assembly with lanes of this capacity; 5 and 6 are hot, 7 and 8 counted.
fn runtime<M: Make>(watch: &Watch, shards: usize, capacity: usize) -> RuntimeOf<Made<M>> {
    let builder = M::builder().shards(shards).ring_entries(32).msg_ring_queue_capacity(capacity);
    watch.build(builder.hot_msg_tags(HOT).coalesced_hot_msg_tags(COUNTED))
}

const HOT: [u16; 2] = [5, 6];
const COUNTED: [u16; 2] = [7, 8];

/// Runs a future that need not be `Send` on a shard.
pub(crate) fn on<A: Assembly, F>(
    handle: &RuntimeHandleOf<A>,
    shard: u16,
    make: impl FnOnce(ShardCtx) -> F + Send + 'static,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: Send + 'static,
{
    handle.spawn_local_on(shard, make).unwrap()
}

/// The source, tag and value of an event.
pub(crate) fn parts(event: Event) -> (ShardId, u16, u32) {
    let Event::RingMsg { from, tag, val } = event;
    (from, tag, val)
}

/// The next so many plain events.
async fn receive(ctx: &ShardCtx, count: usize) -> Vec<(ShardId, u16, u32)> {
    let mut got = Vec::new();
    for _ in 0..count {
        got.push(parts(ctx.next_event().await));
    }
    got
}

/// Whether a future is pending when it is polled once.
pub(crate) async fn is_pending(future: impl Future) -> bool {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Job {
    Start(u32),
    Stop,
}

impl RingMsg for Job {
    fn encode(self) -> (u16, u32) {
        match self {
            Self::Start(number) => (1, number),
            Self::Stop => (2, 0),
        }
    }

    fn try_decode(tag: u16, val: u32) -> Result<Self, UnknownMessage> {
        match (tag, val) {
            (1, number) => Ok(Self::Start(number)),
            (2, 0) => Ok(Self::Stop),
            _ => Err(UnknownMessage { tag, val }),
        }
    }
}

/// One message by each form: what is sent is typed where the form is.
const FORMS: usize = 16;

async fn send_by_each_form(ctx: &ShardCtx, to: u16) -> Result<(), SendError> {
    let remote = ctx.remote(to).unwrap();
    assert_eq!(remote.id(), ShardId::new(to));
    ctx.send_raw(to, 1, 0)?.await?;
    ctx.send(to, Job::Start(1))?.await?;
    ctx.send_raw_nowait(to, 1, 2)?;
    ctx.send_nowait(to, Job::Start(3))?;
    ctx.send_many_raw_nowait(to, [(1, 4), (1, 5)])?;
    ctx.send_many_nowait(to, [Job::Start(6)])?;
    ctx.flush()?.await?;
    ctx.send_raw_direct_nowait(to, 1, 7)?;
    ctx.flush()?.await?;
    ctx.send_many_raw_direct_nowait(to, [(1, 8)])?;
    remote.flush()?.await?;
    send_by_each_form_of(&remote, 9).await
}

async fn send_by_each_form_of(remote: &RemoteShard, first: u32) -> Result<(), SendError> {
    remote.send_raw(1, first)?.await?;
    remote.send(Job::Start(first + 1))?.await?;
    remote.send_raw_nowait(1, first + 2)?;
    remote.send_nowait(Job::Start(first + 3))?;
    remote.send_many_raw_nowait([(1, first + 4)])?;
    remote.send_many_nowait([Job::Start(first + 5), Job::Stop])?;
    remote.flush()?.await
}

fn every_form_delivers<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let target = on(&handle, 1, |ctx| async move { receive(&ctx, FORMS).await });
    let source = on(&handle, 0, |ctx| async move { send_by_each_form(&ctx, 1).await });
    elsewhere(source).unwrap().unwrap();
    let got = elsewhere(target).unwrap();
    let last = FORMS as u32 - 1;
    for (number, event) in (0..).zip(&got) {
        let expected = if number == last { (2, 0) } else { (1, number) };
        assert_eq!(*event, (ShardId::new(0), expected.0, expected.1));
    }
    let event = Event::RingMsg { from: ShardId::new(0), tag: 1, val: 9 };
    assert_eq!(event.decode(), Ok((ShardId::new(0), Job::Start(9))));
    let event = Event::RingMsg { from: ShardId::new(0), tag: 3, val: 9 };
    let error = event.decode::<Job>().unwrap_err();
    assert_eq!(error, UnknownMessage { tag: 3, val: 9 });
    assert_eq!(error.to_string(), "no message has tag 3 and value 9");
}

fn every_tag_is_an_ordinary_one<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let all = [(0, 0), (u16::MAX, u32::MAX), (u16::MAX, 0), (0, u32::MAX), (0x8000, 0x8000_0000)];
    let target = on(&handle, 1, move |ctx| async move { receive(&ctx, 4 * all.len()).await });
    let source = on(&handle, 0, move |ctx| async move {
        for (tag, val) in all {
            ctx.send_raw(1, tag, val)?.await?;
            ctx.send_raw_nowait(1, tag, val)?;
            ctx.flush()?.await?;
            ctx.send_raw_direct_nowait(1, tag, val)?;
            ctx.flush()?.await?;
            ctx.send_many_raw_nowait(1, [(tag, val)])?;
            ctx.flush()?.await?;
        }
        Ok::<_, SendError>(())
    });
    elsewhere(source).unwrap().unwrap();
    let got = elsewhere(target).unwrap();
    let expected = all.iter().flat_map(|&(tag, val)| [(ShardId::new(0), tag, val); 4]);
    assert_eq!(got, expected.collect::<Vec<_>>());
}

fn a_shard_sends_to_itself<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1, 64);
    let task = on(&runtime.handle(), 0, |ctx| async move {
        ctx.send_raw_nowait(0, 1, 0)?;
        ctx.send_raw_direct_nowait(0, 1, 1)?;
        let ticket = ctx.send_raw(0, 1, 2)?;
        let got = receive(&ctx, 3).await;
        ticket.await?;
        Ok::<_, SendError>(got)
    });
    let got = elsewhere(task).unwrap().unwrap();
    let mut values: Vec<u32> = got.iter().map(|event| event.2).collect();
    values.sort_unstable();
    assert_eq!(values, [0, 1, 2]);
    assert!(got.iter().all(|event| event.0 == ShardId::new(0)));
}

fn an_external_thread_is_told_from_shards<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let other = watch.build(M::builder().shards(1).ring_entries(32));
    let handle = runtime.handle();
    let target = on(&handle, 1, |ctx| async move { receive(&ctx, 8 + 2).await });
    let remote = handle.remote(1).unwrap();
    // Also a shard of another runtime is none of this one.
    let there = remote.clone();
    let foreign = on(&other.handle(), 0, move |_| async move {
        there.send_raw_nowait(3, 0).unwrap();
        there.send_raw(3, 1).unwrap().await
    });
    elsewhere(foreign).unwrap().unwrap();
    elsewhere(send_by_each_form_of(&remote, 0)).unwrap();
    remote.send_raw_direct_nowait(3, 9).unwrap();
    let got = elsewhere(target).unwrap();
    assert!(got.iter().all(|event| event.0 == ShardId::EXTERNAL), "{got:?}");
    assert_eq!(got.last(), Some(&(ShardId::EXTERNAL, 3, 9)));
}

fn hot_tags_are_hot_events_and_no_others<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let target = on(&handle, 1, |ctx| async move {
        let mut hot = Vec::new();
        for _ in 0..5 {
            hot.push(parts(ctx.next_hot_event().await));
        }
        let plain = receive(&ctx, 2).await;
        let nothing_else =
            is_pending(ctx.next_hot_event()).await && is_pending(ctx.next_event()).await;
        (hot, plain, nothing_else)
    });
    let source = on(&handle, 0, |ctx| async move {
        ctx.send_raw_nowait(1, 1, 10)?;
        ctx.send_many_raw_nowait(1, [(5, 0), (6, 1), (5, 2)])?;
        ctx.send_raw(1, 4, 11)?.await?;
        ctx.send_raw(1, 6, 3)?.await?;
        ctx.send_raw_direct_nowait(1, 5, 4)
    });
    elsewhere(source).unwrap().unwrap();
    let (hot, plain, nothing_else) = elsewhere(target).unwrap();
    let from = ShardId::new(0);
    assert_eq!(hot, [(from, 5, 0), (from, 6, 1), (from, 5, 2), (from, 6, 3), (from, 5, 4)]);
    assert_eq!(plain, [(from, 1, 10), (from, 4, 11)]);
    assert!(nothing_else);
}

fn each_event_goes_to_one_of_those_who_wait<M: Make>(watch: &Watch) {
    const TASKS: u32 = 4;
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| on(&handle, 1, |ctx| async move { parts(ctx.next_event().await).2 }))
        .collect();
    for val in 0..TASKS {
        handle.remote(1).unwrap().send_raw_nowait(1, val).unwrap();
    }
    let mut got: Vec<u32> = tasks.into_iter().map(|task| elsewhere(task).unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3]);
}

fn a_wait_that_is_dropped_loses_no_event<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1, 64);
    let task = on(&runtime.handle(), 0, |ctx| async move {
        for val in 0..50 {
            let mut gives_up = Box::pin(ctx.next_event());
            assert!(is_pending(gives_up.as_mut()).await);
            let other = ctx.clone();
            let waits = ctx.spawn_local(async move { parts(other.next_event().await).2 });
            let waits = waits.unwrap();
            yield_now().await;
            ctx.send_raw(0, 1, val).unwrap().await.unwrap();
            // It was first, so it was woken, and will not take the event.
            drop(gives_up);
            assert_eq!(waits.await.unwrap(), val);
        }
    });
    elsewhere(task).unwrap();
}

fn a_shard_that_is_not_there_is_an_error<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    assert!(runtime.remote(2).is_none());
    assert!(runtime.handle().remote(ShardId::EXTERNAL).is_none());
    let task = on(&runtime.handle(), 0, |ctx| async move {
        assert!(ctx.remote(2).is_none());
        [
            ctx.send_raw(2, 1, 1).map(drop),
            ctx.send_raw_nowait(2, 1, 1),
            ctx.send_many_raw_nowait(2, [(1, 1)]),
            ctx.send_raw_direct_nowait(2, 1, 1),
        ]
    });
    for result in elsewhere(task).unwrap() {
        let error = result.unwrap_err();
        assert!(matches!(error, SendError::InvalidShard { shards: 2, .. }), "{error:?}");
        assert_eq!(error.to_string(), "there is no shard 2: the runtime has 2, counted from 0");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
    }
}

fn a_shard_that_sleeps_is_rung_once_for_a_burst<M: Make>(watch: &Watch) {
    const BURST: u32 = 100;
    let builder = M::builder().shards(2).ring_entries(32).spin(Duration::ZERO);
    let runtime = watch.build(builder);
    let handle = runtime.handle();
    let mut total = 0;
    for _ in 0..20 {
        let target = on(&handle, 1, |ctx| async move { receive(&ctx, BURST as usize).await.len() });
        asleep(&handle, 1);
        // Both looks lie in the poll of the burst, so nothing else rings meanwhile.
        let stats = handle.clone();
        let source = on(&handle, 0, |ctx| async move {
            let before = stats.stats_snapshot();
            ctx.send_many_raw_nowait(1, (0..BURST).map(|val| (1, val))).unwrap();
            (before, stats.stats_snapshot())
        });
        let (before, after) = elsewhere(source).unwrap();
        assert_eq!(elsewhere(target).unwrap(), BURST as usize);
        let rung = after.shards[0].doorbells_sent - before.shards[0].doorbells_sent;
        assert!(rung <= 1, "a burst rings once at most, not {rung} times");
        total += rung;
    }
    // It was seen asleep each time; whatever else wakes a shard may have come between.
    assert!(total > 0, "a shard that sleeps is rung");
}

fn messages_are_counted_in_the_statistics<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 4);
    let handle = runtime.handle();
    let target = on(&handle, 1, |ctx| async move {
        receive(&ctx, 3).await;
        ctx.next_hot_event().await;
        ctx.next_hot_count(7).await
    });
    let source = on(&handle, 0, |ctx| async move {
        ctx.send_many_raw_nowait(1, [(1, 1), (1, 2), (5, 3)])?;
        ctx.send_raw_direct_nowait(1, 1, 4)?;
        ctx.flush()?.await
    });
    elsewhere(source).unwrap().unwrap();
    handle.remote(1).unwrap().send_raw_nowait(7, 5).unwrap();
    assert_eq!(elsewhere(target).unwrap(), 5);
    let plug = Plug::new(&handle, 1);
    let remote = handle.remote(1).unwrap();
    (0..4).for_each(|val| remote.send_raw_nowait(1, val).unwrap());
    remote.send_raw_nowait(1, 4).unwrap_err();
    drop(plug);
    let stats = handle.stats_snapshot();
    assert_eq!(stats.shards[0].ring_msgs_submitted, 4);
    assert_eq!(stats.shards[1].ring_msgs_submitted, 5, "of external threads");
    assert!(stats.shards[0].ring_msgs_direct <= 1);
    assert_eq!(stats.shards[1].ring_msgs_hot, 2);
    assert_eq!(stats.shards[1].ring_msgs_backpressure, 1);
    assert_eq!(stats.total().ring_msgs_failed, 0);
    wait_until("the last are taken", || {
        handle.stats_snapshot().shards[1].ring_msgs_completed == 4 + 4
    });
}

fn an_iterator_that_panics_leaves_what_was_sent<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let target = on(&handle, 1, |ctx| async move { receive(&ctx, 3).await.len() });
    asleep(&handle, 1);
    let source = on(&handle, 0, |ctx| async move {
        let messages = (0..).map(|val| if val < 3 { (1, val) } else { panic!("no more") });
        ctx.send_many_raw_nowait(1, messages)
    });
    elsewhere(source).unwrap_err();
    assert_eq!(elsewhere(target).unwrap(), 3);
}
