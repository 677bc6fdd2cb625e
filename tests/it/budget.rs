//! The budget of a poll: what is ready at once gives way after 128 times, unless it is not to.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use spargio::fs::File;
use spargio::{Event, Runtime, ShardCtx, consume_budget, sleep, timeout, unconstrained};

use crate::support::{Watch, elsewhere, watched, yield_now};

/// What a poll may have.
const BUDGET: usize = 128;
/// What a direct call to the kernel counts for.
const CALL: usize = 8;
/// A number of ready operations that takes several polls.
const MANY: usize = 1_000;

/// Polls a future to its end, and says how many polls that took.
async fn polls_of(future: impl Future<Output = ()>) -> usize {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    })
    .await;
    polls
}

async fn leaves(count: usize) {
    for _ in 0..count {
        consume_budget().await;
    }
}

/// Runs a future as a local task of a lone shard.
fn on_shard<T, F>(watch: &Watch, make: impl FnOnce(ShardCtx) -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let builder = Runtime::builder().shards(1).coalesced_hot_msg_tag(9);
    let runtime = watch.build(builder.msg_ring_queue_capacity(2 * MANY));
    elsewhere(runtime.handle().spawn_local_on(0, make).unwrap()).unwrap()
}

/// How often another task of the shard runs while this one awaits the future.
async fn turns_of_another(shard: &ShardCtx, future: impl Future<Output = ()>) -> usize {
    let (turns, over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let (counts, ends) = (Rc::clone(&turns), Rc::clone(&over));
    let other = shard.spawn_local(async move {
        while !ends.get() {
            counts.set(counts.get() + 1);
            yield_now().await;
        }
    });
    let other = other.unwrap();
    yield_now().await;
    let before = turns.get();
    future.await;
    let during = turns.get() - before;
    over.set(true);
    other.await.unwrap();
    during
}

#[test]
fn a_poll_has_128_ready_operations() {
    watched(|watch| {
        on_shard(watch, |_| async {
            for (count, polls) in
                [(0, 1), (1, 1), (BUDGET, 1), (BUDGET + 1, 2), (2 * BUDGET, 2), (2 * BUDGET + 1, 3)]
            {
                yield_now().await;
                assert_eq!(polls_of(leaves(count)).await, polls, "{count} leaves");
            }
        });
    });
}

/// Each kind of operation that may be ready at once, again and again.
#[test]
fn whatever_is_ready_at_once_lets_another_task_run() {
    watched(|watch| {
        on_shard(watch, |shard| async move {
            let least = MANY / BUDGET;
            let turns = turns_of_another(&shard, leaves(MANY)).await;
            assert!(turns >= least, "consume_budget: {turns}");

            let sleeps = async {
                for _ in 0..MANY {
                    sleep(Duration::ZERO).await;
                }
            };
            let turns = turns_of_another(&shard, sleeps).await;
            assert!(turns >= least, "timers: {turns}");

            let timeouts = async {
                for _ in 0..MANY {
                    assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
                }
            };
            let turns = turns_of_another(&shard, timeouts).await;
            assert!(turns >= least, "timeouts: {turns}");

            let tasks: Vec<_> = (0..MANY).map(|_| spargio::spawn(async {}).unwrap()).collect();
            while !tasks.iter().all(|task| task.is_finished()) {
                yield_now().await;
            }
            let joins = async {
                for task in tasks {
                    task.await.unwrap();
                }
            };
            let turns = turns_of_another(&shard, joins).await;
            assert!(turns >= least, "handles: {turns}");

            let me = shard.shard_id();
            shard.send_many_raw_nowait(me, (0..MANY as u32).map(|val| (1, val))).unwrap();
            let events = async {
                for expected in 0..MANY as u32 {
                    let Event::RingMsg { val, .. } = shard.next_event().await;
                    assert_eq!(val, expected);
                }
            };
            let turns = turns_of_another(&shard, events).await;
            assert!(turns >= least, "messages: {turns}");

            let tickets = async {
                for _ in 0..MANY {
                    shard.send_raw(me, 9, 1).unwrap().await.unwrap();
                }
            };
            let turns = turns_of_another(&shard, tickets).await;
            assert!(turns >= least, "tickets: {turns}");

            let file = File::open("/proc/self/exe").await.unwrap();
            let reads = async {
                let mut buffer = Vec::with_capacity(16);
                for _ in 0..MANY {
                    let (result, back) = file.read_at(buffer, 0).await;
                    assert_eq!(result.unwrap(), 16);
                    buffer = back;
                    buffer.clear();
                }
            };
            let turns = turns_of_another(&shard, reads).await;
            assert!(turns >= least, "reads: {turns}");
        });
    });
}

#[test]
fn what_is_unconstrained_does_not_give_way() {
    watched(|watch| {
        on_shard(watch, |shard| async move {
            let turns = turns_of_another(&shard, unconstrained(leaves(100 * MANY))).await;
            assert_eq!(turns, 0);
            assert_eq!(polls_of(unconstrained(leaves(MANY))).await, 1);
        });
    });
}

#[test]
fn around_what_is_unconstrained_the_budget_goes_on() {
    watched(|watch| {
        on_shard(watch, |_| async {
            for last in [28, 29] {
                yield_now().await;
                let polls = polls_of(async {
                    leaves(BUDGET - 28).await;
                    unconstrained(leaves(MANY)).await;
                    leaves(last).await;
                });
                assert_eq!(polls.await, 1 + last / 29);
            }
        });
    });
}

#[test]
fn unconstrained_inside_of_unconstrained_ends_with_the_outer_one() {
    watched(|watch| {
        on_shard(watch, |_| async {
            yield_now().await;
            let nested = unconstrained(async {
                leaves(MANY).await;
                unconstrained(leaves(MANY)).await;
                leaves(MANY).await;
            });
            assert_eq!(polls_of(nested).await, 1);
            assert_eq!(polls_of(leaves(BUDGET + 1)).await, 2);
        });
    });
}

#[test]
fn a_panic_in_what_is_unconstrained_leaves_the_budget_behind() {
    watched(|watch| {
        on_shard(watch, |_| async {
            yield_now().await;
            let mut broken = Box::pin(unconstrained(async { panic!("as planned") }));
            poll_fn(|cx| {
                let poll = AssertUnwindSafe(|| broken.as_mut().poll(cx).is_pending());
                catch_unwind(poll).unwrap_err();
                Poll::Ready(())
            })
            .await;
            assert_eq!(polls_of(leaves(BUDGET + 1)).await, 2);
        });
    });
}

#[test]
fn what_a_file_has_at_once_counts_for_eight() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let task = runtime.handle().spawn_local_on(0, |_| async {
            let file = File::open("/dev/null").await.unwrap();
            for (count, polls) in [(1, 1), (BUDGET / CALL, 1), (BUDGET / CALL + 1, 2)] {
                yield_now().await;
                let asks = async {
                    for _ in 0..count {
                        file.metadata().await.unwrap();
                    }
                };
                assert_eq!(polls_of(asks).await, polls, "{count} times");
            }
        });
        elsewhere(task.unwrap()).unwrap();
        assert_eq!(runtime.stats_snapshot().total().budget_yields, 1);
    });
}

