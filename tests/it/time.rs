//! Sleeping and deadlines on shards, between shards, and off shards.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use spargio::{Runtime, Sleep, sleep, sleep_until, timeout, timeout_at};

/// Runs a future as a task of a runtime with one shard.
fn on_a_shard<M, F>(make: M) -> F::Output
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let task = runtime.handle().spawn_local_on(0, |_| make()).unwrap();
    runtime.block_on(task).unwrap()
}

/// Wakes a thread and counts.
struct Bell {
    thread: Thread,
    rung: AtomicUsize,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), rung: AtomicUsize::new(0) })
    }

    fn rung(&self) -> usize {
        self.rung.load(Ordering::Acquire)
    }

    fn await_rung(&self, count: usize) {
        while self.rung() < count {
            thread::park_timeout(Duration::from_secs(10));
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Release pairs with `rung`.
        self.rung.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }
}

fn poll_with<F: Future + Unpin>(bell: &Arc<Bell>, future: &mut F) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(bell));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// How many parties hold the bell's waker, the test not counted.
fn holders(bell: &Arc<Bell>) -> usize {
    Arc::strong_count(bell) - 1
}

#[test]
fn a_sleep_is_never_early() {
    on_a_shard(|| async {
        for micros in [0, 1, 10, 500, 5_000, 50_000] {
            let span = Duration::from_micros(micros);
            let start = Instant::now();
            sleep(span).await;
            assert!(start.elapsed() >= span, "{span:?}");
            let deadline = Instant::now() + span;
            sleep_until(deadline).await;
            assert!(Instant::now() >= deadline, "{span:?}");
        }
    });
}

#[test]
fn a_reset_sleep_keeps_to_the_new_deadline() {
    on_a_shard(|| async {
        let mut far = sleep(Duration::from_secs(3_600));
        let bell = Bell::new();
        assert!(poll_with(&bell, &mut far).is_pending());
        let sooner = Instant::now() + Duration::from_millis(10);
        far.reset(sooner);
        assert_eq!(far.deadline(), sooner);
        (&mut far).await;
        assert!(Instant::now() >= sooner && far.is_elapsed());

        let later = Instant::now() + Duration::from_millis(30);
        far.reset(Instant::now() + Duration::from_millis(1));
        assert!(!far.is_elapsed() || Instant::now() >= far.deadline());
        far.reset(later);
        far.await;
        assert!(Instant::now() >= later);
    });
}

#[test]
fn a_reset_sleep_wakes_without_another_poll() {
    on_a_shard(|| async {
        let bell = Bell::new();
        let mut far = sleep(Duration::from_secs(3_600));
        assert!(poll_with(&bell, &mut far).is_pending());
        far.reset(Instant::now() + Duration::from_millis(2));
        let start = Instant::now();
        while bell.rung() == 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "the timer was not moved");
            sleep(Duration::from_millis(1)).await;
        }
        assert!(poll_with(&bell, &mut far).is_ready());
    });
}

