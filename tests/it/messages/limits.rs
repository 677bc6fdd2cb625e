//! Every lane is bounded, the events of a shard too, and who sends more is told what was not taken.

use super::*;

for_each_assembly! {
    a_lane_takes_as_many_as_it_says_and_reports_the_next,
    what_was_not_taken_is_left_with_the_sender,
    a_burst_to_a_stuck_shard_is_delivered_or_reported,
    a_burst_of_many_at_a_time_to_a_stuck_shard_is_delivered_or_reported,
    events_that_nobody_reads_are_bounded_too,
    plain_events_that_nobody_reads_do_not_hold_up_hot_ones,
}

/// So many messages, most of which no lane has room for.
const BURST: u32 = 20_000;

/// The limit, how many of a call were taken, and the first that was not.
fn backpressure(result: Result<(), SendError>) -> (u64, usize, (u16, u32)) {
    match result.unwrap_err() {
        SendError::Backpressure { limit, taken, refused, .. } => (limit, taken, refused),
        error => panic!("{error}"),
    }
}

fn a_lane_takes_as_many_as_it_says_and_reports_the_next<M: Make>(watch: &Watch) {
    for capacity in [0, 1, 2, 100] {
        let runtime = runtime::<M>(watch, 2, capacity);
        let capacity = capacity.max(1) as u32;
        let handle = runtime.handle();
        let plug = Plug::new(&handle, 1);
        let source = on(&handle, 0, move |ctx| async move {
            for tag in [1, 5] {
                for val in 0..capacity {
                    ctx.send_raw_nowait(1, tag, val).unwrap();
                }
                let refused = ctx.send_raw_nowait(1, tag, 77);
                assert_eq!(backpressure(refused), (capacity.into(), 0, (tag, 77)));
                ctx.send_raw(1, tag, 78).unwrap_err();
            }
            let error = ctx.send_raw_nowait(1, 1, 79).unwrap_err();
            assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::WouldBlock);
            error.to_string()
        });
        let text = elsewhere(source).unwrap();
        assert!(text.contains(&format!("the limit of {capacity}")), "{text}");
        // External threads have a lane of their own.
        let remote = handle.remote(1).unwrap();
        (0..capacity).for_each(|val| remote.send_raw_nowait(1, val).unwrap());
        remote.send_raw_nowait(1, 77).unwrap_err();
        drop(plug);
        let target = on(&handle, 1, move |ctx| async move {
            let mut hot = 0;
            while hot < capacity {
                hot += u32::from(parts(ctx.next_hot_event().await).2 == hot);
            }
            receive(&ctx, 2 * capacity as usize).await
        });
        let got = elsewhere(target).unwrap();
        assert!(got.iter().all(|event| event.2 < capacity), "{got:?}");
    }
}

fn what_was_not_taken_is_left_with_the_sender<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 10);
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 1);
    let source = on(&handle, 0, |ctx| async move {
        let mut messages = (0..15).map(|val| (1, val));
        let sent = ctx.send_many_raw_nowait(1, messages.by_ref());
        assert_eq!(backpressure(sent), (10, 10, (1, 10)));
        messages.map(|message| message.1).collect::<Vec<_>>()
    });
    assert_eq!(elsewhere(source).unwrap(), [11, 12, 13, 14]);
    drop(plug);
}

fn a_burst_to_a_stuck_shard_is_delivered_or_reported<M: Make>(watch: &Watch) {
    let runtime = watch.build(M::builder().shards(3).ring_entries(32));
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 1);
    let send = |handle: &RuntimeHandleOf<Made<M>>, direct: bool| {
        on(handle, 0, move |ctx| async move {
            let mut sent = 0;
            for val in 0..BURST {
                let result = if direct {
                    ctx.send_raw_direct_nowait(1, 2, val)
                } else {
                    ctx.send_raw_nowait(1, 1, val)
                };
                match result {
                    Ok(()) => {
                        assert_eq!(val, sent, "nothing is taken after the first refusal");
                        sent += 1;
                    }
                    Err(error) => {
                        assert!(matches!(error, SendError::Backpressure { .. }), "{error:?}");
                    }
                }
            }
            ctx.flush().map(drop).unwrap();
            sent
        })
    };
    let plain = elsewhere(send(&handle, false)).unwrap();
    let direct = elsewhere(send(&handle, true)).unwrap();
    let remote = handle.remote(1).unwrap();
    let external = (0..BURST).filter(|&val| remote.send_raw_nowait(3, val).is_ok()).count() as u32;
    assert_eq!((plain, external), (4_096, 4_096), "as many as a lane holds");
    // What cannot go directly any more takes the lane, which is full.
    assert!((100..=4_096).contains(&direct), "{direct}");
    drop(plug);
    let target = on(&handle, 1, move |ctx| async move {
        let mut next = [0; 4];
        for _ in 0..plain + direct + external {
            let (_, tag, val) = parts(ctx.next_event().await);
            assert_eq!(val, next[usize::from(tag)], "tag {tag}");
            next[usize::from(tag)] += 1;
        }
        assert!(is_pending(ctx.next_event()).await);
        next
    });
    assert_eq!(elsewhere(target).unwrap(), [0, plain, direct, external]);
}

