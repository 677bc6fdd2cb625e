//! The ends of tasks: aborted, detached, by a panic, and where what they held is dropped.

use std::cell::Cell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use spargio::{JoinError, ShardCtx, ShardId};

use crate::parts::{Make, for_each_assembly, runtime};
use crate::support::{Event, Plug, Tell, Watch, elsewhere, here, receive, wait_until, yield_now};

for_each_assembly! {
    an_aborted_task_that_never_ran_is_never_polled,
    a_waiting_task_is_aborted,
    a_running_task_is_aborted_after_its_poll,
    a_task_that_aborts_itself_ends,
    an_abort_after_the_end_changes_nothing,
    an_abort_handle_outlives_the_join_handle,
    a_dropped_handle_lets_the_task_go_on,
    a_panic_is_handed_to_who_awaits,
    a_panic_of_a_destructor_is_the_tasks,
    a_panic_of_a_detached_output_is_the_tasks,
    a_panic_of_an_aborted_future_is_reported,
    siblings_of_a_panic_go_on,
    local_tasks_share_what_is_not_send,
    a_local_task_is_made_on_its_shard,
    a_confined_future_is_dropped_on_its_shard_however_it_ends,
    a_handle_that_is_dropped_midway_loses_nothing,
    a_waker_that_panics_costs_nobody_else_anything,
}

fn an_aborted_task_that_never_ran_is_never_polled<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let handle = runtime.handle();
    let busy = Plug::new(&handle, 0);
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = |polls: &Arc<AtomicUsize>| {
        let polls = Arc::clone(polls);
        async move { polls.fetch_add(1, Ordering::SeqCst) }
    };
    let tasks = [
        handle.spawn_stealable(counted(&polls)).unwrap(),
        handle.spawn_pinned(0, counted(&polls)).unwrap(),
        {
            let polls = Arc::clone(&polls);
            let make = move |_| async move { polls.fetch_add(1, Ordering::SeqCst) };
            handle.spawn_local_on(0, make).unwrap()
        },
    ];
    tasks.iter().for_each(|task| task.abort());
    tasks.iter().for_each(|task| task.abort());
    drop(busy);
    for task in tasks {
        let error = elsewhere(task).unwrap_err();
        assert!(error.is_canceled(), "{error:?}");
        assert_eq!(error.to_string(), "the task was canceled");
    }
    assert_eq!(polls.load(Ordering::SeqCst), 0);
}

fn a_waiting_task_is_aborted<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    for number in 0..50u16 {
        let event = Event::default();
        let waits = event.clone();
        let (tell, told) = mpsc::channel();
        let task = runtime.spawn_on(number % 2, async move {
            let _tell = Tell(tell);
            waits.wait().await;
        });
        let task = task.unwrap();
        wait_until("the task waits", || event.waiting() == 1);
        assert!(!task.is_finished());
        task.abort();
        receive(&told, "the future is dropped");
        assert!(elsewhere(task).unwrap_err().is_canceled());
    }
}

fn a_running_task_is_aborted_after_its_poll<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let (go, gone) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let task = runtime.spawn_on(0, async move {
        let _tell = Tell(tell);
        begin.send(()).unwrap();
        gone.recv().unwrap();
        pending::<()>().await;
    });
    let task = task.unwrap();
    receive(&begun, "the task runs");
    task.abort();
    assert!(!task.is_finished());
    assert!(told.try_recv().is_err(), "the future is dropped under its own feet");
    go.send(()).unwrap();
    assert!(elsewhere(task).unwrap_err().is_canceled());
    receive(&told, "the future is dropped");
}

fn a_task_that_aborts_itself_ends<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let (send, receive_handle) = mpsc::channel::<spargio::AbortHandle>();
    let task = runtime.spawn_on(0, async move {
        let own = receive_handle.recv().unwrap();
        own.abort();
        pending::<()>().await;
    });
    let task = task.unwrap();
    send.send(task.abort_handle().unwrap()).unwrap();
    assert!(elsewhere(task).unwrap_err().is_canceled());
}

fn an_abort_after_the_end_changes_nothing<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let task = runtime.spawn_on(0, async { "kept" }).unwrap();
    let abort = task.abort_handle().unwrap();
    assert_eq!((abort.id(), task.id()), (task.id(), abort.id()));
    wait_until("the task ends", || task.is_finished() && abort.is_finished());
    abort.abort();
    task.abort();
    assert_eq!(elsewhere(task).unwrap(), "kept");
    abort.abort();
    // The slot of the task that ended is used again; the old handle must not reach the new task.
    let go = Event::default();
    let waits = go.clone();
    let next = runtime.spawn_on(0, async move { waits.wait().await }).unwrap();
    abort.abort();
    go.set();
    elsewhere(next).unwrap();
}

