//! The end of a runtime: every handle resolves, nothing is left behind, and what is stuck does not
//! hold up who ends it.

use std::fs;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use spargio::{Assembly, JoinHandle, RuntimeError, RuntimeHandleOf, TaskPlacement};

use crate::parts::{Make, Native, Own, Plain, for_each_assembly, runtime};
use crate::support::{
    Event, Plug, SOON, Watch, alone, elsewhere, receive, threads_named, wait_until, watched,
    yield_now,
};

for_each_assembly! {
    every_handle_resolves_after_a_shutdown,
    every_handle_resolves_after_a_drop,
    a_second_shutdown_gives_the_same_report,
    a_shutdown_whose_future_is_dropped_goes_on,
    tasks_that_ended_keep_their_output,
    a_runtime_is_dropped_inside_its_own_task,
    a_runtime_is_shut_down_inside_its_own_task,
    a_runtime_is_dropped_inside_a_task_of_another,
    a_runtime_is_shut_down_from_another_executor,
    a_stuck_shard_does_not_hold_up_the_end,
    a_dropped_runtime_with_a_shard_that_is_busy_waits_for_it,
    handles_resolve_when_a_stuck_shard_comes_back,
    what_a_stuck_shard_spawned_ends_in_time,
    patience_without_end_is_no_overflow,
    destructors_that_spawn_wake_and_abort_are_harmless,
    spawning_during_the_shutdown_is_refused_or_ends,
    nothing_is_left_behind,
}

/// Tasks of every kind that wait for ever.
fn waiting_tasks<A: Assembly>(handle: &RuntimeHandleOf<A>) -> Vec<JoinHandle<()>> {
    let shards = u16::try_from(handle.shard_count()).unwrap();
    let mut tasks = Vec::new();
    for number in 0..60u16 {
        let event = Event::default();
        let job = async move { event.wait().await };
        tasks.push(match number % 4 {
            0 => handle.spawn_stealable(job),
            1 => handle.spawn_pinned(number % shards, job),
            2 => handle.spawn_with_placement(TaskPlacement::RoundRobin, job),
            _ => handle.spawn_local_on(number % shards, |_| job),
        });
    }
    tasks.into_iter().map(Result::unwrap).collect()
}

fn all_are_canceled(tasks: Vec<JoinHandle<()>>) {
    // From both ends: the order must not matter.
    let mut tasks = std::collections::VecDeque::from(tasks);
    while let Some(task) = tasks.pop_front() {
        assert!(elsewhere(task).unwrap_err().is_canceled());
        if let Some(task) = tasks.pop_back() {
            assert!(elsewhere(task).unwrap_err().is_canceled());
        }
    }
}

pub(crate) fn every_handle_resolves_after_a_shutdown<M: Make>(watch: &Watch) {
    for round in 0..5 {
        let mut runtime = runtime::<M>(watch, 3);
        let clones = [runtime.handle(), runtime.handle()];
        let tasks = waiting_tasks(&clones[0]);
        let early = thread::spawn({
            let task = clones[1].spawn_pinned(round % 3, pending::<()>()).unwrap();
            move || elsewhere(task).unwrap_err().is_canceled()
        });
        let report = elsewhere(runtime.shutdown());
        assert_eq!((report.shards_stuck, report.shards_panicked), (0, 0), "{report}");
        assert_eq!((report.operations_leaked, report.failures.len()), (0, 0), "{report}");
        assert_eq!(report.tasks_dropped, 61, "{report}");
        assert!(early.join().unwrap());
        if round % 2 == 0 {
            drop(runtime);
        }
        all_are_canceled(tasks);
        assert_eq!(clones[0].stats_snapshot().total().live_tasks, 0);
    }
}

pub(crate) fn every_handle_resolves_after_a_drop<M: Make>(watch: &Watch) {
    for _ in 0..5 {
        let runtime = runtime::<M>(watch, 2);
        let handle = runtime.handle();
        let tasks = waiting_tasks(&handle);
        drop(runtime);
        all_are_canceled(tasks);
        assert!(matches!(handle.spawn_stealable(async {}).unwrap_err(), RuntimeError::Closed));
    }
}

