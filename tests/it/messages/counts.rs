//! Tags that are counted: values are added up, and a count is taken whole.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

for_each_assembly! {
    a_batch_is_one_count_and_no_event,
    counts_take_no_room_in_a_lane,
    a_count_is_there_when_a_later_message_arrives,
    counts_of_all_sources_are_added_up,
    a_high_threshold_starves_no_count,
    a_high_threshold_spares_a_busy_shard_wake_ups,
    waiting_for_a_tag_that_is_not_counted_is_a_mistake,
}

fn a_batch_is_one_count_and_no_event<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let target = on(&handle, 1, |ctx| async move {
        // These come last in their lanes, and after what was counted before them.
        let events =
            [ctx.next_event().await, ctx.next_hot_event().await].map(|event| parts(event).2);
        let count = ctx.next_hot_count(7).await;
        let nothing_else = is_pending(ctx.next_hot_count(7)).await
            && is_pending(ctx.next_hot_event()).await
            && is_pending(ctx.next_event()).await;
        (events, count, nothing_else, ctx.try_take_hot_count(7))
    });
    let source = on(&handle, 0, |ctx| async move {
        ctx.send_many_raw_nowait(1, [(7, 1), (7, 2), (7, 3)])?;
        ctx.send_raw(1, 7, 0)?.await?;
        ctx.send_many_raw_nowait(1, [(5, 50), (1, 10)])
    });
    elsewhere(source).unwrap().unwrap();
    assert_eq!(elsewhere(target).unwrap(), ([10, 50], 6, true, None));
}

fn counts_take_no_room_in_a_lane<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 1);
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 1);
    let remote = handle.remote(1).unwrap();
    remote.send_raw_nowait(1, 0).unwrap();
    remote.send_raw_nowait(1, 0).unwrap_err();
    let source = on(&handle, 0, |ctx| async move {
        ctx.send_many_raw_nowait(1, (0..1_000).map(|_| (8, u32::MAX)))?;
        ctx.send_many_raw_direct_nowait(1, (0..1_000).map(|_| (8, 1)))
    });
    elsewhere(source).unwrap().unwrap();
    remote.send_many_raw_nowait((0..1_000).map(|_| (8, 2))).unwrap();
    drop(plug);
    let target = on(&handle, 1, |ctx| async move { ctx.next_hot_count(8).await });
    assert_eq!(elsewhere(target).unwrap(), 1_000 * (u64::from(u32::MAX) + 3));
}

fn a_count_is_there_when_a_later_message_arrives<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let target = on(&handle, 1, |ctx| async move {
        let mut counts = Vec::new();
        for _ in 0..50 {
            ctx.next_event().await;
            counts.push(ctx.try_take_hot_count(7));
            ctx.send_raw_nowait(0, 1, 0).unwrap();
        }
        counts
    });
    let source = on(&handle, 0, |ctx| async move {
        for _ in 0..50 {
            ctx.send_raw_nowait(1, 7, 3)?;
            ctx.send_raw_nowait(1, 7, 3)?;
            ctx.send_raw_nowait(1, 1, 0)?;
            ctx.next_event().await;
        }
        Ok::<_, SendError>(())
    });
    elsewhere(source).unwrap().unwrap();
    assert_eq!(elsewhere(target).unwrap(), vec![Some(6); 50]);
}

/// Takes counts until they make this sum, and returns how many there were.
async fn take_counts(ctx: &ShardCtx, tag: u16, whole: u64) -> u64 {
    let (mut sum, mut counts) = (0, 0);
    while sum < whole {
        sum += ctx.next_hot_count(tag).await;
        counts += 1;
    }
    assert_eq!(sum, whole);
    counts
}

fn counts_of_all_sources_are_added_up<M: Make>(watch: &Watch) {
    const EACH: u64 = 5_000;
    let runtime = runtime::<M>(watch, 3, 64);
    let handle = runtime.handle();
    let target = on(&handle, 0, |ctx| async move { take_counts(&ctx, 7, 3 * EACH).await });
    let sources = [1, 2].map(|shard| {
        on(&handle, shard, |ctx| async move {
            for _ in 0..EACH {
                ctx.send_raw_nowait(0, 7, 1).unwrap();
            }
        })
    });
    let remote = handle.remote(0).unwrap();
    (0..EACH).for_each(|_| remote.send_raw_nowait(7, 1).unwrap());
    for source in sources {
        elsewhere(source).unwrap();
    }
    assert!(elsewhere(target).unwrap() >= 1);
}

/// A runtime with one counted tag and this threshold.
fn with_threshold<M: Make>(watch: &Watch, threshold: u64) -> RuntimeOf<Made<M>> {
    let builder = M::builder().shards(2).ring_entries(32).coalesced_hot_msg_tag(7);
    watch.build(builder.hot_counter_wake_threshold(threshold))
}

fn a_high_threshold_starves_no_count<M: Make>(watch: &Watch) {
    let runtime = with_threshold::<M>(watch, 128);
    let handle = runtime.handle();
    let target = on(&handle, 1, |ctx| async move { ctx.next_hot_count(7).await });
    asleep(&handle, 1);
    handle.remote(1).unwrap().send_raw_nowait(7, 1).unwrap();
    assert_eq!(elsewhere(target).unwrap(), 1);
    // Nor on a shard that always has something to do.
    let busy = on(&handle, 1, |_| async {
        loop {
            yield_now().await;
        }
    });
    for _ in 0..20 {
        let target = on(&handle, 1, |ctx| async move { ctx.next_hot_count(7).await });
        handle.remote(1).unwrap().send_raw_nowait(7, 1).unwrap();
        assert_eq!(elsewhere(target).unwrap(), 1);
    }
    busy.abort();
}

fn a_high_threshold_spares_a_busy_shard_wake_ups<M: Make>(watch: &Watch) {
    const WHOLE: u64 = 30_000;
    let [each, few] = [1, 1_000_000].map(|threshold| {
        let runtime = with_threshold::<M>(watch, threshold);
        let task = on(&runtime.handle(), 0, |ctx| async move {
            let done = Rc::new(Cell::new(None));
            let (result, other) = (Rc::clone(&done), ctx.clone());
            let counter = ctx.spawn_local(async move {
                result.set(Some(take_counts(&other, 7, WHOLE).await));
            });
            for _ in 0..WHOLE {
                ctx.send_raw_nowait(0, 7, 1).unwrap();
                yield_now().await;
            }
            counter.unwrap().await.unwrap();
            done.get().unwrap()
        });
        elsewhere(task).unwrap()
    });
    assert!(4 * few < each, "{few} wake-ups instead of {each}");
}

fn waiting_for_a_tag_that_is_not_counted_is_a_mistake<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1, 64);
    let task = on(&runtime.handle(), 0, |ctx| async move {
        assert_eq!(ctx.try_take_hot_count(5), None);
        ctx.next_hot_count(5).await
    });
    let spargio::JoinError::Panicked(payload) = elsewhere(task).unwrap_err() else {
        panic!("it waits for what never comes");
    };
    let text = payload.downcast::<String>().unwrap();
    assert!(text.contains("tag 5 is not counted"), "{text}");
}