fn an_abort_handle_outlives_the_join_handle<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let (tell, told) = mpsc::channel();
    let tell = Tell(tell);
    let task = runtime.spawn_on(0, async move {
        let _tell = tell;
        pending::<()>().await;
    });
    let task = task.unwrap();
    let abort = task.abort_handle().unwrap();
    drop(task);
    assert!(!abort.is_finished());
    abort.clone().abort();
    receive(&told, "the detached task is dropped");
    wait_until("the handle says so", || abort.is_finished());
    drop(runtime);
    abort.abort();
    assert!(abort.is_finished());
}

fn a_dropped_handle_lets_the_task_go_on<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let (done, did) = mpsc::channel();
    for number in 0..100u16 {
        let done = done.clone();
        let job = async move {
            yield_now().await;
            done.send(number).unwrap();
        };
        drop(runtime.spawn_on(number % 2, job).unwrap());
    }
    let mut numbers: Vec<u16> = (0..100).map(|_| receive(&did, "a detached task ends")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

fn a_panic_is_handed_to_who_awaits<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let error = elsewhere(handle.spawn_stealable(async { panic!("plain") }).unwrap());
    let error: JoinError = error.unwrap_err();
    assert!(error.is_panic() && !error.is_canceled());
    assert_eq!(error.panic_message(), Some("plain"));
    assert_eq!(error.to_string(), "the task panicked: plain");
    let task = handle.spawn_pinned(1, async { panic!("formatted {}", 7) }).unwrap();
    let error = elsewhere(task).unwrap_err();
    assert_eq!(error.panic_message(), Some("formatted 7"));
    let task = handle.spawn_local_on(0, |_| async { std::panic::panic_any(77u32) }).unwrap();
    let error = elsewhere(task).unwrap_err();
    assert_eq!((error.panic_message(), error.to_string().as_str()), (None, "the task panicked"));
    let payload = error.try_into_panic().unwrap();
    assert_eq!(payload.downcast_ref::<u32>(), Some(&77));
    let task = handle.spawn_local_on(1, |_| -> Ready { panic!("the maker") }).unwrap();
    assert_eq!(elsewhere(task).unwrap_err().panic_message(), Some("the maker"));
}

/// A future of no consequence.
type Ready = std::future::Ready<()>;

/// Panics when it is dropped, unless a panic is under way.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

fn a_panic_of_a_destructor_is_the_tasks<M: Make>(watch: &Watch) {
    struct Done(#[expect(dead_code, reason = "its destructor matters")] Bomb);
    impl Future for Done {
        type Output = u8;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u8> {
            Poll::Ready(1)
        }
    }
    let runtime = runtime::<M>(watch, 1);
    let error = elsewhere(runtime.spawn_on(0, Done(Bomb("destructor"))).unwrap()).unwrap_err();
    assert_eq!(error.panic_message(), Some("destructor"));
    assert_eq!(elsewhere(runtime.spawn_on(0, async { 2 }).unwrap()).unwrap(), 2);
}

fn a_panic_of_a_detached_output_is_the_tasks<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let go = Event::default();
    let waits = go.clone();
    let job = async move {
        waits.wait().await;
        Bomb("the output of a detached task")
    };
    drop(runtime.spawn_on(0, job).unwrap());
    go.set();
    wait_until("the task ends", || runtime.stats_snapshot().total().live_tasks == 0);
    for _ in 0..10 {
        let task = runtime.spawn_on(0, async { 2 }).expect("the shard goes on");
        assert_eq!(elsewhere(task).unwrap(), 2);
    }
    let report = runtime.shutdown_timeout(crate::support::SOON);
    assert_eq!(report.shards_panicked, 0, "{report}");
}

fn a_panic_of_an_aborted_future_is_reported<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let event = Event::default();
    let waits = event.clone();
    let task = runtime.spawn_on(0, async move {
        let _bomb = Bomb("on abort");
        waits.wait().await;
    });
    let task = task.unwrap();
    wait_until("the task waits", || event.waiting() == 1);
    task.abort();
    assert_eq!(elsewhere(task).unwrap_err().panic_message(), Some("on abort"));
    assert_eq!(elsewhere(runtime.spawn_on(0, async { 2 }).unwrap()).unwrap(), 2);
}

fn siblings_of_a_panic_go_on<M: Make>(watch: &Watch) {
    const SIBLINGS: usize = 1_000;
    let runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let go = Event::default();
    let tasks: Vec<_> = (0..SIBLINGS)
        .map(|number| {
            let go = go.clone();
            handle.spawn_stealable(async move {
                go.wait().await;
                yield_now().await;
                number
            })
        })
        .map(Result::unwrap)
        .collect();
    let waits = go.clone();
    let panics = handle.spawn_stealable(async move {
        waits.wait().await;
        panic!("one of many");
    });
    wait_until("all wait", || go.waiting() == SIBLINGS + 1);
    go.set();
    assert!(elsewhere(panics.unwrap()).unwrap_err().is_panic());
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(elsewhere(task).unwrap(), number);
    }
}

