//! What a runtime tells about itself: panics and what becomes of it then, names, dumps, polls that
//! take long.

#[cfg(feature = "tracing")]
#[path = "observe/traced.rs"]
mod traced;

use std::env;
use std::future::{pending, poll_fn};
use std::os::unix::process::ExitStatusExt;
use std::panic::panic_any;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use spargio::driver::Opcode;
use spargio::io::{AsyncRead, AsyncWrite, pipe, pipe_on};
use spargio::net::{TcpListener, TcpStream};
use spargio::{
    JoinError, PanicPolicy, Runtime, RuntimeBuilder, RuntimeError, ShardId, SlowPoll, SpawnOptions,
    TaskDump, TaskPanic, TaskPlacement, TaskState,
};

use crate::support::{Event, Plug, SOON, elsewhere, receive, wait_until, watched, yield_now};

fn named(name: &'static str) -> SpawnOptions {
    SpawnOptions::new().name(name)
}

fn pinned(name: &'static str, shard: u16) -> SpawnOptions {
    named(name).placement(TaskPlacement::Pinned(shard.into()))
}

/// A builder whose panics come out of the receiver.
fn listened(shards: usize) -> (RuntimeBuilder, Receiver<TaskPanic>) {
    let (tell, told) = mpsc::channel();
    let hook = move |panic: &TaskPanic| tell.send(panic.clone()).unwrap();
    (Runtime::builder().shards(shards).on_task_panic(hook), told)
}

fn find<'d>(tasks: &'d [TaskDump], name: &str) -> &'d TaskDump {
    let mut found = tasks.iter().filter(|task| task.name.as_deref() == Some(name));
    let task = found.next().unwrap_or_else(|| panic!("no task is called {name}: {tasks:#?}"));
    assert!(found.next().is_none(), "{name} is there twice: {tasks:#?}");
    task
}

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

#[test]
fn an_isolated_panic_is_told_and_ends_its_task_only() {
    watched(|watch| {
        let (builder, told) = listened(2);
        let runtime = watch.build(builder);
        let bad = runtime.spawn_with(pinned("bad", 1), async { panic!("out of {}", "paper") });
        let bad: spargio::JoinHandle<()> = bad.unwrap();
        let id = bad.id();
        assert!(matches!(elsewhere(bad), Err(JoinError::Panicked(_))));
        // It comes before the handle resolves.
        let panic = told.try_recv().unwrap();
        assert_eq!((panic.shard(), panic.task()), (ShardId::new(1), id));
        assert_eq!((panic.name(), panic.message()), (Some("bad"), Some("out of paper")));
        assert!(panic.to_string().contains("(bad) panicked on shard 1: out of paper"), "{panic}");

        let odd = runtime.spawn_on(0u16, async { panic_any(7_u8) }).unwrap();
        let odd: spargio::JoinHandle<()> = odd;
        assert!(elsewhere(odd).is_err());
        let panic = told.try_recv().unwrap();
        assert_eq!((panic.name(), panic.message()), (None, None));

        let good = runtime.spawn_on(1u16, async { 42 }).unwrap();
        assert_eq!(elsewhere(good).unwrap(), 42);
        assert!(told.try_recv().is_err());
        let report = runtime.shutdown_timeout(SOON);
        assert!(report.panic.is_none(), "{report}");
    });
}

#[test]
fn futures_that_panic_when_they_are_dropped_are_told_too() {
    watched(|watch| {
        let (builder, told) = listened(1);
        let runtime = watch.build(builder);
        let aborted = runtime.spawn_on(0u16, async {
            let _bomb = Bomb("as it was aborted");
            pending::<()>().await;
        });
        let aborted = aborted.unwrap();
        elsewhere(runtime.spawn_on(0u16, async {}).unwrap()).unwrap();
        aborted.abort();
        assert!(matches!(elsewhere(aborted), Err(JoinError::Panicked(_))));
        assert_eq!(told.try_recv().unwrap().message(), Some("as it was aborted"));

        // An own type, because an async block drops what it has when it ends.
        let bomb = Bomb("after it ended");
        let ended = runtime.spawn_on(
            0u16,
            poll_fn(move |_| {
                let _kept = &bomb;
                Poll::Ready(())
            }),
        );
        assert!(matches!(elsewhere(ended.unwrap()), Err(JoinError::Panicked(_))));
        assert_eq!(told.try_recv().unwrap().message(), Some("after it ended"));
        assert!(told.try_recv().is_err(), "each is told once");
    });
}

