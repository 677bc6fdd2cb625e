//! Dumps: which tasks live, their names, what they do, and what wakes them.

use std::future::{Future, pending, poll_fn};
use std::panic::panic_any;
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use spargio::driver::Opcode;
use spargio::io::{AsyncRead, AsyncWrite, pipe, pipe_on};
use spargio::net::{TcpListener, TcpStream};
use spargio::{
    JoinError, JoinSet, Runtime, RuntimeError, ShardId, SpawnOptions, TaskDump, TaskGroup,
    TaskState, TrySpawnError,
};

use super::{listened, named, pinned};
use crate::support::{Event, Plug, SOON, elsewhere, receive, wait_until, watched, yield_now};

fn find<'d>(tasks: &'d [TaskDump], name: &str) -> &'d TaskDump {
    let mut found = tasks.iter().filter(|task| task.name.as_deref() == Some(name));
    let task = found.next().unwrap_or_else(|| panic!("no task is called {name}: {tasks:#?}"));
    assert!(found.next().is_none(), "{name} is there twice: {tasks:#?}");
    task
}

#[test]
fn every_way_to_spawn_takes_a_name_which_a_dump_shows() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let handle = runtime.handle();
        let tasks = [
            runtime.spawn_with(named("of the runtime"), pending::<()>()).unwrap(),
            handle.spawn_with(pinned("of the handle", 1), pending()).unwrap(),
            handle.spawn_local_on_with(named("made there"), 1, |_| pending()).unwrap(),
            runtime.block_on(async { spargio::spawn_with(named("ambient"), pending()) }).unwrap(),
            runtime
                .block_on(async { spargio::spawn_with(pinned("placed", 0), pending()) })
                .unwrap(),
            handle.spawn_pinned(0, pending()).unwrap(),
        ];
        let local = handle.spawn_local_on(0, |ctx| async move {
            let by_ctx = ctx.spawn_local_with(named("of the shard"), pending::<()>()).unwrap();
            let free = spargio::spawn_local_with(named("local"), pending::<()>()).unwrap();
            let owned = SpawnOptions::new().name(format!("number {}", 3));
            let owned = spargio::spawn_local_with(owned, pending::<()>()).unwrap();
            (by_ctx.id(), free.id(), owned.id())
        });
        let (by_ctx, free, owned) = elsewhere(local.unwrap()).unwrap();
        let dump = runtime.dump(SOON);
        assert!(dump.stuck.is_empty() && dump.omitted == 0, "{dump}");
        assert_eq!(dump.tasks.len(), tasks.len() + 3, "{dump}");
        for (name, id, shard) in [
            ("of the handle", tasks[1].id(), 1),
            ("made there", tasks[2].id(), 1),
            ("placed", tasks[4].id(), 0),
            ("of the shard", by_ctx, 0),
            ("local", free, 0),
            ("number 3", owned, 0),
        ] {
            let task = find(&dump.tasks, name);
            assert_eq!((task.id, task.shard, task.pinned), (id, ShardId::new(shard), true));
        }
        for (name, index) in [("of the runtime", 0), ("ambient", 3)] {
            let task = find(&dump.tasks, name);
            assert_eq!((task.id, task.pinned), (tasks[index].id(), false));
        }
        let unnamed: Vec<_> = dump.tasks.iter().filter(|task| task.name.is_none()).collect();
        assert_eq!((unnamed.len(), unnamed[0].id), (1, tasks[5].id()));
        assert!(dump.to_string().contains("(made there): "), "{dump}");
        assert!(dump.tasks.is_sorted_by_key(|task| task.id));
    });
}

