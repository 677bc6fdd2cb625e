//! What an operation asks of the allocator once everything is warm: exact numbers, so that one more
//! is noticed, and one less too.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the benchmarks use more of it")]
#[path = "../benches/workloads/baton.rs"]
mod baton;
#[path = "allocations/sync.rs"]
mod sync;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fs;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use spargio::{
    CancellationToken, JoinSet, Runtime, RuntimeError, RuntimeHandle, ShardCtx, TaskGroup,
    TaskPlacement,
};

/// Operations before the count begins: whatever grows has grown by then.
const WARM_UP: u64 = 2_000;
/// Operations that are counted.
const COUNTED: u64 = 1_000;

/// The system's allocator, with an eye on threads that count.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static STATE: State = const {
        State { counts: Cell::new(false), requests: Cell::new(0), first: RefCell::new(None) }
    };
}

/// What a thread knows of its allocations.
struct State {
    counts: Cell<bool>,
    requests: Cell<u64>,
    /// Where the first was made.
    first: RefCell<Option<Box<Backtrace>>>,
}

impl Counting {
    fn note() {
        // A thread that ends has nothing to count any more.
        let _ = STATE.try_with(|state| {
            if !state.counts.get() {
                return;
            }
            state.requests.set(state.requests.get() + 1);
            if state.requests.get() == 1 {
                // Taking the backtrace allocates, and that is not to be counted.
                state.counts.set(false);
                *state.first.borrow_mut() = Some(Box::new(Backtrace::force_capture()));
                state.counts.set(true);
            }
        });
    }
}

// SAFETY:
// - every call goes to `System`, unchanged; what is done besides touches cells of the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note();
        // SAFETY:
        // - the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY:
        // - the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::note();
        // SAFETY:
        // - the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What a thread asked for while it counted.
#[derive(Default)]
struct Requests {
    number: u64,
    first: Option<Box<Backtrace>>,
}

impl Requests {
    fn begin() {
        STATE.with(|state| {
            state.requests.set(0);
            state.counts.set(true);
        });
    }

    fn end() -> Self {
        STATE.with(|state| {
            state.counts.set(false);
            Self { number: state.requests.get(), first: state.first.borrow_mut().take() }
        })
    }

    /// Holds if there were so many for each operation, and not one more or less.
    #[track_caller]
    fn assert_each(self, expected: u64, operation: &str) {
        let Self { number, first } = self;
        let wanted = expected * COUNTED;
        assert!(
            number == wanted,
            "{COUNTED} x {operation} made {number} requests instead of {wanted}, the first here:\n{}",
            first.map_or_else(|| "nowhere".to_owned(), |trace| trace.to_string())
        );
    }
}