#[test]
fn ten_thousand_sleeps_fire_in_the_order_of_their_deadlines() {
    const COUNT: usize = 10_000;
    on_a_shard(|| async {
        // All must be set before the first is due; a machine that is busy gets longer.
        for patience in [1, 2, 4, 8, 16] {
            let base = Instant::now() + Duration::from_secs(patience);
            let fired = Rc::new(RefCell::new(Vec::with_capacity(COUNT)));
            let late = Rc::new(Cell::new(false));
            let tasks: Vec<_> = (0..COUNT)
                .map(|number| {
                    // Every number once, in no order.
                    let rank = number * 7_919 % COUNT;
                    let (fired, late) = (Rc::clone(&fired), Rc::clone(&late));
                    let task = async move {
                        late.set(late.get() || Instant::now() >= base);
                        // Two ticks of the wheel apart.
                        let deadline = base + Duration::from_nanos(2_048 * rank as u64);
                        sleep_until(deadline).await;
                        assert!(Instant::now() >= deadline);
                        fired.borrow_mut().push(rank);
                    };
                    spargio::spawn_local(task).unwrap()
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            if late.get() {
                continue;
            }
            assert_eq!(fired.borrow().len(), COUNT);
            assert!(fired.borrow().is_sorted(), "out of order");
            return;
        }
        panic!("the machine cannot start {COUNT} tasks in 16 s");
    });
}

#[test]
fn a_timeout_returns_whichever_is_first_and_prefers_the_value() {
    on_a_shard(|| async {
        let long = Duration::from_secs(3_600);
        assert_eq!(timeout(long, async { 1 }).await, Ok(1));
        assert_eq!(timeout(Duration::ZERO, async { 2 }).await, Ok(2), "both are ready");
        assert_eq!(timeout_at(Instant::now() - Duration::from_secs(1), async { 3 }).await, Ok(3));
        let start = Instant::now();
        let error = timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
        assert!(error.is_err() && start.elapsed() >= Duration::from_millis(5));
        let value = timeout(long, async {
            sleep(Duration::from_millis(2)).await;
            4
        });
        assert_eq!(value.await, Ok(4));
        // What was timed out by reference goes on.
        let said = Cell::new(false);
        let mut slow = std::pin::pin!(std::future::poll_fn(|_| match said.get() {
            true => Poll::Ready(5),
            false => Poll::Pending,
        }));
        assert!(timeout(Duration::from_millis(1), &mut slow).await.is_err());
        said.set(true);
        assert_eq!(timeout(long, slow).await, Ok(5));
    });
}

#[test]
fn cancelled_timeouts_leave_no_timer_behind() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let task = async {
        let bell = Bell::new();
        for _ in 0..100_000 {
            let mut slow = timeout(Duration::from_secs(60), std::future::pending::<()>());
            assert!(poll_with(&bell, &mut slow).is_pending());
            assert_ne!(holders(&bell), 0, "the wheel has the waker");
            drop(slow);
            assert_eq!(holders(&bell), 0, "the wheel gave the waker back");
        }
        // One that is ready sets no timer at all.
        let mut quick = timeout(Duration::from_secs(60), std::future::ready(()));
        assert!(poll_with(&bell, &mut quick).is_ready());
        assert_eq!(holders(&bell), 0);
    };
    runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
    assert_eq!(runtime.stats_snapshot().total().timers_fired, 0);
}

#[test]
#[expect(clippy::async_yields_async, reason = "the sleep itself moves between shards")]
fn a_timer_dropped_on_another_shard_or_thread_is_removed() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let bell = Bell::new();
    let armed = |bell: Arc<Bell>| async move {
        let mut far = sleep(Duration::from_secs(3_600));
        assert!(poll_with(&bell, &mut far).is_pending());
        far
    };
    let gone = || {
        let start = Instant::now();
        while holders(&bell) > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "the timer was not removed");
            thread::yield_now();
        }
    };
    let far = runtime.block_on(runtime.spawn_on(0, armed(Arc::clone(&bell))).unwrap()).unwrap();
    assert_eq!(holders(&bell), 1, "the wheel");
    drop(far);
    gone();
    let far = runtime.block_on(runtime.spawn_on(0, armed(Arc::clone(&bell))).unwrap()).unwrap();
    runtime.block_on(runtime.spawn_on(1, async move { drop(far) }).unwrap()).unwrap();
    gone();
    // When the runtime is gone there is nothing to remove.
    let far = runtime.block_on(runtime.spawn_on(0, armed(Arc::clone(&bell))).unwrap()).unwrap();
    drop(runtime);
    drop(far);
    gone();
}