fn a_second_shutdown_gives_the_same_report<M: Make>(watch: &Watch) {
    let mut runtime = runtime::<M>(watch, 2);
    let tasks = waiting_tasks(&runtime.handle());
    let first = elsewhere(runtime.shutdown());
    let second = elsewhere(runtime.shutdown());
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    let third = runtime.shutdown_timeout(Duration::ZERO);
    assert_eq!(format!("{first:?}"), format!("{third:?}"));
    all_are_canceled(tasks);
}

pub(crate) fn a_shutdown_whose_future_is_dropped_goes_on<M: Make>(watch: &Watch) {
    let mut runtime = runtime::<M>(watch, 2);
    let tasks = waiting_tasks(&runtime.handle());
    elsewhere(async {
        let mut shutdown = Box::pin(runtime.shutdown());
        std::future::poll_fn(|cx| {
            drop(shutdown.as_mut().poll(cx));
            std::task::Poll::Ready(())
        })
        .await;
    });
    all_are_canceled(tasks);
    let report = elsewhere(runtime.shutdown());
    assert_eq!(report.tasks_dropped, 60, "{report}");
}

pub(crate) fn tasks_that_ended_keep_their_output<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let task = runtime.spawn_on(1, async { vec![1, 2, 3] }).unwrap();
    wait_until("the task ends", || task.is_finished());
    drop(runtime);
    assert_eq!(elsewhere(task).unwrap(), [1, 2, 3]);
}

pub(crate) fn a_runtime_is_dropped_inside_its_own_task<M: Make>(watch: &Watch) {
    for local in [false, true] {
        let runtime = runtime::<M>(watch, 2);
        let handle = runtime.handle();
        let tasks = waiting_tasks(&handle);
        let (done, did) = mpsc::channel();
        let job = async move {
            yield_now().await;
            drop(runtime);
            done.send(()).unwrap();
            pending::<()>().await;
        };
        let own = if local {
            handle.spawn_local_on(1, |_| job).unwrap()
        } else {
            handle.spawn_stealable(job).unwrap()
        };
        receive(&did, "the drop returns");
        all_are_canceled(tasks);
        assert!(elsewhere(own).unwrap_err().is_canceled());
    }
}

pub(crate) fn a_runtime_is_shut_down_inside_its_own_task<M: Make>(watch: &Watch) {
    let mut runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let tasks = waiting_tasks(&handle);
    let own = handle.spawn_pinned(0, async move {
        // It can wait for everything but its own end.
        runtime.shutdown().await;
    });
    assert!(elsewhere(own.unwrap()).unwrap_err().is_canceled());
    all_are_canceled(tasks);
}

fn a_runtime_is_dropped_inside_a_task_of_another<M: Make>(watch: &Watch) {
    let outer = runtime::<M>(watch, 1);
    let inner = runtime::<M>(watch, 2);
    let tasks = waiting_tasks(&inner.handle());
    elsewhere(outer.spawn_on(0, async move { drop(inner) }).unwrap()).unwrap();
    all_are_canceled(tasks);
    assert_eq!(elsewhere(outer.spawn_on(0, async { 1 }).unwrap()).unwrap(), 1);
}

fn a_runtime_is_shut_down_from_another_executor<M: Make>(watch: &Watch) {
    let outer = runtime::<M>(watch, 1);
    let mut inner = runtime::<M>(watch, 2);
    let tasks = waiting_tasks(&inner.handle());
    let task = outer.spawn_on(0, async move { inner.shutdown().await });
    let report = elsewhere(task.unwrap()).unwrap();
    assert_eq!((report.tasks_dropped, report.shards_stuck), (60, 0), "{report}");
    all_are_canceled(tasks);
}

fn a_stuck_shard_does_not_hold_up_the_end<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let plug = Plug::new(&handle, 1);
    let free = handle.spawn_pinned(0, pending::<()>()).unwrap();
    let began = Instant::now();
    let report = runtime.shutdown_timeout(Duration::from_millis(200));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert!(took < Duration::from_secs(5), "the deadline was 200 ms, it took {took:?}");
    assert_eq!(report.shards_stuck, 1, "the other merely waits: {report}");
    assert!(elsewhere(free).unwrap_err().is_canceled());
    drop(plug);
}