#[test]
fn a_hook_that_panics_is_contained() {
    watched(|watch| {
        let hook = |_: &TaskPanic| panic!("the hook too");
        let runtime = watch.build(Runtime::builder().shards(1).on_task_panic(hook));
        for _ in 0..3 {
            let bad: spargio::JoinHandle<()> =
                runtime.spawn_on(0u16, async { panic!("first") }).unwrap();
            assert!(matches!(elsewhere(bad), Err(JoinError::Panicked(_))));
        }
        assert_eq!(elsewhere(runtime.spawn_on(0u16, async { 1 }).unwrap()).unwrap(), 1);
        assert_eq!(runtime.shutdown_timeout(SOON).shards_panicked, 0);
    });
}

#[test]
fn a_panic_that_shuts_down_ends_everybody_who_waits_and_is_the_reason_of_the_report() {
    watched(|watch| {
        let (builder, told) = listened(2);
        let mut runtime = watch.build(builder.panic_policy(PanicPolicy::ShutDown));
        let handle = runtime.handle();
        let token = handle.shutdown_token();
        let others: Vec<_> =
            (0..2u16).map(|shard| handle.spawn_pinned(shard, pending::<()>()).unwrap()).collect();
        let bad = runtime.spawn_with(pinned("bad", 0), async {
            // Awaited by nobody but the policy.
            yield_now().await;
            panic!("the last straw");
        });
        let bad: spargio::JoinHandle<()> = bad.unwrap();
        drop(bad);
        for other in others {
            assert!(matches!(elsewhere(other), Err(JoinError::Canceled)));
        }
        assert!(token.is_canceled());
        let refused = handle.spawn_stealable(async {});
        assert!(matches!(refused, Err(RuntimeError::Closed)), "{refused:?}");
        let report = elsewhere(runtime.shutdown());
        let panic = report.panic.as_ref().expect("a panic was the reason");
        assert_eq!((panic.name(), panic.message()), (Some("bad"), Some("the last straw")));
        assert!(report.to_string().contains("the last straw"), "{report}");
        assert_eq!(report.shards_panicked, 0);
        assert_eq!(receive(&told, "the hook is told"), *panic);
    });
}

#[test]
fn a_panic_during_a_shutdown_is_not_its_reason() {
    watched(|watch| {
        let (builder, told) = listened(1);
        let runtime = watch.build(builder.panic_policy(PanicPolicy::ShutDown));
        let task = runtime.spawn_on(0u16, async {
            let _bomb = Bomb("on the way out");
            pending::<()>().await;
        });
        elsewhere(runtime.spawn_on(0u16, async {}).unwrap()).unwrap();
        let report = runtime.shutdown_timeout(SOON);
        assert!(report.panic.is_none(), "{report}");
        assert_eq!(receive(&told, "the hook is told").message(), Some("on the way out"));
        assert!(matches!(elsewhere(task.unwrap()), Err(JoinError::Panicked(_))));
    });
}

/// Set in the process that is to abort.
const ABORTS: &str = "SPARGIO_TEST_ABORTS";

