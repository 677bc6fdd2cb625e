//! The ways to wait of other crates, in tasks of two shards.

use std::future::Future;
use std::sync::Arc;

use spargio::{JoinHandle, Native, RuntimeOf};

use super::two_shards;
use crate::support::watched;

const TASKS: u16 = 8;
const ROUNDS: usize = 500;

/// A task for each name, by turns on the two shards.
fn spawn_all<F>(runtime: &RuntimeOf<Native>, make: impl Fn(u16) -> F) -> Vec<JoinHandle<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    (0..TASKS).map(|name| runtime.spawn_on(name % 2, make(name)).unwrap()).collect()
}

fn join_all<T: Send + 'static>(runtime: &RuntimeOf<Native>, tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).collect()
}

#[test]
fn locks_of_tokio_and_async_lock_exclude_each_other() {
    watched(|watch| {
        let runtime = two_shards(watch);
        let of_tokio = Arc::new(tokio::sync::Mutex::new(0));
        let of_async_lock = Arc::new(async_lock::Mutex::new(0));
        let shared = Arc::new(tokio::sync::RwLock::new(0));
        let shared_too = Arc::new(async_lock::RwLock::new(0));
        let tasks = spawn_all(&runtime, |_| {
            let (first, second) = (Arc::clone(&of_tokio), Arc::clone(&of_async_lock));
            let (third, fourth) = (Arc::clone(&shared), Arc::clone(&shared_too));
            async move {
                for _ in 0..ROUNDS {
                    let mut first = first.lock().await;
                    // Held over an await, on purpose.
                    let before = *first;
                    spargio::yield_now().await;
                    *first = before + 1;
                    drop(first);
                    *second.lock().await += 1;
                    *third.write().await += 1;
                    *fourth.write().await += 1;
                    assert!(*third.read().await > 0 && *fourth.read().await > 0);
                }
            }
        });
        join_all(&runtime, tasks);
        let all = usize::from(TASKS) * ROUNDS;
        runtime.block_on(async {
            assert_eq!(*of_tokio.lock().await, all);
            assert_eq!(*of_async_lock.lock().await, all);
            assert_eq!(*shared.read().await, all);
            assert_eq!(*shared_too.read().await, all);
        });
    });
}

#[test]
fn semaphores_and_barriers_let_as_many_through_as_they_say() {
    watched(|watch| {
        let runtime = two_shards(watch);
        let of_tokio = Arc::new(tokio::sync::Semaphore::new(2));
        let of_async_lock = Arc::new(async_lock::Semaphore::new(2));
        let meeting = Arc::new(tokio::sync::Barrier::new(usize::from(TASKS)));
        let meeting_too = Arc::new(async_lock::Barrier::new(usize::from(TASKS)));
        let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let tasks = spawn_all(&runtime, |_| {
            let (first, second) = (Arc::clone(&of_tokio), Arc::clone(&of_async_lock));
            let (third, fourth) = (Arc::clone(&meeting), Arc::clone(&meeting_too));
            let inside = Arc::clone(&inside);
            async move {
                let mut leader = 0;
                for round in 0..ROUNDS {
                    if round % 50 == 0 {
                        leader += usize::from(third.wait().await.is_leader());
                        leader += usize::from(fourth.wait().await.is_leader());
                    }
                    let permits = (first.acquire().await.unwrap(), second.acquire().await);
                    assert!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2);
                    spargio::yield_now().await;
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(permits);
                }
                leader
            }
        });
        let leaders: usize = join_all(&runtime, tasks).into_iter().sum();
        assert_eq!(leaders, 2 * ROUNDS / 50);
    });
}

#[test]
fn channels_of_tokio_flume_and_async_channel_carry_all_messages() {
    watched(|watch| {
        let runtime = two_shards(watch);
        let (of_tokio, mut from_tokio) = tokio::sync::mpsc::channel(4);
        let (of_flume, from_flume) = flume::bounded(4);
        let (of_async_channel, from_async_channel) = async_channel::bounded(4);
        let tasks = spawn_all(&runtime, |_| {
            let senders = (of_tokio.clone(), of_flume.clone(), of_async_channel.clone());
            async move {
                for number in 0..ROUNDS {
                    senders.0.send(number).await.unwrap();
                    senders.1.send_async(number).await.unwrap();
                    senders.2.send(number).await.unwrap();
                }
            }
        });
        drop((of_tokio, of_flume, of_async_channel));
        let sums = [
            runtime.spawn_on(0, async move {
                let mut sum = 0;
                while let Some(number) = from_tokio.recv().await {
                    sum += number;
                }
                sum
            }),
            runtime.spawn_on(1, async move {
                let mut sum = 0;
                while let Ok(number) = from_flume.recv_async().await {
                    sum += number;
                }
                sum
            }),
            runtime.spawn_on(0, async move {
                let mut sum = 0;
                while let Ok(number) = from_async_channel.recv().await {
                    sum += number;
                }
                sum
            }),
        ];
        join_all(&runtime, tasks);
        let expected = usize::from(TASKS) * ROUNDS * (ROUNDS - 1) / 2;
        for sum in sums {
            assert_eq!(runtime.block_on(sum.unwrap()).unwrap(), expected);
        }
    });
}

#[test]
fn news_of_tokio_and_async_lock_reach_every_shard() {
    watched(|watch| {
        let runtime = two_shards(watch);
        let (latest, seen) = tokio::sync::watch::channel(0);
        let (news, _) = tokio::sync::broadcast::channel(ROUNDS);
        let (once, value) = tokio::sync::oneshot::channel();
        let made = Arc::new(async_lock::OnceCell::new());
        let rung = Arc::new(tokio::sync::Notify::new());
        let tasks = spawn_all(&runtime, |_| {
            let (mut seen, mut news) = (seen.clone(), news.subscribe());
            let (made, rung) = (Arc::clone(&made), Arc::clone(&rung));
            async move {
                seen.wait_for(|&number| number == ROUNDS).await.unwrap();
                for number in 0..ROUNDS {
                    assert_eq!(news.recv().await.unwrap(), number);
                }
                rung.notify_one();
                *made.wait().await
            }
        });
        let telling = runtime.spawn_on(1, async move {
            for number in 0..ROUNDS {
                latest.send(number + 1).unwrap();
                news.send(number).unwrap();
                spargio::yield_now().await;
            }
            rung.notified().await;
            made.set(value.await.unwrap()).await.unwrap();
        });
        once.send(7).unwrap();
        runtime.block_on(telling.unwrap()).unwrap();
        assert_eq!(join_all(&runtime, tasks), [7; TASKS as usize]);
    });
}