#[test]
fn a_dump_says_what_tasks_do_and_how_old_they_are() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let event = Event::default();
        let waiter = event.clone();
        let waits = runtime.spawn_with(pinned("waits", 0), async move { waiter.wait().await });
        wait_until("the task waits", || event.waiting() == 1);
        let began = Instant::now();
        wait_until("time passes", || began.elapsed() > Duration::from_millis(60));
        let handle = runtime.handle();
        // Within one poll, so that what it spawns and wakes stays queued.
        let inside = runtime.spawn_with(pinned("asks", 0), async move {
            let queued = handle.spawn_with(pinned("queued", 0), async {}).unwrap();
            (handle.dump(SOON), queued)
        });
        let (dump, queued) = elsewhere(inside.unwrap()).unwrap();
        assert_eq!(find(&dump.tasks, "waits").state, TaskState::Waiting);
        assert_eq!(find(&dump.tasks, "queued").state, TaskState::Ready);
        assert_eq!(find(&dump.tasks, "asks").state, TaskState::Ready);
        assert!(find(&dump.tasks, "waits").age >= Duration::from_millis(40), "{dump}");
        assert!(find(&dump.tasks, "asks").age <= find(&dump.tasks, "waits").age, "{dump}");
        elsewhere(queued).unwrap();
        event.set();
        elsewhere(waits.unwrap()).unwrap();
        let dump = elsewhere(runtime.dump_async(SOON)).unwrap();
        assert!(dump.tasks.is_empty() && dump.stuck.is_empty(), "{dump}");
        let handle = runtime.handle();
        drop(runtime);
        let dump = handle.dump(SOON);
        assert!(dump.tasks.is_empty() && dump.stuck.is_empty(), "{dump}");
    });
}

#[test]
fn a_dump_shows_the_operation_that_a_task_waits_for() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let piped = runtime.spawn_with(pinned("pipe", 0), async {
            let (mut reader, writer) = pipe().unwrap();
            let _keep = writer;
            reader.read(Vec::with_capacity(8)).await.0.unwrap()
        });
        let (tell, told) = mpsc::channel();
        let socket = runtime.spawn_with(pinned("socket", 1), async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            tell.send(()).unwrap();
            let _keep = listener;
            stream.read(Vec::with_capacity(8)).await.0.unwrap()
        });
        receive(&told, "the socket is connected");
        wait_until("both wait for the ring", || {
            let dump = runtime.dump(SOON);
            ["pipe", "socket"].iter().all(|name| {
                let task = find(&dump.tasks, name);
                task.state == TaskState::Waiting && task.waits_for.len() == 1
            })
        });
        let dump = runtime.dump(SOON);
        let reads = [Opcode::READ, Opcode::RECV];
        assert_eq!(find(&dump.tasks, "pipe").waits_for, [Opcode::READ], "{dump}");
        assert!(reads.contains(&find(&dump.tasks, "socket").waits_for[0]), "{dump}");
        assert!(dump.to_string().contains("waits for READ"), "{dump}");
        // The looks have disturbed nobody: both are ended by an abort as ever.
        for task in [piped.unwrap(), socket.unwrap()] {
            task.abort();
            assert!(matches!(elsewhere(task), Err(JoinError::Canceled)));
        }
    });
}

#[test]
fn a_dump_shows_the_timers_that_a_task_waits_for() {
    const FAR: Duration = Duration::from_secs(3600);
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let (tell, told) = mpsc::channel();
        let sleeper = runtime.spawn_with(pinned("sleeper", 0), async move {
            let deadline = Instant::now() + FAR;
            tell.send(deadline).unwrap();
            spargio::sleep_until(deadline).await;
        });
        let deadline = receive(&told, "the deadline");
        let reader = runtime.spawn_with(pinned("reader", 1), async {
            let (mut reader, writer) = pipe().unwrap();
            let _keep = writer;
            let mut later = pin!(spargio::sleep(2 * FAR));
            let mut read = pin!(spargio::timeout(FAR, reader.read(Vec::with_capacity(8))));
            poll_fn(|cx| {
                if later.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                read.as_mut().poll(cx).map(drop)
            })
            .await;
        });
        // The timers of this one are gone.
        let past = runtime.spawn_with(pinned("past", 1), async {
            let mut sleep = pin!(spargio::sleep(FAR));
            let once = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending()));
            assert!(once.await);
            sleep.as_mut().reset(Instant::now());
            sleep.await;
            spargio::timeout(FAR, yield_now()).await.unwrap();
            pending::<()>().await;
        });
        wait_until("all wait", || {
            let dump = runtime.dump(SOON);
            let timers = |name| find(&dump.tasks, name).timers.len();
            let is_waiting = |name| find(&dump.tasks, name).state == TaskState::Waiting;
            let all_wait = ["sleeper", "reader", "past"].into_iter().all(is_waiting);
            all_wait && (timers("sleeper"), timers("reader"), timers("past")) == (1, 2, 0)
        });
        let dump = runtime.dump(SOON);
        let told = find(&dump.tasks, "sleeper").timers[0];
        // A wheel counts from an epoch of its own, in whole nanoseconds.
        assert!(told.deadline <= deadline && deadline - told.deadline < SOON, "{told:?}");
        assert!(told.left <= FAR && told.left > FAR - SOON, "{told:?}");
        let reader_now = find(&dump.tasks, "reader");
        assert_eq!(reader_now.waits_for, [Opcode::READ], "{dump}");
        let [first, second] = reader_now.timers[..] else { panic!("{dump}") };
        assert!(first.deadline < second.deadline && second.left > FAR, "{dump}");
        let line = reader_now.to_string();
        let (_, waits) = line.split_once(", waits for READ, a timer in ").unwrap();
        assert!(waits.contains("s, a timer in 7"), "{line}");
        assert_eq!(dump.omitted_timers, 0);
        for task in [sleeper.unwrap(), reader.unwrap(), past.unwrap()] {
            task.abort();
        }
        wait_until("none is left", || runtime.dump(SOON).tasks.is_empty());
    });
}

