//! Entries: the functions and attributes that build a runtime, run one future and end it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use spargio::doorbell::EventFd;
use spargio::{BuildError, Runtime, RuntimeError, RuntimeHandle, ShardCtx, ShardId};

use crate::support::{elsewhere, here, threads_named, wait_until, watched, yield_now};

#[test]
fn run_gives_the_output_of_the_future() {
    watched(|_| {
        let answer = elsewhere(spargio::run(|handle| async move {
            let task = handle.spawn_stealable(async { 20 }).unwrap();
            let ambient = spargio::spawn(async { 22 }).unwrap();
            task.await.unwrap() + ambient.await.unwrap()
        }));
        assert_eq!(answer.unwrap(), 42);
    });
}

#[test]
fn run_with_takes_any_assembly_and_ends_it() {
    watched(|watch| {
        let prefix = format!("ent{}", watch.number());
        let builder = Runtime::builder().doorbell::<EventFd>().shards(3).thread_prefix(&prefix);
        let shards = elsewhere(spargio::run_with(builder, |handle| async move {
            yield_now().await;
            handle.shard_count()
        }));
        assert_eq!(shards.unwrap(), 3);
        wait_until("the threads end", || threads_named(&prefix) == 0);
    });
}

#[test]
fn run_local_on_stays_on_its_shard() {
    watched(|_| {
        let builder = || Runtime::builder().shards(2);
        let shard = elsewhere(spargio::run_local_on(builder(), 1, |ctx: ShardCtx| async move {
            let shared = Rc::new(ctx.shard_id());
            let task = ctx.spawn_local(std::future::ready(Rc::clone(&shared))).unwrap();
            assert_eq!(*task.await.unwrap(), here());
            *shared
        }));
        assert_eq!(shard.unwrap(), ShardId::new(1));
        let error = elsewhere(spargio::run_local_on(builder(), 2, |_| async {})).unwrap_err();
        assert!(matches!(error, RuntimeError::InvalidShard { shards: 2, .. }), "{error:?}");
    });
}

#[test]
fn an_entry_that_fails_says_why() {
    watched(|_| {
        let error = elsewhere(spargio::run_with(Runtime::builder().shards(0), |_| async {}));
        let error = error.unwrap_err();
        let RuntimeError::Build(BuildError::InvalidConfig { knob: "shards", .. }) = error else {
            panic!("{error:?}")
        };
        let error = elsewhere(spargio::run_with(Runtime::builder().shards(1), |_| async {
            panic!("inside of run")
        }));
        let error = error.unwrap_err();
        let RuntimeError::Join(join) = &error else { panic!("{error:?}") };
        assert_eq!(join.panic_message(), Some("inside of run"));
        assert_eq!(error.to_string(), "the task panicked: inside of run");
    });
}

#[test]
fn run_is_awaited_inside_of_a_runtime() {
    watched(|watch| {
        let outer = watch.build(Runtime::builder().shards(1));
        let task = outer.spawn_on(0, async {
            let inner = Runtime::builder().shards(2);
            spargio::run_with(inner, |handle| async move { handle.shard_count() }).await
        });
        assert_eq!(elsewhere(task.unwrap()).unwrap().unwrap(), 2);
    });
}

#[test]
fn block_on_inside_a_shard_says_what_to_do() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let handle = runtime.handle();
        let task = runtime.spawn_on(0, async move { handle.block_on(async {}) });
        let error = elsewhere(task.unwrap()).unwrap_err();
        let text = error.panic_message().unwrap();
        assert!(text.contains("would block the shard") && text.contains("await"), "{text}");
        // The shard of another runtime is no better.
        let other = watch.build(Runtime::builder().shards(1));
        let handle = other.handle();
        let task = runtime.spawn_on(0, async move { handle.block_on(async {}) });
        assert!(elsewhere(task.unwrap()).unwrap_err().is_panic());
        assert_eq!(runtime.block_on(async { 1 }), 1);
    });
}

#[test]
fn block_on_waits_with_other_threads_and_nests() {
    watched(|watch| {
        let one = watch.build(Runtime::builder().shards(1));
        let two = watch.build(Runtime::builder().shards(1));
        let answer = one.block_on(async {
            let task = spargio::spawn(async {
                yield_now().await;
                here()
            });
            let inner = two.block_on(async { spargio::spawn(async { 2 }).unwrap().await.unwrap() });
            (task.unwrap().await.unwrap(), inner)
        });
        assert_eq!(answer, (ShardId::new(0), 2));
        let panics = catch_unwind(AssertUnwindSafe(|| one.block_on(async { panic!("through") })));
        assert!(panics.is_err());
        assert!(RuntimeHandle::current().is_none(), "what block_on entered is left by a panic");
    });
}

#[spargio::main]
async fn plain_main() -> Result<usize, RuntimeError> {
    let task = spargio::spawn(async { 6 })?;
    Ok(task.await? * 7)
}

#[spargio::main(
    shards = 3,
    thread_prefix = "attr",
    ring_entries = 16,
    cq_entries = 64,
    stealable_queue_capacity = 100,
    spin = Duration::ZERO
)]
async fn main_with_options(handle: RuntimeHandle) -> (usize, String) {
    let task = handle.spawn_pinned(2, async { std::thread::current().name().unwrap().to_owned() });
    (handle.shard_count(), task.unwrap().await.unwrap())
}

#[spargio::main(shards = 1)]
async fn main_that_panics() {
    yield_now().await;
    panic!("the body of main");
}

#[spargio::main(shards = 0)]
async fn main_that_cannot_start() {}

#[test]
fn the_main_attribute_runs_the_body() {
    watched(|_| {
        assert_eq!(plain_main().unwrap(), 42);
        assert_eq!(main_with_options(), (3, "attr-2".to_owned()));
    });
}

#[test]
fn the_main_attribute_passes_a_panic_on() {
    watched(|_| {
        let panic = catch_unwind(main_that_panics).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"the body of main"));
        let panic = catch_unwind(main_that_cannot_start).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("shards is 0, it must be from 1 to 65535"), "{text}");
    });
}

#[spargio::test]
async fn the_test_attribute_has_two_shards(handle: RuntimeHandle) {
    assert_eq!(handle.shard_count(), 2);
    assert!(here().index() < 2);
}

#[spargio::test(shards = 1, crate = "spargio")]
async fn the_test_attribute_takes_options() -> Result<(), RuntimeError> {
    assert_eq!(RuntimeHandle::current().unwrap().shard_count(), 1);
    spargio::spawn(async {})?.await?;
    Ok(())
}

#[spargio::test]
#[should_panic(expected = "as it should")]
async fn the_test_attribute_keeps_should_panic() {
    yield_now().await;
    panic!("as it should");
}