fn a_dropped_runtime_with_a_shard_that_is_busy_waits_for_it<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let mut plug = Plug::new(&handle, 1);
    let own = plug.task();
    let pinned = handle.spawn_pinned(1, pending::<()>()).unwrap();
    let thread = thread::spawn(move || drop(runtime));
    wait_until("the runtime closes", || handle.spawn_stealable(async {}).is_err());
    drop(plug);
    thread.join().unwrap();
    // It ran to its end, because it never came to a last poll.
    elsewhere(own).unwrap();
    assert!(elsewhere(pinned).unwrap_err().is_canceled());
}

pub(crate) fn handles_resolve_when_a_stuck_shard_comes_back<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let waits = Event::default();
    let waiting = {
        let waits = waits.clone();
        handle.spawn_pinned(1, async move { waits.wait().await }).unwrap()
    };
    wait_until("the task waits", || waits.waiting() == 1);
    let plug = Plug::new(&handle, 1);
    let queued = handle.spawn_pinned(1, async {}).unwrap();
    let local = handle.spawn_local_on(1, |_| async {}).unwrap();
    let report = runtime.shutdown_timeout(Duration::from_millis(50));
    assert!(report.shards_stuck >= 1, "{report}");
    drop(plug);
    for task in [waiting, queued, local] {
        wait_until("the handle resolves", || task.is_finished());
        drop(elsewhere(task));
    }
}

fn what_a_stuck_shard_spawned_ends_in_time<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let _plug = Plug::new(&handle, 1);
    // It belongs to shard 1, which cannot tell it to end, and runs on shard 0 for ever.
    let runs = Event::default();
    let run = runs.clone();
    let for_ever = async move {
        loop {
            run.set();
            yield_now().await;
        }
    };
    let task: JoinHandle<()> = handle.spawn_stealable_on(1, for_ever).unwrap();
    wait_until("the task runs", || runs.is_set());
    let report = runtime.shutdown_timeout(Duration::from_millis(50));
    assert!(report.shards_stuck >= 1, "{report}");
    wait_until("the handle resolves", || task.is_finished());
    assert!(elsewhere(task).unwrap_err().is_canceled());
}

fn patience_without_end_is_no_overflow<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let tasks = waiting_tasks(&runtime.handle());
    let report = runtime.shutdown_timeout(Duration::MAX);
    assert_eq!(report.shards_stuck, 0, "{report}");
    all_are_canceled(tasks);
}

/// When dropped spawns on its runtime, wakes an event and aborts another task.
struct Meddler<A: Assembly> {
    handle: RuntimeHandleOf<A>,
    event: Event,
    victim: Option<spargio::AbortHandle>,
    dropped: Arc<AtomicUsize>,
}