#[test]
fn a_timer_that_a_busy_shard_has_not_come_to_is_told_as_due() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let (tell, told) = mpsc::channel();
        let handle = runtime.handle();
        let asks = runtime.spawn_with(named("asks"), async move {
            let sleeps = spargio::spawn_with(named("sleeps"), async {
                spargio::sleep(Duration::from_millis(20)).await;
            });
            let sleeps = sleeps.unwrap();
            while handle.dump(SOON).tasks.iter().all(|task| task.timers.is_empty()) {
                yield_now().await;
            }
            // Nobody fires timers while this holds the shard.
            thread::sleep(Duration::from_millis(40));
            tell.send(handle.dump(SOON)).unwrap();
            sleeps.await.unwrap();
        });
        let dump = receive(&told, "the dump");
        let task = find(&dump.tasks, "sleeps");
        assert_eq!(task.timers.len(), 1, "{dump}");
        assert_eq!(task.timers[0].left, Duration::ZERO);
        assert!(task.to_string().ends_with(", waits for a timer that is due"), "{task}");
        elsewhere(asks.unwrap()).unwrap();
    });
}

#[test]
fn tasks_of_groups_and_sets_have_their_names() {
    watched(|watch| {
        let (builder, told) = listened(2);
        let runtime = watch.build(builder);
        let handle = runtime.handle();
        let group = TaskGroup::new(runtime.handle());
        let member = group.spawn_with(pinned("member", 1), pending::<()>()).unwrap();
        let unnamed = group.spawn(pending::<()>()).unwrap();
        let mut set = JoinSet::new();
        set.spawn_on_with(pinned("on", 1), pending::<()>(), &handle).unwrap();
        set.spawn_local_on_with(&handle, named("local"), 0, |_ctx| pending::<()>()).unwrap();
        let mut set = elsewhere(
            handle
                .spawn_stealable(async move {
                    set.spawn_with(named("ambient"), pending::<()>()).unwrap();
                    set
                })
                .unwrap(),
        )
        .unwrap();
        let dump = runtime.dump(SOON);
        assert_eq!(find(&dump.tasks, "member").id, member.id());
        let shard_of = |name| (find(&dump.tasks, name).shard, find(&dump.tasks, name).pinned);
        assert_eq!(shard_of("member"), (ShardId::new(1), true));
        assert_eq!(shard_of("on"), (ShardId::new(1), true));
        assert_eq!(shard_of("local"), (ShardId::new(0), true));
        assert!(!find(&dump.tasks, "ambient").pinned);
        let names = dump.tasks.iter().filter(|task| task.name.is_some());
        assert_eq!((names.count(), dump.tasks.len()), (4, 5), "{dump}");
        // The hook for panics is told the names too, and both count the end.
        let fails = group.spawn_with(named("fails"), async { panic_any("on purpose") }).unwrap();
        assert_eq!(receive(&told, "the panic of a member").name(), Some("fails"));
        assert!(matches!(elsewhere(fails), Err(JoinError::Panicked(_))));
        set.spawn_on_with(named("falls"), async { panic_any("on purpose") }, &handle).unwrap();
        assert_eq!(receive(&told, "the panic in a set").name(), Some("falls"));
        assert!(matches!(elsewhere(set.join_next()), Some(Err(JoinError::Panicked(_)))));
        group.cancel();
        assert_eq!(elsewhere(member).unwrap(), None);
        assert_eq!(elsewhere(unnamed).unwrap(), None);
        let ends = elsewhere(group.join_all());
        assert_eq!((ends.canceled, ends.panicked), (2, 1));
        // One that is refused is no member, named or not.
        let (live, gone) = (group.len(), runtime.handle());
        drop(set);
        drop(runtime);
        assert!(matches!(group.spawn_with(named("late"), async {}), Err(RuntimeError::Closed)));
        assert_eq!((group.len(), group.ends().finished, live), (0, 0, 0));
        let refused = gone.try_spawn_with(named("late"), async { 7 });
        assert!(matches!(refused, Err(TrySpawnError { error: RuntimeError::Closed, .. })));
    });
}