#[test]
fn a_panic_that_aborts_says_so_first() {
    let me = "observe::a_panic_that_aborts_says_so_first";
    if env::var_os(ABORTS).is_some() {
        let hook = |panic: &TaskPanic| eprintln!("hooked: {:?}", panic.name());
        let builder = Runtime::builder().shards(1).on_task_panic(hook);
        let runtime = builder.panic_policy(PanicPolicy::Abort).build().unwrap();
        let bad: spargio::JoinHandle<()> =
            runtime.spawn_with(named("fatal"), async { panic!("no way on") }).unwrap();
        let outcome = elsewhere(bad);
        panic!("the process goes on: {outcome:?}");
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", me, "--nocapture", "--test-threads=1"])
        .env(ABORTS, "1")
        .output()
        .unwrap();
    let cried = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(6), "{:?}\n{cried}", output.status);
    let hooked = cried.find("hooked: Some(\"fatal\")").expect("the hook was called");
    let line = cried.find("(fatal) panicked on shard 0: no way on; the process is aborted");
    assert!(line.is_some_and(|line| line > hooked), "{cried}");
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

#[test]
fn polls_beyond_the_threshold_are_told_and_no_others() {
    watched(|watch| {
        let (tell, told) = mpsc::channel();
        let builder = Runtime::builder()
            .shards(2)
            .slow_poll_threshold(Duration::from_millis(300))
            .on_slow_poll(move |poll: &SlowPoll| tell.send(poll.clone()).unwrap());
        let runtime = watch.build(builder);
        let quick = runtime.spawn_with(pinned("quick", 1), async {
            for _ in 0..100 {
                yield_now().await;
            }
        });
        elsewhere(quick.unwrap()).unwrap();
        let slow = runtime.spawn_with(pinned("slow", 1), async {
            yield_now().await;
            thread::sleep(Duration::from_millis(320));
        });
        let slow = slow.unwrap();
        let id = slow.id();
        elsewhere(slow).unwrap();
        let poll = receive(&told, "the poll is told");
        assert_eq!((poll.shard, poll.task), (ShardId::new(1), id));
        assert_eq!(poll.name.as_deref(), Some("slow"));
        assert!(poll.duration >= Duration::from_millis(320), "{poll}");
        assert!(poll.to_string().contains("(slow) took"), "{poll}");
        assert!(told.try_recv().is_err(), "it was one poll");
    });
}

#[test]
fn slow_polls_are_told_also_of_tasks_that_panic_and_by_a_hook_that_does() {
    watched(|watch| {
        let (tell, told) = mpsc::channel();
        let builder = Runtime::builder()
            .shards(1)
            .slow_poll_threshold(Duration::from_millis(20))
            .on_slow_poll(move |poll: &SlowPoll| {
                tell.send(poll.task).unwrap();
                panic!("the hook too");
            });
        let runtime = watch.build(builder);
        let bad = runtime.spawn_on(0u16, async {
            thread::sleep(Duration::from_millis(30));
            panic!("late");
        });
        let bad: spargio::JoinHandle<()> = bad.unwrap();
        let id = bad.id();
        assert!(elsewhere(bad).is_err());
        assert_eq!(receive(&told, "the poll is told"), id);
        assert_eq!(elsewhere(runtime.spawn_on(0u16, async { 5 }).unwrap()).unwrap(), 5);
    });
}

/// Set in the process that writes lines.
const TELLS: &str = "SPARGIO_TEST_TELLS";

#[test]
fn without_a_hook_slow_polls_are_lines_on_the_error_stream() {
    if env::var_os(TELLS).is_some() {
        let builder = Runtime::builder().shards(1).slow_poll_threshold(Duration::from_millis(20));
        let runtime = builder.build().unwrap();
        let slow = runtime.spawn_with(pinned("slow", 0), async {
            thread::sleep(Duration::from_millis(30));
        });
        return elsewhere(slow.unwrap()).unwrap();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "observe::without_a_hook_slow_polls_are_lines_on_the_error_stream"])
        .args(["--nocapture", "--test-threads=1"])
        .env(TELLS, "1")
        .output()
        .unwrap();
    let cried = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = cried.lines().filter(|line| line.starts_with("spargio: a poll")).collect();
    assert_eq!(lines.len(), 1, "{cried}");
    assert!(lines[0].contains("(slow) took") && lines[0].ends_with("on shard 0"), "{cried}");
}
