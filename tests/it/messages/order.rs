//! First in, first out: per source, target and lane.

use std::collections::HashMap;

use super::*;

for_each_assembly! {
    messages_of_each_source_arrive_in_order_beside_those_of_others,
    external_threads_keep_their_order,
    direct_messages_arrive_in_order_also_when_many_are_on_the_way,
    a_round_trip_wakes_both_ends_again_and_again,
}

const MESSAGES: u32 = 3_000;

/// Sends everything, and makes room by giving way.
async fn send_all(ctx: &ShardCtx, to: u16, tag: u16, direct: bool) -> Result<(), SendError> {
    let mut values = (0..MESSAGES).map(|val| (tag, val));
    let mut again = None;
    loop {
        let some: Vec<_> = again.take().into_iter().chain(values.by_ref().take(50)).collect();
        if some.is_empty() {
            return Ok(());
        }
        let mut some = some.into_iter();
        loop {
            let batch = again.take().into_iter().chain(some.by_ref());
            let sent = if direct {
                ctx.send_many_raw_direct_nowait(to, batch)
            } else {
                ctx.send_many_raw_nowait(to, batch)
            };
            match sent {
                Ok(()) => break,
                Err(SendError::Backpressure { refused, .. }) => again = Some(refused),
                Err(error) => return Err(error),
            }
            yield_now().await;
        }
        yield_now().await;
    }
}

/// Receives from so many sources; each source's values of each tag come in order.
async fn expect_in_order(ctx: ShardCtx, count: usize) {
    let mut next = HashMap::new();
    for _ in 0..count {
        let (from, tag, val) = parts(ctx.next_event().await);
        let expected = next.entry((from, tag)).or_insert(0);
        assert_eq!(val, *expected, "from {from} with tag {tag}");
        *expected += 1;
    }
    assert!(is_pending(ctx.next_event()).await);
}

fn messages_of_each_source_arrive_in_order_beside_those_of_others<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 3, 64);
    let handle = runtime.handle();
    let target = on(&handle, 0, |ctx| expect_in_order(ctx, 2 * MESSAGES as usize));
    let hot = on(&handle, 0, |ctx| async move {
        let mut next = [0, 0];
        for _ in 0..2 * MESSAGES {
            let (from, _, val) = parts(ctx.next_hot_event().await);
            let expected = &mut next[from.index() - 1];
            assert_eq!(val, *expected);
            *expected += 1;
        }
    });
    let sources: Vec<_> = [1, 2]
        .into_iter()
        .flat_map(|shard| {
            [1, 5].map(|tag| {
                on(&handle, shard, move |ctx| async move { send_all(&ctx, 0, tag, false).await })
            })
        })
        .collect();
    for source in sources {
        elsewhere(source).unwrap().unwrap();
    }
    elsewhere(target).unwrap();
    elsewhere(hot).unwrap();
}

fn external_threads_keep_their_order<M: Make>(watch: &Watch) {
    const THREADS: u16 = 3;
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let target =
        on(&handle, 1, |ctx| expect_in_order(ctx, usize::from(THREADS) * MESSAGES as usize));
    thread::scope(|scope| {
        for tag in 10..10 + THREADS {
            let remote = handle.remote(1).unwrap();
            scope.spawn(move || {
                for val in 0..MESSAGES {
                    while remote.send_raw_nowait(tag, val).is_err() {
                        thread::yield_now();
                    }
                }
            });
        }
    });
    elsewhere(target).unwrap();
}

fn direct_messages_arrive_in_order_also_when_many_are_on_the_way<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 500);
    let handle = runtime.handle();
    let target = on(&handle, 1, |ctx| expect_in_order(ctx, 2 * MESSAGES as usize));
    let sources = [true, false].map(|direct| {
        on(&handle, 0, move |ctx| async move {
            send_all(&ctx, 1, 1 + u16::from(direct), direct).await?;
            ctx.flush()?.await
        })
    });
    for source in sources {
        elsewhere(source).unwrap().unwrap();
    }
    elsewhere(target).unwrap();
}

fn a_round_trip_wakes_both_ends_again_and_again<M: Make>(watch: &Watch) {
    const ROUNDS: u32 = 2_000;
    // With and without a spin: then each message meets a shard that falls asleep.
    for spin in [Duration::ZERO, Duration::from_micros(20)] {
        let runtime = watch.build(M::builder().shards(2).ring_entries(32).spin(spin));
        let handle = runtime.handle();
        let far = on(&handle, 1, |ctx| async move {
            for _ in 0..ROUNDS {
                let (from, tag, val) = parts(ctx.next_event().await);
                ctx.send_raw_nowait(from, tag, val + 1).unwrap();
            }
        });
        let near = on(&handle, 0, |ctx| async move {
            let mut val = 0;
            for _ in 0..ROUNDS {
                ctx.send_raw_nowait(1, 1, val).unwrap();
                val = parts(ctx.next_event().await).2;
            }
            val
        });
        assert_eq!(elsewhere(near).unwrap(), ROUNDS);
        elsewhere(far).unwrap();
    }
}
