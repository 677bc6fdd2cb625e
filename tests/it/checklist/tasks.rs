//! Tasks: how they end, and what they do to each other.

use std::future::{Future, ready};
use std::io::{Read as _, Write as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use spargio::net::TcpStream;
use spargio::{JoinSet, Runtime, RuntimeError, ShardId, TaskGroup, TaskPlacement};

use super::median_within;
use crate::custody::connections;
use crate::parts::Native;
use crate::shutdown;
use crate::support::{Event, SOON, elsewhere, receive, wait_until, watched, yield_now};

/// A task that panics ends alone, its handle has what it panicked with, and 1,000 siblings on the
/// same shard go on.
#[test]
fn c08_panic_is_isolated() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder());
        let go = Event::default();
        let spawn = |number: usize| {
            let go = go.clone();
            let sibling = async move {
                go.wait().await;
                yield_now().await;
                number
            };
            runtime.spawn_on(0, sibling).unwrap()
        };
        let siblings: Vec<_> = (0..1_000).map(spawn).collect();
        let waits = go.clone();
        let panics = runtime.spawn_on(0, async move {
            waits.wait().await;
            std::panic::panic_any(77_u32);
        });
        wait_until("all wait", || go.waiting() == 1_001);
        go.set();
        let error = elsewhere(panics.unwrap()).unwrap_err();
        assert_eq!(error.try_into_panic().unwrap().downcast_ref(), Some(&77_u32));
        for (number, sibling) in siblings.into_iter().enumerate() {
            assert_eq!(elsewhere(sibling).unwrap(), number);
        }
        assert_eq!(elsewhere(runtime.spawn_on(0, async { 3 }).unwrap()).unwrap(), 3);
        assert_eq!(runtime.shutdown_timeout(SOON).shards_panicked, 0);
    });
}

/// A runtime of one shard, with tasks that wake themselves for ever.
fn busy_for_ever() -> Runtime {
    async fn for_ever() {
        loop {
            yield_now().await;
        }
    }
    let runtime = Runtime::builder().shards(1).build().unwrap();
    drop(runtime.spawn_on(0, for_ever()).unwrap());
    drop(runtime.handle().spawn_stealable(for_ever()).unwrap());
    runtime
}

/// How long a task takes that awaits this.
fn time<F>(runtime: &Runtime, future: F) -> Duration
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let began = Instant::now();
    let task = runtime.handle().spawn_stealable(future).unwrap();
    elsewhere(task).unwrap();
    began.elapsed()
}

/// For how long the thread of this runtime's only shard runs from the deadline of a timer on, until
/// its task goes on.
async fn lateness() -> Duration {
    let cpu = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let deadline = Instant::now() + Duration::from_millis(3);
    let notices = spargio::spawn(async move {
        while Instant::now() < deadline {
            yield_now().await;
        }
        cpu()
    });
    spargio::sleep_until(deadline).await;
    let fired = cpu();
    fired.saturating_sub(notices.unwrap().await.unwrap())
}

