//! What a runtime tells about itself: panics and what becomes of it then, polls that take long;
//! dumps are next door.

#[path = "observe/dumps.rs"]
mod dumps;
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
use std::time::Duration;

use spargio::{
    JoinError, PanicPolicy, Runtime, RuntimeBuilder, RuntimeError, ShardId, SlowPoll, SpawnOptions,
    TaskPanic, TaskPlacement,
};

use crate::support::{SOON, elsewhere, receive, watched, yield_now};

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