#[test]
fn looks_at_operations_lose_no_wake() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let (mut reader, writer) = pipe_on(&runtime.handle()).unwrap();
        let read = runtime.spawn_with(pinned("reads", 0), async move {
            let mut sum = 0_u64;
            let mut buffer = Vec::with_capacity(1);
            loop {
                let (result, filled) = reader.read(buffer).await;
                if result.unwrap() == 0 {
                    return sum;
                }
                sum += filled.iter().map(|&byte| u64::from(byte)).sum::<u64>();
                buffer = filled;
                buffer.clear();
            }
        });
        let write = runtime.spawn_with(pinned("writes", 1), async move {
            let mut writer = writer;
            for _ in 0..500 {
                writer.write_all(vec![1_u8]).await.0.unwrap();
                yield_now().await;
            }
        });
        let write = write.unwrap();
        while !write.is_finished() {
            assert!(runtime.dump(SOON).stuck.is_empty());
        }
        elsewhere(write).unwrap();
        assert_eq!(elsewhere(read.unwrap()).unwrap(), 500);
    });
}

#[test]
fn a_stuck_shard_is_named_and_the_others_answer() {
    watched(|watch| {
        let builder = Runtime::builder().shards(2).slow_poll_threshold(SOON);
        let runtime = watch.build(builder);
        let handle = runtime.handle();
        let mut plug = Plug::new(&handle, 1);
        let there = handle.spawn_with(pinned("there", 1), pending::<()>()).unwrap();
        let here = handle.spawn_with(pinned("here", 0), pending::<()>()).unwrap();
        let began = Instant::now();
        let patience = Duration::from_millis(50);
        for dump in [runtime.dump(patience), elsewhere(handle.dump_async(patience)).unwrap()] {
            assert_eq!(dump.stuck.len(), 1, "{dump}");
            let stuck = &dump.stuck[0];
            assert_eq!((stuck.shard, stuck.live_tasks), (ShardId::new(1), 2));
            assert!(stuck.poll_for.is_some_and(|time| time >= patience), "{dump}");
            assert_eq!(find(&dump.tasks, "here").id, here.id());
            // Spawned from outside, so it is known without the shard.
            assert_eq!(find(&dump.tasks, "there").id, there.id());
            assert_eq!(find(&dump.tasks, "there").state, TaskState::Ready);
            assert!(dump.to_string().contains("shard 1 did not answer: in one poll for"));
        }
        assert!(began.elapsed() < SOON);
        let task = plug.task();
        assert_eq!(runtime.dump(patience).stuck[0].task, Some(task.id()));
        drop(plug);
        elsewhere(task).unwrap();
        // It reads its letters before it runs what is queued.
        wait_until("the shard is back and runs what waited for it", || {
            let dump = runtime.dump(SOON);
            assert!(dump.stuck.is_empty(), "{dump}");
            find(&dump.tasks, "there").state == TaskState::Waiting
        });
    });
}