#[test]
#[expect(clippy::async_yields_async, reason = "the sleep itself moves between shards")]
fn a_sleep_reset_elsewhere_wakes_who_polled_it_last() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let bell = Bell::new();
    let armed = |bell: Arc<Bell>| async move {
        let mut far = sleep(Duration::from_secs(3_600));
        assert!(poll_with(&bell, &mut far).is_pending());
        far
    };
    let rung = |far: &Sleep| {
        let start = Instant::now();
        while holders(&bell) > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "the timer did not fire");
            thread::yield_now();
        }
        assert!(far.is_elapsed());
    };
    // On a thread that is no shard.
    let mut far = runtime.block_on(runtime.spawn_on(0, armed(Arc::clone(&bell))).unwrap()).unwrap();
    far.reset(Instant::now() + Duration::from_millis(5));
    rung(&far);
    // On another shard.
    let mut far = runtime.block_on(runtime.spawn_on(0, armed(Arc::clone(&bell))).unwrap()).unwrap();
    let reset = async move {
        far.reset(Instant::now() + Duration::from_millis(5));
        far
    };
    let far = runtime.block_on(runtime.spawn_on(1, reset).unwrap()).unwrap();
    rung(&far);
    // Of a timer off shards, on a shard.
    let mut far = sleep(Duration::from_secs(3_600));
    assert!(poll_with(&bell, &mut far).is_pending());
    let reset = async move {
        far.reset(Instant::now() + Duration::from_millis(5));
        far
    };
    let far = runtime.block_on(runtime.spawn_on(1, reset).unwrap()).unwrap();
    rung(&far);
}

#[test]
#[expect(clippy::async_yields_async, reason = "the sleep itself moves between shards")]
fn a_sleep_reset_elsewhere_after_it_fired_is_set_anew_by_its_next_poll() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let bell = Bell::new();
    let armed = |bell: Arc<Bell>| async move {
        let mut soon = sleep(Duration::from_millis(2));
        assert!(poll_with(&bell, &mut soon).is_pending());
        soon
    };
    let rung = || {
        let start = Instant::now();
        while holders(&bell) > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "the timer did not fire");
            thread::yield_now();
        }
    };
    let soon = runtime.block_on(runtime.spawn_on(0, armed(Arc::clone(&bell))).unwrap()).unwrap();
    rung();
    // Its shard has fired it, and this thread cannot know.
    let mut again = soon;
    again.reset(Instant::now() + Duration::from_secs(3_600));
    let poll = {
        let bell = Arc::clone(&bell);
        async move {
            assert!(poll_with(&bell, &mut again).is_pending());
            again
        }
    };
    let again = runtime.block_on(runtime.spawn_on(0, poll).unwrap()).unwrap();
    assert_eq!(holders(&bell), 1, "the wheel has the waker again");
    drop(again);
    rung();
}

#[test]
#[expect(clippy::async_yields_async, reason = "the sleep itself moves between shards")]
fn a_sleep_that_moves_keeps_its_deadline() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let bell = Bell::new();
    let deadline = Instant::now() + Duration::from_millis(100);
    let mut moving = sleep_until(deadline);
    for step in 0..12 {
        let bell = Arc::clone(&bell);
        let poll = move |mut sleep: Sleep| {
            // Pending as long as the deadline is ahead, which a slow machine may miss.
            if poll_with(&bell, &mut sleep).is_ready() {
                assert!(Instant::now() >= deadline);
            }
            sleep
        };
        moving = match step % 3 {
            2 => poll(moving),
            shard => {
                let task = runtime.spawn_on(shard, async move { poll(moving) }).unwrap();
                runtime.block_on(task).unwrap()
            }
        };
    }
    let task = async move {
        moving.await;
        Instant::now()
    };
    let end = runtime.block_on(runtime.spawn_on(1, task).unwrap()).unwrap();
    assert!(end >= deadline);
    let start = Instant::now();
    while holders(&bell) > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "a timer stayed behind");
        thread::yield_now();
    }
}

#[test]
#[expect(clippy::async_yields_async, reason = "the sleep itself leaves the shard")]
fn a_sleep_that_left_its_shard_is_woken_when_the_runtime_ends() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let bell = Bell::new();
    let deadline = Instant::now() + Duration::from_millis(300);
    let rings = Arc::clone(&bell);
    let task = async move {
        let mut sleep = sleep_until(deadline);
        assert!(poll_with(&rings, &mut sleep).is_pending());
        sleep
    };
    let mut sleep = runtime.block_on(runtime.spawn_on(0, task).unwrap()).unwrap();
    drop(runtime);
    // Nobody polls it before it is woken.
    bell.await_rung(1);
    while poll_with(&bell, &mut sleep).is_pending() {
        bell.await_rung(bell.rung() + 1);
    }
    assert!(Instant::now() >= deadline);
}