/// Does the operation often in a task of the only shard, and counts on that shard's thread, which
/// does all that the operation takes.
fn on_shard<F>(operation: impl FnOnce(ShardCtx) -> F + Send + 'static) -> Requests
where
    F: AsyncFnMut() + 'static,
{
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let task = runtime.handle().spawn_local_on(0, move |shard| {
        let mut operation = operation(shard);
        async move {
            for _ in 0..WARM_UP {
                operation().await;
            }
            Requests::begin();
            for _ in 0..COUNTED {
                operation().await;
            }
            Requests::end()
        }
    });
    runtime.block_on(task.unwrap()).unwrap()
}

/// A file of one block, which the page cache has.
fn file(name: &str) -> fs::File {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, [7; 4096]).unwrap();
    fs::File::options().read(true).write(true).open(path).unwrap()
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn the_counter_sees_what_is_allocated() {
    Requests::begin();
    let mut bytes = black_box(vec![1_u8]);
    bytes.extend_from_slice(&[0; 100]);
    black_box(Box::new(7));
    let requests = Requests::end();
    assert_eq!(requests.number, 3);
    assert!(requests.first.unwrap().to_string().contains("the_counter_sees"));
}

#[test]
fn a_read_by_a_direct_call_allocates_nothing() {
    let file = file("allocations-direct.dat");
    let requests = on_shard(|shard| {
        let file = spargio::fs::File::from_std_on(&shard, file);
        let mut buffer = Some(Vec::with_capacity(4096));
        async move || {
            let (result, mut back) = file.read_at(buffer.take().unwrap(), 0).await;
            assert_eq!(result.unwrap(), 4096);
            back.clear();
            buffer = Some(back);
        }
    });
    requests.assert_each(0, "read of a cached block");
}

#[test]
fn an_operation_through_the_ring_allocates_nothing() {
    let file = file("allocations-ring.dat");
    let requests = on_shard(|shard| {
        let file = spargio::fs::File::from_std_on(&shard, file);
        let mut buffer = Some(vec![1_u8; 4096]);
        async move || {
            let (result, back) = file.write_at(buffer.take().unwrap(), 0).await;
            assert_eq!(result.unwrap(), 4096);
            buffer = Some(back);
        }
    });
    requests.assert_each(0, "write of a block");
}

#[test]
fn reads_that_go_to_the_ring_together_allocate_nothing() {
    let file = file("allocations-batch.dat");
    let requests = on_shard(|shard| {
        let file = spargio::fs::File::from_std_on(&shard, file);
        let mut buffers = [(); 4].map(|()| Some(Vec::with_capacity(4096)));
        async move || {
            let mut reads = pin!(buffers.each_mut().map(|buffer| {
                let buffer = buffer.take().unwrap();
                file.read_at(buffer, 0)
            }));
            let mut results = [const { None }; 4];
            poll_fn(|cx| {
                for (read, result) in reads.iter_mut().zip(&mut results) {
                    if result.is_none()
                        && let Poll::Ready(done) = pin!(read).poll(cx)
                    {
                        *result = Some(done);
                    }
                }
                if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            for (result, buffer) in results.into_iter().zip(&mut buffers) {
                let (count, mut back) = result.unwrap();
                assert_eq!(count.unwrap(), 4096);
                back.clear();
                *buffer = Some(back);
            }
        }
    });
    requests.assert_each(0, "four reads together");
}

#[test]
fn an_echo_between_two_tasks_of_a_shard_allocates_nothing() {
    let (near, far) = connection();
    let requests = on_shard(|shard| {
        let adopt = |stream| spargio::net::TcpStream::from_std_on(&shard, stream).unwrap();
        let (near, far) = (adopt(near), adopt(far));
        let echo = shard.spawn_local(async move {
            let mut buffer = vec![0; 256].into_boxed_slice();
            loop {
                let result;
                (result, buffer) = far.read_exact(buffer).await;
                if result.is_err() {
                    return;
                }
                let result;
                (result, buffer) = far.write_all(buffer).await;
                result.unwrap();
            }
        });
        let mut buffer = Some(vec![7; 256].into_boxed_slice());
        async move || {
            assert!(!echo.as_ref().unwrap().is_finished());
            let (result, back) = near.write_all(buffer.take().unwrap()).await;
            result.unwrap();
            let (result, back) = near.read_exact(back).await;
            result.unwrap();
            buffer = Some(back);
        }
    });
    requests.assert_each(0, "round trip on one shard");
}

/// The answer comes from another thread, so the receive is armed on the ring and waits there.
#[test]
fn a_receive_that_waits_allocates_nothing() {
    let (near, mut far) = connection();
    let echo = thread::spawn(move || {
        let mut buffer = [0; 256];
        while far.read_exact(&mut buffer).is_ok() {
            far.write_all(&buffer).unwrap();
        }
    });
    let end = near.try_clone().unwrap();
    let requests = on_shard(|shard| {
        let near = spargio::net::TcpStream::from_std_on(&shard, near).unwrap();
        let mut buffer = Some(vec![7; 256].into_boxed_slice());
        async move || {
            let (result, back) = near.write_all(buffer.take().unwrap()).await;
            result.unwrap();
            let (result, back) = near.read_exact(back).await;
            result.unwrap();
            buffer = Some(back);
        }
    });
    // The stream may have been closed with its task.
    drop(end.shutdown(Shutdown::Both));
    echo.join().unwrap();
    requests.assert_each(0, "round trip with another thread");
}

#[test]
fn a_stealable_spawn_and_join_allocates_nothing() {
    let requests = on_shard(|_shard| {
        async || {
            assert_eq!(spargio::spawn(async { 7 }).unwrap().await.unwrap(), 7);
        }
    });
    requests.assert_each(0, "stealable spawn and join");
}

#[test]
fn a_local_spawn_and_join_allocates_nothing() {
    let requests = on_shard(|shard| {
        async move || assert_eq!(shard.spawn_local(async { 7 }).unwrap().await.unwrap(), 7)
    });
    requests.assert_each(0, "local spawn and join");
}

#[test]
fn a_large_task_allocates_its_cell_and_nothing_else() {
    let requests = on_shard(|_shard| {
        async || {
            let large = [1_u8; 16 * 1024];
            let task = spargio::spawn(async move {
                spargio::yield_now().await;
                large.iter().map(|&byte| usize::from(byte)).sum::<usize>()
            });
            assert_eq!(task.unwrap().await.unwrap(), 16 * 1024);
        }
    });
    requests.assert_each(1, "spawn of a task of 16 KiB");
}

#[test]
fn a_yield_allocates_nothing() {
    let requests = on_shard(|_shard| async || spargio::yield_now().await);
    requests.assert_each(0, "yield");
}

#[test]
fn a_timer_that_is_dropped_allocates_nothing() {
    let requests = on_shard(|_shard| {
        async || {
            let mut sleep = pin!(spargio::sleep(Duration::from_secs(3600)));
            let waits = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await;
            assert!(waits);
        }
    });
    requests.assert_each(0, "timer set and dropped");
}

#[test]
fn a_timer_that_fires_allocates_nothing() {
    let requests = on_shard(|_shard| async || spargio::sleep(Duration::from_micros(1)).await);
    requests.assert_each(0, "timer that fires");
}

#[test]
fn a_tick_allocates_nothing() {
    let requests = on_shard(|_shard| {
        let mut interval = spargio::interval(Duration::from_micros(1));
        async move || {
            interval.tick().await;
        }
    });
    requests.assert_each(0, "tick");
}

#[test]
fn waiting_for_a_token_allocates_nothing() {
    let token = CancellationToken::new();
    let requests = on_shard(|_shard| {
        async move || {
            assert_eq!(token.run_until_cancelled(spargio::yield_now()).await, Some(()));
        }
    });
    requests.assert_each(0, "token awaited and given up");
}

#[test]
fn a_child_token_is_one_allocation() {
    let token = CancellationToken::new();
    let requests = on_shard(|_shard| async move || drop(token.child_token()));
    requests.assert_each(1, "child token");
}

#[test]
fn a_task_of_a_group_allocates_nothing() {
    let requests = on_shard(|_shard| {
        let group = TaskGroup::new(RuntimeHandle::current().unwrap());
        async move || {
            let task = group.spawn(spargio::yield_now());
            assert_eq!(task.unwrap().await.unwrap(), Some(()));
        }
    });
    requests.assert_each(0, "task of a group");
}

#[test]
fn a_task_of_a_set_is_one_allocation() {
    let requests = on_shard(|_shard| {
        let mut set = JoinSet::new();
        async move || {
            set.spawn(spargio::yield_now()).unwrap();
            set.join_next().await.unwrap().unwrap();
        }
    });
    requests.assert_each(1, "task of a set");
}

/// Spawned on a thread that is no shard, run on a shard, and freed on whichever of the two is last:
/// the sum of both.
#[test]
fn a_spawn_from_outside_allocates_its_cell_at_most() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let spawn = async |times| {
        for _ in 0..times {
            assert_eq!(spargio::spawn(async { 7 }).unwrap().await.unwrap(), 7);
        }
    };
    let (here, there) = runtime.block_on(async {
        let handle = runtime.handle();
        spawn(WARM_UP).await;
        handle.spawn_pinned(0, async { Requests::begin() }).unwrap().await.unwrap();
        Requests::begin();
        spawn(COUNTED).await;
        let here = Requests::end();
        let there = handle.spawn_pinned(0, async { Requests::end() }).unwrap().await.unwrap();
        (here, there)
    });
    let number = here.number + there.number;
    assert!(number <= COUNTED, "{COUNTED} spawns from outside made {number} requests");
}

/// What a stuck shard refuses is kept nowhere, so a flood of spawns takes no memory at the limit.
#[test]
fn a_spawn_that_is_refused_allocates_nothing() {
    let runtime = Runtime::builder().shards(1).stealable_queue_capacity(1).build().unwrap();
    let handle = runtime.handle();
    let (release, released) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let stuck = handle.spawn_pinned(0, async move {
        begin.send(()).unwrap();
        // An error is the release as well.
        released.recv().unwrap_err();
    });
    begun.recv().unwrap();
    let waits = handle.spawn_stealable(async {}).unwrap();
    Requests::begin();
    for _ in 0..COUNTED {
        for placement in [TaskPlacement::Stealable, TaskPlacement::RoundRobin] {
            let refused = handle.try_spawn_with_placement(placement, async { [0_u8; 256] });
            assert!(matches!(refused.unwrap_err().error, RuntimeError::Overloaded { .. }));
        }
    }
    Requests::end().assert_each(0, "refused spawn");
    drop(release);
    runtime.block_on(stuck.unwrap()).unwrap();
    runtime.block_on(waits).unwrap();
}

/// Two pinned tasks of two shards wake each other by letter and, where the other one sleeps, by
/// doorbell.
#[test]
fn a_wake_across_shards_allocates_nothing() {
    let runtime = Runtime::builder().shards(2).spin(Duration::ZERO).build().unwrap();
    let (mut near, mut far) = baton::pair();
    let ping = async move {
        for round in 0..WARM_UP + COUNTED {
            if round == WARM_UP {
                Requests::begin();
            }
            near.send();
            near.receive().await;
        }
        Requests::end()
    };
    let pong = async move {
        for round in 0..WARM_UP + COUNTED {
            if round == WARM_UP {
                Requests::begin();
            }
            far.receive().await;
            far.send();
        }
        Requests::end()
    };
    let pong = runtime.handle().spawn_pinned(1, pong).unwrap();
    let ping = runtime.handle().spawn_pinned(0, ping).unwrap();
    runtime.block_on(ping).unwrap().assert_each(0, "wake of the other shard");
    runtime.block_on(pong).unwrap().assert_each(0, "wake of the other shard");
}