/// Beside tasks that wake themselves for ever, operations, timers, messages, other tasks and the
/// shutdown go on within 5 ms.
#[test]
fn c09_yield_loop_starves_nobody() {
    const LIMIT: Duration = Duration::from_millis(5);
    watched(|watch| {
        let runtime = busy_for_ever();
        let handle = runtime.handle();
        watch.add(&handle);
        // Other tasks.
        median_within(LIMIT, "a task", || time(&runtime, async {}));
        // Timers: how late they are, in time that the shard has run for. It never sleeps, so on a
        // machine with more to do it is off its CPU for longer than the limit most of the time.
        let late = || elsewhere(handle.spawn_stealable(lateness()).unwrap()).unwrap();
        median_within(LIMIT, "a timer", late);
        // Operations: a byte comes and goes back.
        let (own, mut peer) = connections(1).remove(0);
        let stream = TcpStream::from_std_on(&handle, own).unwrap();
        let echo = async move {
            let mut buf = vec![0];
            loop {
                let read;
                (read, buf) = stream.read(buf).await;
                if !matches!(read, Ok(1)) {
                    return;
                }
                (_, buf) = stream.write_all(buf).await;
            }
        };
        let echo = handle.spawn_stealable(echo).unwrap();
        median_within(LIMIT, "an echo", || {
            let began = Instant::now();
            peer.write_all(&[7]).unwrap();
            peer.read_exact(&mut [0]).unwrap();
            began.elapsed()
        });
        drop(peer);
        elsewhere(echo).unwrap();
        // Messages.
        let (tell, told) = mpsc::channel();
        let events = handle.spawn_local_on(0, |ctx| async move {
            loop {
                ctx.next_event().await;
                if tell.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
        let remote = handle.remote(0).unwrap();
        median_within(LIMIT, "a message", || {
            let began = Instant::now();
            remote.send_raw_nowait(1, 1).unwrap();
            receive(&told, "the message arrives") - began
        });
        drop((told, events));
        // The shutdown.
        median_within(LIMIT, "a shutdown", || {
            let mut runtime = busy_for_ever();
            let began = Instant::now();
            let report = elsewhere(runtime.shutdown());
            assert_eq!(report.tasks_dropped, 2);
            began.elapsed()
        });
    });
}

/// After a shutdown, a drop or a shutdown that nobody awaited, in whatever order and with clones of
/// handles about, every handle of a task resolves.
#[test]
fn c18_joins_always_resolve() {
    watched(|watch| {
        shutdown::every_handle_resolves_after_a_shutdown::<Native>(watch);
        shutdown::every_handle_resolves_after_a_drop::<Native>(watch);
        shutdown::a_shutdown_whose_future_is_dropped_goes_on::<Native>(watch);
        shutdown::tasks_that_ended_keep_their_output::<Native>(watch);
        shutdown::handles_resolve_when_a_stuck_shard_comes_back::<Native>(watch);
        shutdown::spawning_during_the_shutdown_is_refused_or_ends::<Native>(watch);
    });
}

/// After a shutdown every way to spawn says [`Closed`](RuntimeError::Closed), those that begin with
/// `try` give the future back, and a runtime may be dropped and shut down inside of its own task.
#[test]
fn c19_spawn_after_shutdown() {
    watched(|watch| {
        let mut runtime = watch.build(Runtime::builder());
        let handle = runtime.handle();
        let shard = handle.on(0).unwrap();
        let (own, _peer) = connections(1).remove(0);
        let session = TcpStream::from_std_on(&handle, own).unwrap();
        elsewhere(runtime.shutdown());

        let placements = [
            TaskPlacement::Stealable,
            TaskPlacement::StealablePreferred(ShardId::new(0)),
            TaskPlacement::Pinned(ShardId::new(0)),
            TaskPlacement::RoundRobin,
            TaskPlacement::Sticky(1),
        ];
        for placement in placements {
            let refused = handle.try_spawn_with_placement(placement, ready(3)).unwrap_err();
            assert!(matches!(refused.error, RuntimeError::Closed), "{refused:?}");
            assert_eq!(elsewhere(refused.future), 3, "the future came back");
            closed(handle.spawn_with_placement(placement, ready(())));
            closed(TaskGroup::new(handle.clone()).spawn_with_placement(placement, ready(())));
            closed(JoinSet::new().spawn_with_placement(&handle, placement, ready(())));
        }
        closed(runtime.spawn_on(0, ready(())));
        closed(handle.spawn_stealable(ready(())));
        closed(handle.spawn_stealable_on(0, ready(())));
        closed(handle.spawn_pinned(0, ready(())));
        closed(handle.spawn_local_on(0, |_| ready(())));
        closed(handle.spawn_blocking(|| ()));
        closed(handle.spawn_blocking_with(|_| ()));
        closed(shard.spawn_pinned(ready(())));
        closed(session.spawn_on_session(ready(())));
        closed(TaskGroup::new(handle.clone()).spawn(ready(())));
        closed(JoinSet::new().spawn_on(ready(()), &handle));
        closed(JoinSet::new().spawn_local_on(&handle, 0, |_| ready(())));
        handle.enter(|| {
            closed(spargio::spawn(ready(())));
            closed(spargio::spawn_stealable_on(0, ready(())));
            closed(spargio::spawn_blocking(|| ()));
            closed(spargio::spawn_blocking_with(|_| ()));
            closed(JoinSet::new().spawn(ready(())));
        });

        shutdown::a_runtime_is_dropped_inside_its_own_task::<Native>(watch);
        shutdown::a_runtime_is_shut_down_inside_its_own_task::<Native>(watch);
    });
}

#[track_caller]
fn closed<T>(spawned: Result<T, RuntimeError>) {
    let error = spawned.map(drop).unwrap_err();
    assert!(matches!(error, RuntimeError::Closed), "{error:?}");
}