impl<A: Assembly> Drop for Meddler<A> {
    fn drop(&mut self) {
        for placement in [TaskPlacement::Stealable, TaskPlacement::RoundRobin] {
            drop(self.handle.spawn_with_placement(placement, async {}));
        }
        drop(spargio::spawn(async {}));
        drop(spargio::spawn_local(async {}));
        drop(self.handle.spawn_local_on(0, |_| async {}));
        self.event.set();
        if let Some(victim) = &self.victim {
            victim.abort();
        }
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn destructors_that_spawn_wake_and_abort_are_harmless<M: Make>(watch: &Watch) {
    for round in 0..10 {
        let runtime = runtime::<M>(watch, 2);
        let handle = runtime.handle();
        let event = Event::default();
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        for number in 0..40u16 {
            let meddler = Meddler {
                handle: handle.clone(),
                event: event.clone(),
                victim: tasks.last().and_then(JoinHandle::abort_handle),
                dropped: Arc::clone(&dropped),
            };
            let event = event.clone();
            let job = async move {
                let _meddler = meddler;
                loop {
                    event.wait().await;
                    yield_now().await;
                }
            };
            tasks.push(if number % 2 == 0 {
                handle.spawn_stealable(job).unwrap()
            } else {
                handle.spawn_pinned(number / 2 % 2, job).unwrap()
            });
        }
        if round % 2 == 0 {
            wait_until("all wait", || event.waiting() == 40);
        }
        let report = runtime.shutdown_timeout(SOON);
        assert_eq!((report.shards_stuck, report.shards_panicked), (0, 0), "{report}");
        all_are_canceled(tasks);
        assert_eq!(dropped.load(Ordering::SeqCst), 40);
    }
}

pub(crate) fn spawning_during_the_shutdown_is_refused_or_ends<M: Make>(watch: &Watch) {
    for _ in 0..10 {
        let runtime = runtime::<M>(watch, 2);
        let spawners: Vec<_> = (0..2u16)
            .map(|shard| {
                let handle = runtime.handle();
                let (ready, is_ready) = mpsc::channel();
                let thread = thread::spawn(move || {
                    let mut tasks = Vec::new();
                    loop {
                        match handle.spawn_pinned(shard, pending::<()>()) {
                            Ok(task) => tasks.push(task),
                            Err(RuntimeError::Closed) => return tasks,
                            // The shard has not got to the others yet.
                            Err(RuntimeError::Overloaded { .. }) => thread::yield_now(),
                            Err(error) => panic!("{error:?}"),
                        }
                        if tasks.len() == 10 {
                            ready.send(()).unwrap();
                        }
                    }
                });
                receive(&is_ready, "the thread spawns");
                thread
            })
            .collect();
        let report = runtime.shutdown_timeout(SOON);
        assert_eq!(report.shards_stuck, 0, "{report}");
        for thread in spawners {
            all_are_canceled(thread.join().unwrap());
        }
    }
}

/// Fds of io_urings and eventfds: other tests of this process come and go, so only a process of its
/// own can count all.
fn nothing_is_left_behind<M: Make>(watch: &Watch) {
    let prefix = format!("gone{}", watch.number());
    for shards in [1, 2, 4] {
        let runtime = watch.build(M::builder().shards(shards).thread_prefix(&prefix));
        let tasks = waiting_tasks(&runtime.handle());
        assert_eq!(threads_named(&prefix), shards);
        let report = runtime.shutdown_timeout(SOON);
        assert_eq!((report.shards_stuck, report.operations_leaked), (0, 0), "{report}");
        // A thread that was joined may show for a moment.
        wait_until("the threads are gone", || threads_named(&prefix) == 0);
        all_are_canceled(tasks);
    }
}

#[test]
fn no_fd_and_no_thread_outlives_its_runtime() {
    let name = "shutdown::no_fd_and_no_thread_outlives_its_runtime";
    watched(move |_| alone(name, count_fds_and_threads));
}

/// In a process of its own: it counts what a whole process has.
fn count_fds_and_threads() {
    fn live_and_end<M: Make>(round: usize) {
        let runtime = M::builder().shards(1 + round % 4).ring_entries(8).build().unwrap();
        let tasks = waiting_tasks(&runtime.handle());
        match round % 3 {
            0 => drop(runtime),
            1 => drop(runtime.shutdown_timeout(SOON)),
            _ => {
                let mut runtime = runtime;
                assert_eq!(elsewhere(runtime.shutdown()).tasks_dropped, tasks.len());
            }
        }
        all_are_canceled(tasks);
    }
    let count = |what| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let before = (count("fd"), count("task"));
    for round in 0..10 {
        live_and_end::<Native>(round);
        live_and_end::<Plain>(round);
        live_and_end::<Own>(round);
        // A build that fails after some shards have opened leaves nothing either.
        let cpus = [0, 1_000_000];
        drop(spargio::Runtime::builder().thread_affinity(cpus).build().unwrap_err());
    }
    // The kernel takes a closed ring apart a moment later, and a joined thread shows that long.
    wait_until("fds and threads are as before", || (count("fd"), count("task")) == before);
}