/// The one that is polled first has what the budget allows, and after that one like all the others.
#[test]
fn reads_that_one_task_holds_go_on_together() {
    const LANES: usize = 32;
    const READS: usize = 400;
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let path = std::env::current_exe().unwrap();
        let task = runtime.handle().spawn_local_on(0, |_| async move {
            let file = File::open(path).await.unwrap();
            let done = vec![Cell::new(0); LANES];
            let lane = async |mine: &Cell<usize>| {
                let mut buffer = vec![0; 64];
                for _ in 0..READS {
                    let (result, same) = file.read_at(buffer, 0).await;
                    assert_eq!(result.unwrap(), 64);
                    buffer = same;
                    mine.set(mine.get() + 1);
                    if mine.get() == READS / 2 {
                        let least = done.iter().map(Cell::get).min();
                        let share = mine.get() / (2 * BUDGET / CALL);
                        assert!(least >= Some(share), "one has done {least:?}");
                    }
                }
            };
            let mut lanes: Vec<_> = done.iter().map(|mine| Box::pin(lane(mine))).collect();
            poll_fn(|cx| {
                lanes.retain_mut(|lane| lane.as_mut().poll(cx).is_pending());
                if lanes.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
        elsewhere(task.unwrap()).unwrap();
    });
}

#[test]
fn a_poll_that_was_refused_one_is_refused_all_and_counts_once() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let task = runtime.handle().spawn_local_on(0, |_| async {
            yield_now().await;
            // Each poll asks again and again, as a set of futures would.
            let mut left = 3 * BUDGET + 1;
            let mut refused = 0;
            poll_fn(|cx| {
                for _ in 0..2 * BUDGET {
                    match pin!(consume_budget()).poll(cx) {
                        Poll::Ready(()) => left -= 1,
                        Poll::Pending => refused += 1,
                    }
                    if left == 0 {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending
            })
            .await;
            refused
        });
        assert_eq!(elsewhere(task.unwrap()).unwrap(), 3 * BUDGET);
        assert_eq!(runtime.stats_snapshot().total().budget_yields, 3);
    });
}

#[test]
fn away_from_shards_there_is_no_budget() {
    assert_eq!(elsewhere(polls_of(leaves(MANY))), 1);
    assert_eq!(elsewhere(polls_of(unconstrained(leaves(MANY)))), 1);
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        assert_eq!(runtime.block_on(polls_of(leaves(MANY))), 1);
    });
}