#[test]
fn tasks_that_are_stolen_while_they_sleep_wake() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..500_u64)
            .map(|number| {
                let task = async move {
                    for round in 1..=10 {
                        let span = Duration::from_micros(number * 7 % 300 * round);
                        let start = Instant::now();
                        sleep(span).await;
                        assert!(start.elapsed() >= span);
                        // Work that makes stealing worth it.
                        std::hint::black_box((0..2_000_u64).sum::<u64>());
                    }
                };
                spargio::spawn(task).unwrap()
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn sleeps_beyond_the_limit_of_a_shard_are_kept_elsewhere() {
    let runtime = Runtime::builder().shards(1).max_timers(4).build().unwrap();
    let task = |_| async {
        let deadline = Instant::now() + Duration::from_millis(20);
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                spargio::spawn_local(async move {
                    sleep_until(deadline).await;
                    assert!(Instant::now() >= deadline);
                })
                .unwrap()
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    };
    runtime.block_on(runtime.handle().spawn_local_on(0, task).unwrap()).unwrap();
    let fired = runtime.stats_snapshot().total().timers_fired;
    assert!((1..100).contains(&fired), "{fired} of 100 timers fired on the shard");
}

#[test]
fn deadlines_that_have_passed_let_others_run() {
    on_a_shard(|| async {
        let stop = Rc::new(Cell::new(false));
        let seen = Rc::clone(&stop);
        let task = spargio::spawn_local(async move { seen.set(true) }).unwrap();
        let past = Instant::now();
        let start = Instant::now();
        while !stop.get() {
            assert!(start.elapsed() < Duration::from_secs(10), "the other task was starved");
            sleep_until(past).await;
        }
        task.await.unwrap();
    });
}

#[test]
fn a_future_that_never_stops_working_times_out() {
    on_a_shard(|| async {
        let past = Instant::now();
        let greedy = async {
            while past.elapsed() < Duration::from_secs(10) {
                sleep_until(past).await;
            }
        };
        assert!(timeout(Duration::from_millis(20), greedy).await.is_err());
    });
}

#[test]
fn a_thousand_sleeps_off_shard_share_one_helper_thread() {
    let bell = Bell::new();
    let deadline = Instant::now() + Duration::from_millis(300);
    let mut sleeps: Vec<_> = (0..1_000).map(|_| sleep_until(deadline)).collect();
    let pending =
        sleeps.iter_mut().filter_map(|sleep| poll_with(&bell, sleep).is_pending().then_some(()));
    let pending = pending.count();
    bell.await_rung(pending);
    assert!(Instant::now() >= deadline);
    if pending > 0 {
        // It stays a while after its last timer.
        assert_eq!(thread_names().filter(|name| name == "spargio-timer").count(), 1);
    }
    for sleep in &mut sleeps {
        assert!(poll_with(&bell, sleep).is_ready());
    }
    assert_eq!(bell.rung(), pending, "each is woken once");
    assert_eq!(holders(&bell), 0);
}

fn thread_names() -> impl Iterator<Item = String> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end between being listed and being looked at.
    threads.filter_map(|thread| {
        let name = std::fs::read_to_string(thread.unwrap().path().join("comm")).ok()?;
        Some(name.trim_end().to_owned())
    })
}

#[test]
fn yielding_lets_every_other_task_run_once() {
    on_a_shard(|| async {
        let log = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..3)
            .map(|number| {
                let log = Rc::clone(&log);
                let task = async move {
                    for _ in 0..3 {
                        log.borrow_mut().push(number);
                        spargio::yield_now().await;
                    }
                };
                spargio::spawn_local(task).unwrap()
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*log.borrow(), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    });
}