fn local_tasks_share_what_is_not_send<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 2);
    for shard in 0..2u16 {
        let make = |ctx: ShardCtx| async move {
            let count = Rc::new(Cell::new(0));
            let mut tasks = Vec::new();
            for _ in 0..100 {
                let count = Rc::clone(&count);
                let job = async move {
                    for _ in 0..10 {
                        yield_now().await;
                        count.set(count.get() + 1);
                    }
                    count
                };
                tasks.push(ctx.spawn_local(job).unwrap());
            }
            for task in tasks {
                assert!(Rc::ptr_eq(&task.await.unwrap(), &count));
            }
            assert_eq!(Rc::strong_count(&count), 1);
            count.get()
        };
        let task = runtime.handle().spawn_local_on(shard, make).unwrap();
        assert_eq!(elsewhere(task).unwrap(), 1_000);
    }
}

fn a_local_task_is_made_on_its_shard<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 3);
    for shard in 0..3u16 {
        let make = |ctx: ShardCtx| {
            let made_on = (ctx.shard_id(), here());
            async move {
                yield_now().await;
                (made_on, here())
            }
        };
        let task = runtime.handle().spawn_local_on(shard, make).unwrap();
        let expected = ShardId::new(shard);
        assert_eq!(elsewhere(task).unwrap(), ((expected, expected), expected));
    }
}

fn a_confined_future_is_dropped_on_its_shard_however_it_ends<M: Make>(watch: &Watch) {
    let mut runtime = runtime::<M>(watch, 2);
    let handle = runtime.handle();
    let ask = handle.spawn_local_on(1, |_| async { thread::current().id() }).unwrap();
    let expected = elsewhere(ask).unwrap();
    let (tell, told) = mpsc::channel();
    let event = Event::default();
    let spawn = |end: &'static str| {
        let (tell, event) = (tell.clone(), event.clone());
        let make = move |_| {
            let tell = (Tell(tell), Rc::new(()));
            async move {
                let _tell = tell;
                match end {
                    "finish" => {}
                    "panic" => panic!("as planned"),
                    _ => event.wait().await,
                }
            }
        };
        handle.spawn_local_on(1, make).unwrap()
    };
    elsewhere(spawn("finish")).unwrap();
    assert_eq!(receive(&told, "finished"), expected);
    elsewhere(spawn("panic")).unwrap_err();
    assert_eq!(receive(&told, "panicked"), expected);
    let aborted = spawn("wait");
    wait_until("the task waits", || event.waiting() == 1);
    aborted.abort();
    assert_eq!(receive(&told, "aborted"), expected);
    let (waiting, detached) = (spawn("wait"), spawn("wait"));
    drop(detached);
    wait_until("both wait", || event.waiting() == 3);
    elsewhere(runtime.shutdown());
    for _ in 0..2 {
        assert_eq!(receive(&told, "shut down"), expected);
    }
    assert!(elsewhere(waiting).unwrap_err().is_canceled());
}

fn a_handle_that_is_dropped_midway_loses_nothing<M: Make>(watch: &Watch) {
    let runtime = runtime::<M>(watch, 1);
    let go = Event::default();
    let waits = go.clone();
    let mut task = runtime.spawn_on(0, async move {
        waits.wait().await;
        "there"
    });
    let task = task.as_mut().unwrap();
    elsewhere(async {
        let mut polls = 0;
        std::future::poll_fn(|cx| {
            polls += 1;
            assert!(Pin::new(&mut *task).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    });
    go.set();
    assert_eq!(elsewhere(task).unwrap(), "there");
}

fn a_waker_that_panics_costs_nobody_else_anything<M: Make>(watch: &Watch) {
    struct Bad(AtomicUsize);
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("a waker of somebody's");
        }
    }
    let runtime = runtime::<M>(watch, 1);
    let go = Event::default();
    let waits = go.clone();
    let mut task = runtime.spawn_on(0, async move { waits.wait().await }).unwrap();
    let bad = Arc::new(Bad(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&bad));
    assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
    go.set();
    wait_until("it is woken", || bad.0.load(Ordering::SeqCst) == 1);
    elsewhere(task).unwrap();
    assert_eq!(elsewhere(runtime.spawn_on(0, async { 2 }).unwrap()).unwrap(), 2);
    let report = runtime.shutdown_timeout(crate::support::SOON);
    assert_eq!(report.shards_panicked, 0, "{report}");
}
