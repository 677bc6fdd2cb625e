//! Tickets: they resolve when the target has taken the message, and when it never will.

use super::*;

for_each_assembly! {
    a_ticket_waits_until_the_target_has_taken_the_message,
    a_ticket_of_a_counted_value_is_ready_at_once,
    a_ticket_that_is_dropped_takes_nothing_back,
    a_flush_with_nothing_sent_is_ready_at_once,
    a_flush_waits_for_all_that_was_sent,
    tickets_resolve_when_the_runtime_shuts_down,
    nothing_is_sent_after_the_end,
    messages_during_shutdown_hold_nothing_up,
}

fn a_ticket_waits_until_the_target_has_taken_the_message<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    for _ in 0..20 {
        let plug = Plug::new(&handle, 1);
        let (told, tells) = std::sync::mpsc::channel();
        let source = on(&handle, 0, |ctx| async move {
            let mut ticket = ctx.send_raw(1, 1, 0).unwrap();
            let external = is_pending(&mut ticket).await;
            told.send(external).unwrap();
            ticket.await
        });
        assert!(tells.recv().unwrap(), "the target is stuck");
        let ticket = handle.remote(1).unwrap().send_raw(1, 1).unwrap();
        drop(plug);
        elsewhere(source).unwrap().unwrap();
        // One that nobody awaited while the message was taken.
        elsewhere(ticket).unwrap();
        let target = on(&handle, 1, |ctx| async move { receive(&ctx, 2).await });
        elsewhere(target).unwrap();
    }
}

fn a_ticket_of_a_counted_value_is_ready_at_once<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let _plug = Plug::new(&runtime.handle(), 1);
    let source = on(&runtime.handle(), 0, |ctx| async move { ctx.send_raw(1, 7, 3)?.await });
    elsewhere(source).unwrap().unwrap();
}

fn a_ticket_that_is_dropped_takes_nothing_back<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 1);
    let source = on(&handle, 0, |ctx| async move {
        for val in 0..10 {
            let mut ticket = ctx.send_raw(1, 1, val).unwrap();
            assert!(is_pending(&mut ticket).await);
        }
    });
    elsewhere(source).unwrap();
    drop(plug);
    let target = on(&handle, 1, |ctx| async move { receive(&ctx, 10).await.len() });
    assert_eq!(elsewhere(target).unwrap(), 10);
}

fn a_flush_with_nothing_sent_is_ready_at_once<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let handle = runtime.handle();
    let _plug = Plug::new(&handle, 1);
    let task = on(&handle, 0, |ctx| async move {
        !is_pending(ctx.flush().unwrap()).await
            && !is_pending(ctx.remote(1).unwrap().flush().unwrap()).await
    });
    assert!(elsewhere(task).unwrap());
    elsewhere(handle.remote(1).unwrap().flush().unwrap()).unwrap();
}

fn a_flush_waits_for_all_that_was_sent<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 3, 200);
    let handle = runtime.handle();
    let plugs = [1, 2].map(|shard| Plug::new(&handle, shard));
    let (told, tells) = std::sync::mpsc::channel();
    let source = on(&handle, 0, |ctx| async move {
        ctx.send_many_raw_nowait(1, (0..150).map(|val| (1, val)))?;
        ctx.send_many_raw_direct_nowait(1, (0..30).map(|val| (2, val)))?;
        ctx.send_raw_nowait(2, 5, 0)?;
        let (mut one, mut all) = (ctx.remote(1).unwrap().flush()?, ctx.flush()?);
        let waits = is_pending(&mut one).await && is_pending(&mut all).await;
        told.send(waits).unwrap();
        one.await?;
        assert!(is_pending(&mut all).await, "the other shard is stuck");
        told.send(true).unwrap();
        all.await
    });
    let external = handle.remote(2).unwrap();
    external.send_many_raw_nowait([(1, 0), (5, 0)]).unwrap();
    let external = external.flush().unwrap();
    assert!(tells.recv().unwrap());
    let [first, second] = plugs;
    drop(first);
    assert!(tells.recv().unwrap());
    drop(second);
    elsewhere(source).unwrap().unwrap();
    elsewhere(external).unwrap();
}

pub(crate) fn tickets_resolve_when_the_runtime_shuts_down<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 2);
    let handle = runtime.handle();
    let remote = handle.remote(1).unwrap();
    // Nobody reads: two are taken into the events, two lie in the lane.
    let mut tickets: Vec<SendTicket> = Vec::new();
    while tickets.len() < 4 {
        tickets.extend(remote.send_raw(1, 0).ok());
    }
    tickets.push(remote.flush().unwrap());
    let late = tickets.split_off(2);
    for ticket in tickets {
        elsewhere(ticket).unwrap();
    }
    // One is awaited when the end comes, the others are not.
    let mut late = late.into_iter();
    let awaited = late.next().unwrap();
    let (told, tells) = std::sync::mpsc::channel();
    let waits = thread::spawn(move || {
        let mut awaited = pin!(awaited);
        elsewhere(poll_fn(|cx| {
            let poll = awaited.as_mut().poll(cx);
            if poll.is_pending() {
                // Whoever listened has heard the first.
                told.send(()).ok();
            }
            poll
        }))
    });
    tells.recv().unwrap();
    drop(runtime);
    assert_eq!(waits.join().unwrap(), Err(SendError::Closed));
    for ticket in late {
        assert_eq!(elsewhere(ticket), Err(SendError::Closed));
    }
}

fn nothing_is_sent_after_the_end<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2, 64);
    let used = runtime.remote(0).unwrap();
    used.send_raw_nowait(1, 0).unwrap();
    let remotes = [used, runtime.remote(1).unwrap()];
    drop(runtime);
    for remote in remotes {
        for tag in [1, 5, 7] {
            assert_eq!(remote.send_raw_nowait(tag, 1), Err(SendError::Closed));
            assert_eq!(remote.send_raw(tag, 1).err(), Some(SendError::Closed));
            assert_eq!(remote.send_raw_direct_nowait(tag, 1), Err(SendError::Closed));
        }
        let error = std::io::Error::from(SendError::Closed);
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
}

fn messages_during_shutdown_hold_nothing_up<M: Make>(watch: &Watch) {
    for round in 0..10 {
        let runtime = runtime::<M>(watch, 3, 64);
        let handle = runtime.handle();
        let tasks: Vec<_> = (0..3)
            .map(|shard| {
                on(&handle, shard, move |ctx| async move {
                    loop {
                        for to in 0..3 {
                            let _ = ctx.send_raw_nowait(to, 1, 0); // Refused at the limit.
                            let _ = ctx.send_raw_direct_nowait(to, 1, 0); // The same.
                            if let Ok(ticket) = ctx.send_raw(to, 5, 0) {
                                is_pending(ticket).await;
                            }
                        }
                        is_pending(ctx.next_event()).await;
                        yield_now().await;
                    }
                })
            })
            .collect();
        // The end comes earlier or later in what they do.
        let sent = || handle.stats_snapshot().total().ring_msgs_submitted;
        wait_until("they send", || sent() >= 100 * round);
        let report = runtime.shutdown_timeout(Duration::from_secs(60));
        let left = (report.operations_leaked, report.shards_stuck, report.shards_panicked);
        assert_eq!(left, (0, 0, 0), "{report}");
        for task in tasks {
            let never: Result<(), _> = elsewhere(task);
            never.unwrap_err();
        }
    }
}