/// Sends so many numbers in calls of up to 1,000 each. Who is refused a message drops that one and
/// goes on with the next. The numbers that were taken.
fn send_many(
    tag: u16,
    mut send: impl FnMut(&mut dyn Iterator<Item = (u16, u32)>) -> Result<(), SendError>,
) -> Vec<u32> {
    let mut taken = Vec::new();
    let mut next = 0;
    while next < BURST {
        let end = BURST.min(next + 1_000);
        let mut messages = (next..end).map(|val| (tag, val));
        match send(&mut messages) {
            Ok(()) => {
                assert_eq!(messages.next(), None, "a call that took all leaves none");
                taken.extend(next..end);
                next = end;
            }
            Err(SendError::Backpressure { taken: count, refused, .. }) => {
                let first = next + count as u32;
                assert_eq!(refused, (tag, first), "the first that was not taken is named");
                let rest = (messages.len() as u32, messages.next());
                let left = (first + 1..end).map(|val| (tag, val)).next();
                assert_eq!(rest, (end - first - 1, left), "the rest is left");
                taken.extend(next..first);
                next = first + 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    taken
}

fn a_burst_of_many_at_a_time_to_a_stuck_shard_is_delivered_or_reported<M: Make>(watch: &Watch) {
    const CAPACITY: usize = 4_096;
    let runtime = runtime::<M>(watch, 3, CAPACITY);
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 1);
    let raw = on(&handle, 0, |ctx| async move {
        let plain = send_many(1, |messages| ctx.send_many_raw_nowait(1, messages));
        let hot = send_many(5, |messages| ctx.send_many_raw_nowait(1, messages));
        let direct = send_many(2, |messages| ctx.send_many_raw_direct_nowait(1, messages));
        ctx.flush().map(drop).unwrap();
        (plain, hot, direct)
    });
    let (plain, hot, direct) = elsewhere(raw).unwrap();
    let typed = on(&handle, 2, |ctx| async move {
        let jobs = |message: (u16, u32)| Job::Start(message.1);
        send_many(1, |messages| ctx.send_many_nowait(1, messages.map(jobs)))
    });
    let typed = elsewhere(typed).unwrap();
    let remote = handle.remote(1).unwrap();
    let external = send_many(3, |messages| remote.send_many_raw_nowait(messages));
    let external_hot = send_many(6, |messages| remote.send_many_raw_direct_nowait(messages));
    for lane in [&plain, &hot, &typed, &external, &external_hot] {
        assert_eq!(lane.len(), CAPACITY, "as many as a lane holds");
    }
    // What cannot go directly any more takes the lane, which is full.
    assert!((100..=CAPACITY).contains(&direct.len()), "{}", direct.len());
    let sent = [
        ((ShardId::new(0), 1), plain),
        ((ShardId::new(0), 2), direct),
        ((ShardId::new(0), 5), hot),
        ((ShardId::new(2), 1), typed),
        ((ShardId::EXTERNAL, 3), external),
        ((ShardId::EXTERNAL, 6), external_hot),
    ];
    let count = |is_hot: bool| {
        let lanes = sent.iter().filter(|((_, tag), _)| HOT.contains(tag) == is_hot);
        lanes.map(|(_, taken)| taken.len()).sum::<usize>()
    };
    let (plain, hot) = (count(false), count(true));
    let refused = sent.len() * BURST as usize - plain - hot;
    assert_eq!(handle.stats_snapshot().total().ring_msgs_backpressure, refused as u64);
    drop(plug);
    let target = on(&handle, 1, move |ctx| async move {
        let mut got = receive(&ctx, plain).await;
        for _ in 0..hot {
            got.push(parts(ctx.next_hot_event().await));
        }
        let rest = [is_pending(ctx.next_event()).await, is_pending(ctx.next_hot_event()).await];
        assert_eq!(rest, [true, true], "nothing comes that was refused");
        got
    });
    let got = elsewhere(target).unwrap();
    for (lane, taken) in sent {
        let of_lane = got.iter().filter(|&&(from, tag, _)| (from, tag) == lane);
        assert!(of_lane.map(|event| event.2).eq(taken), "not in order, or not once: {lane:?}");
    }
}

fn events_that_nobody_reads_are_bounded_too<M: Make>(watch: &Watch) {
    const CAPACITY: u32 = 8;
    let runtime = runtime::<M>(watch, 2, CAPACITY as usize);
    let handle = runtime.handle();
    let source = on(&handle, 0, |ctx| async move {
        let mut sent = 0;
        let mut refused = 0;
        // The target takes what it has room for, and then the lane fills.
        while refused < 1_000 {
            match ctx.send_raw_nowait(1, 1, sent) {
                Ok(()) => (sent, refused) = (sent + 1, 0),
                Err(_) => refused += 1,
            }
            yield_now().await;
        }
        sent
    });
    let sent = elsewhere(source).unwrap();
    assert!((CAPACITY..=2 * CAPACITY).contains(&sent), "{sent}");
    // It is not kept awake by messages for which it has no room.
    asleep(&handle, 1);
    let target = on(&handle, 1, move |ctx| async move { receive(&ctx, sent as usize).await });
    let got = elsewhere(target).unwrap();
    assert_eq!(got.into_iter().map(|event| event.2).collect::<Vec<_>>(), Vec::from_iter(0..sent));
}

fn plain_events_that_nobody_reads_do_not_hold_up_hot_ones<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 2);
    let handle = runtime.handle();
    let source = on(&handle, 0, |ctx| async move {
        let mut refused = 0;
        while refused < 1_000 {
            refused += u32::from(ctx.send_raw_nowait(1, 1, 0).is_err());
            yield_now().await;
        }
        ctx.send_raw(1, 5, 42)?.await
    });
    elsewhere(source).unwrap().unwrap();
    let target = on(&handle, 1, |ctx| async move { parts(ctx.next_hot_event().await).2 });
    assert_eq!(elsewhere(target).unwrap(), 42);
}
